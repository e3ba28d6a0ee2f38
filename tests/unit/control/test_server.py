"""The admin API against a board and a desk that stand beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest

from mgate.config import read
from mgate.control.server import Hatch
from mgate.control.views import BindView, ChangeView, FeedView, LaneView, QueueRow, ReloadView, StatusView
from mgate.model.message import MessageId, read_id, show_id
from mgate.model.view import MessageView
from mgate.net.exchange import Head, Line, Request
from mgate.net.peers import Peer
from mgate.net.routing import Found, Route, Routes
from mgate.telemetry import Log

SHIPPED = Path(__file__).parents[3] / "etc" / "mgate.toml"
KNOWN = MessageId(1_795_324_208_062 << 20)


def a_bind(index: int, state: str = "bound") -> BindView:
    return BindView("sms:op-a", index, state, "2026-11-22T05:10:08.000Z", "127.0.0.1:2775", 10, 3, 0, "", 70, 65)


def a_message(client: str = "local") -> MessageView:
    return MessageView(
        id=show_id(KNOWN), ref="r1", client=client, traffic="otp", to="+37529*****01", sender="Bank", state="sent",
        reason="", parts=1, accepted_at="2026-11-22T05:10:08.000Z", not_before="",
        expires_at="2026-11-22T05:13:08.000Z",
        ended_at="", may_have_been_sent=True, in_history=False, tags=(), part_states=(), attempts=(), events=(),
    )  # fmt: skip


class OneBoard:
    """A route of two binds."""

    def __init__(self) -> None:
        self.paused: set[int] = set()

    def status(self) -> StatusView:
        lanes = (LaneView("sms:op-a", 1, 4, 0.5),)
        return StatusView(
            "0.1.0", "mgate", "running", 61.0, 9, 5, 0, 0.1, 4096, 1 << 30, (), lanes, tuple(self.binds())
        )

    def queue(self, answer: Callable[[Sequence[QueueRow]], None]) -> None:
        answer([QueueRow("sms:op-a", "otp", 1, "local", 4, 0, 1, 2, 0, 0.5)])

    def feeds(self, answer: Callable[[Sequence[FeedView]], None]) -> None:
        answer([FeedView("local", "default", "5f0c1de2a94b7730-2a", 7, "2026-11-22T05:10:08.000Z")])

    def binds(self) -> Sequence[BindView]:
        return [a_bind(index, "paused" if index in self.paused else "bound") for index in (0, 1)]

    def pause(self, route: str, bind: int | None) -> None:
        self.paused |= {0, 1} if bind is None else {bind}

    def resume(self, route: str, bind: int | None) -> None:
        self.paused -= {0, 1} if bind is None else {bind}


class OneReload:
    """The configuration that ships, with one change and a mistake to come."""

    def __init__(self) -> None:
        self.config = read(SHIPPED)
        self.asked: list[bool] = []

    def reload(self, dry_run: bool) -> ReloadView:
        self.asked.append(dry_run)
        change = ChangeView("sms.op-a", "rate", 0, 10, "at once")
        return ReloadView("mgate.toml", not dry_run, (), (change,), ())


class OneDesk:
    """Knows one message; ``word`` is what it says to a cancellation."""

    def __init__(self) -> None:
        self.word = "cancelled"
        self.asked: list[object] = []

    def show(self, client: str, message: MessageId, answer: Callable[[MessageView | None], None]) -> None:
        self.asked.append((client, message))
        answer(a_message() if message == KNOWN else None)

    def by_ref(self, client: str, ref: str, answer: Callable[[Sequence[MessageView]], None]) -> None:
        answer([a_message("local"), a_message("core")] if ref == "r1" else [])

    def by_number(self, number: str, limit: int, answer: Callable[[Sequence[MessageView]], None]) -> None:
        self.asked.append((number, limit))
        answer([a_message()])

    def cancel(self, client: str, message: MessageId, answer: Callable[[str], None]) -> None:
        self.asked.append((client, message))
        answer(self.word if message == KNOWN else "unknown")


class NoLine(Line):
    """A connection that nobody reads."""

    def answered(self) -> None: ...

    def written(self, octets: int) -> None: ...

    def regulate(self) -> None: ...


class House:
    """A hatch and what it stands on."""

    def __init__(self) -> None:
        self.board, self.desk, self.lines = OneBoard(), OneDesk(), list[dict[str, object]]()
        self.reload = OneReload()
        log = Log(lambda line: self.lines.append(json.loads(line)))
        self._routes = Routes(Hatch(self.board, self.desk, self.reload, "0.1.0", log).routes())

    def ask(self, method: str, target: str) -> tuple[int, dict[str, object]]:
        """Send a request through the routes; the status and JSON of its answer."""
        url = urlsplit(target)
        found = self._routes.find(method.encode(), url.path.encode())
        assert isinstance(found, Found)
        assert isinstance(found.route, Route)
        head = Head(found.route.answer, method, url.path.encode(), url.query.encode(), found.params)
        request = Request(NoLine(), head, Peer(1000, 1000, 7))
        found.route.answer(request)
        assert request.answer is not None
        answered, _, body = request.answer.partition(b"\r\n\r\n")
        return int(answered.split()[1]), json.loads(body)


@pytest.fixture
def house() -> House:
    return House()


def test_status_is_what_the_board_says(house: House) -> None:
    status, answer = house.ask("GET", "/v1/status")
    assert status == 200
    assert msgspec.convert(answer, StatusView) == house.board.status()


def test_feeds_are_shown_with_what_is_behind_them(house: House) -> None:
    _, answer = house.ask("GET", "/v1/feeds")
    row = {"client": "local", "feed": "default", "cursor": "5f0c1de2a94b7730-2a", "behind": 7}
    assert answer == {"feeds": [row | {"oldest": "2026-11-22T05:10:08.000Z"}]}


def test_the_queue_shows_class_by_its_own_name(house: House) -> None:
    _, answer = house.ask("GET", "/v1/queue")
    assert answer == {
        "rows": [
            {
                "route": "sms:op-a", "class": "otp", "lane": 1, "client": "local", "ready": 4, "waiting": 0,
                "leased": 1, "sent": 2, "uncertain": 0, "oldest": 0.5,
            }
        ]
    }  # fmt: skip


@pytest.mark.parametrize(
    ("target", "paused"),
    [("/v1/binds/sms:op-a:pause", {0, 1}), ("/v1/binds/sms:op-a/1:pause", {1}), ("/v1/binds/sms%3Aop-a/0:pause", {0})],
)
def test_a_bind_or_a_whole_route_is_paused_and_resumed(house: House, target: str, paused: set[int]) -> None:
    status, answer = house.ask("POST", target)
    assert status == 200
    assert house.board.paused == paused
    assert [bind["state"] for bind in answer["binds"]] == ["paused"] * len(paused)  # type: ignore[attr-defined]  # JSON
    house.ask("POST", target.replace(":pause", ":resume"))
    assert house.board.paused == set()


def test_who_pauses_is_logged(house: House) -> None:
    house.ask("POST", "/v1/binds/sms:op-a/1:pause")
    line = house.lines[0]
    assert (line["event"], line["detail"], line["uid"], line["count"]) == ("admin_act", "pause", 1000, 1)


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("/v1/binds/sms:op-b:pause", "unknown_bind"),
        ("/v1/binds/sms:op-a/7:pause", "unknown_bind"),
        ("/v1/binds/sms:op-a/-1:pause", "unknown_bind"),
        ("/v1/binds/sms:op-a/1:stop", "unknown_path"),
        ("/v1/binds/sms:op-a", "unknown_path"),
    ],
)
def test_a_bind_that_is_not_there_changes_nothing(house: House, target: str, error: str) -> None:
    status, answer = house.ask("POST", target)
    assert (status, answer["error"]) == (404, error)
    assert house.board.paused == set()
    assert house.lines == []


def test_an_unknown_bind_is_told_which_are_known(house: House) -> None:
    _, answer = house.ask("POST", "/v1/binds/sms:op-b:pause")
    assert answer["detail"] == "there is no such bind; known: sms:op-a/0, sms:op-a/1"


def test_an_administrator_sees_the_messages_of_every_client(house: House) -> None:
    status, answer = house.ask("GET", f"/v1/messages/{show_id(KNOWN)}")
    assert (status, answer["class"], answer["to"]) == (200, "otp", "+37529*****01")
    assert house.desk.asked == [("", KNOWN)]
    _, found = house.ask("GET", "/v1/messages?ref=r1")
    assert [each["client"] for each in found["messages"]] == ["local", "core"]  # type: ignore[attr-defined]  # JSON
    _, found = house.ask("GET", "/v1/messages?ref=r1&client=core")
    assert [each["client"] for each in found["messages"]] == ["core"]  # type: ignore[attr-defined]  # JSON


def test_a_number_is_looked_up_in_its_whole_form(house: House) -> None:
    status, _ = house.ask("GET", "/v1/messages?number=%2B375291110001")
    assert status == 200
    assert house.desk.asked == [("+375291110001", 100)]
    for limit in ("3", "900", "0", "x", ""):
        assert house.ask("GET", f"/v1/messages?number=%2B375291110001&limit={limit}")[0] == 200
    assert house.desk.asked == [("+375291110001", most) for most in (100, 3, 100, 100, 100, 100)]


@pytest.mark.parametrize(
    ("method", "target", "expected", "error"),
    [
        ("GET", "/v1/messages/m0000000000001", 404, "unknown_message"),
        ("GET", "/v1/messages/17", 422, "bad_value"),
        ("DELETE", "/v1/messages/17", 422, "bad_value"),
        ("DELETE", "/v1/messages/m0000000000001", 404, "unknown_message"),
        ("GET", "/v1/messages", 422, "missing"),
        ("GET", "/v1/messages?ref=a&number=%2B375291110001", 422, "contradiction"),
        ("GET", "/v1/messages?number=80291110001", 422, "not_a_number"),
    ],
)
def test_a_question_that_cannot_be_answered_says_why(
    house: House, method: str, target: str, expected: int, error: str
) -> None:
    status, answer = house.ask(method, target)
    assert (status, answer["error"]) == (expected, error)
    assert "80291110001" not in str(answer)
    assert answer["detail"]


@pytest.mark.parametrize(
    ("word", "expected"),
    [("cancelled", 200), ("leaving", 409), ("left", 409), ("may_have_left", 409), ("ended", 409), ("busy", 503)],
)
def test_a_cancellation_is_answered_by_what_became_of_it(house: House, word: str, expected: int) -> None:
    house.desk.word = word
    status, answer = house.ask("DELETE", f"/v1/messages/{show_id(KNOWN).upper()}")
    assert status == expected
    assert answer.get("error", answer.get("state")) == word
    assert [line["event"] for line in house.lines] == (["message_cancelled"] if word == "cancelled" else [])


def test_a_message_that_has_ended_is_told_so_and_where_to_see_how(house: House) -> None:
    house.desk.word = "ended"
    _, answer = house.ask("DELETE", f"/v1/messages/{show_id(KNOWN)}")
    assert answer["detail"] == "it has ended already; mgatectl message show tells how"


def test_the_id_that_is_answered_is_in_the_form_that_is_shown_elsewhere(house: House) -> None:
    _, answer = house.ask("DELETE", f"/v1/messages/{show_id(KNOWN).upper()}")
    assert answer["id"] == show_id(KNOWN)
    assert read_id(str(answer["id"])) == KNOWN


def test_a_reload_is_done_and_logged_with_who_asked_and_a_rehearsal_is_neither(house: House) -> None:
    status, planned = house.ask("POST", "/v1/reload?dry_run=1")
    assert (status, planned["applied"], house.lines) == (200, False, [])
    status, done = house.ask("POST", "/v1/reload")
    assert (status, done["applied"]) == (200, True)
    assert done["changes"] == [
        {"section": "sms.op-a", "key": "rate", "was": 0, "becomes": 10, "when": "at once"}
    ]  # fmt: skip
    assert house.reload.asked == [True, False]
    assert [(line["event"], line["detail"], line["uid"]) for line in house.lines] == [("admin_act", "reload", 1000)]


def test_the_configuration_is_shown_whole_or_where_it_differs(house: House) -> None:
    _, whole = house.ask("GET", "/v1/config")
    _, differs = house.ask("GET", "/v1/config?changed=1")
    assert len(whole["settings"]) > 40  # type: ignore[arg-type]  # JSON
    assert {each["section"] for each in differs["settings"]} == {"sms.op-a"}  # type: ignore[attr-defined]  # JSON
    assert house.ask("GET", "/v1/version")[1]["version"] == "0.1.0"
