"""The admin API of webhooks: what a replay is answered."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import cast

import pytest

from mgate.control.webhook_views import DeadView, ReplayView, WebhookView
from mgate.control.webhooks import WebhookHatch
from mgate.net.exchange import Head, Request
from mgate.net.peers import Peer
from mgate.net.routing import Found, Route, Routes
from mgate.telemetry import Log
from tests.unit.control.test_sources import NoLine


class Board:
    """One webhook with two dead runs."""

    def __init__(self) -> None:
        self.state = "running"
        self.replays: list[bool] = []

    def names(self) -> tuple[str, ...]:
        return ("crm",)

    def views(self, name: str = "") -> tuple[WebhookView, ...]:
        return (WebhookView("crm", "core", "https://crm.bank.example/", self.state, "", False, 0, 0, 0.0),)

    def pause(self, name: str) -> None:
        self.state = "paused"

    def resume(self, name: str) -> None:
        self.state = "running"

    def dead(self, name: str, answer: Callable[[tuple[DeadView, ...] | None], None]) -> None:
        answer(())

    def replay(self, name: str, dry_run: bool, answer: Callable[[ReplayView | None], None]) -> None:
        self.replays.append(dry_run)
        answer(ReplayView(name, dry_run, 2, 4, not dry_run))


@pytest.fixture
def board() -> Board:
    return Board()


def post(board: Board, act: str, query: bytes = b"") -> tuple[int, dict[str, object]]:
    routes = Routes(WebhookHatch(board, Log(lambda line: None)).routes())
    path = f"/v1/webhooks/crm:{act}".encode()
    found = routes.find(b"POST", path)
    assert isinstance(found, Found)
    assert isinstance(found.route, Route)
    request = Request(NoLine(), Head(found.route.answer, "POST", path, query, found.params), Peer(1000, 1000, 7), b"")
    found.route.answer(request)
    assert request.answer is not None
    answered, _, octets = request.answer.partition(b"\r\n\r\n")
    return int(answered.split()[1]), cast("dict[str, object]", json.loads(octets))


def test_a_replay_while_it_is_paused_is_refused_and_told_what_to_do(board: Board) -> None:
    post(board, "pause")
    status, told = post(board, "replay")
    assert (status, told["error"]) == (409, "paused")
    assert "mgatectl webhook resume crm" in str(told["detail"])
    assert board.replays == []


def test_how_much_a_replay_would_be_is_told_while_it_is_paused_too(board: Board) -> None:
    post(board, "pause")
    assert post(board, "replay", b"dry_run=1") == (
        200, {"name": "crm", "dry_run": True, "runs": 2, "events": 4, "begun": False},
    )  # fmt: skip


def test_a_replay_goes_when_it_is_resumed(board: Board) -> None:
    post(board, "pause")
    post(board, "resume")
    assert post(board, "replay")[0] == 200
    assert board.replays == [False]
