"""mgatectl source, from the command line to the board and back: the hatch between them is the real one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec
import pytest
from click.testing import CliRunner, Result

from mgate.control.asked import Asked
from mgate.control.cli import main
from mgate.control.source_views import (
    CalledView,
    CheckView,
    LagView,
    ProblemView,
    RewoundView,
    SourcesView,
    SourceView,
    UnreadRowView,
    UnreadView,
)
from mgate.control.sources import Answer, Failed, SourceHatch
from mgate.control.talk import Refused
from mgate.control.views import ErrorView
from mgate.net.exchange import Head, Line, Request
from mgate.net.peers import Peer
from mgate.net.routing import Found, Route, Routes
from mgate.telemetry import Log

_T = TypeVar("_T")


class Board:
    """One source; what was asked stands in ``asked``."""

    def __init__(self) -> None:
        self.asked: list[tuple[object, object]] = []
        self.state = "running"
        self.problems: tuple[ProblemView, ...] = ()
        self.warning = ""
        self.counts: dict[str, int] = {}
        self.rows: tuple[dict[str, object], ...] = ({"amount": "10.00", "currency": None},)
        self.failed: Failed | None = None
        self.detail, self.next_try = "", -1.0
        self.waiting = 3

    def names(self) -> Sequence[str]:
        return ("core",)

    def views(self, name: str = "") -> tuple[SourceView, ...]:
        return (
            SourceView(
                name="core", dialect="postgresql", mode="table", place="db1.bank.example:5432/core", state=self.state,
                reason="", detail=self.detail, todo="", next_try=self.next_try,
                waiting=3, oldest=4.5, claimed=9, taken=7, duplicates=1, returned=0,
                refused={"landline": 2}, unread=2, calls=("balance",),
            ),
        )  # fmt: skip

    def look(self, answer: Answer[SourcesView]) -> None:
        answer(SourcesView(self.views()))

    def pause(self, name: str) -> None:
        self.state = "paused"

    def resume(self, name: str) -> None:
        self.state = "running"

    def unread(self, name: str) -> UnreadView:
        rows = (UnreadRowView("17", "", "landline", "8017 ***-**-01", 1_800_000_000.0),) if self.counts else ()
        return UnreadView(name, self.counts, rows)

    def check(self, name: str, answer: Answer[CheckView]) -> None:
        answer(CheckView(name, self.problems))

    def measure(self, name: str, answer: Answer[LagView]) -> None:
        answer(self.failed or LagView(name, self.waiting, 75.0, -2.25))

    def rewind(self, name: str, since: float, dry_run: bool, answer: Answer[RewoundView]) -> None:
        self.asked.append((since, dry_run))
        answer(RewoundView(name, since, dry_run, 40, 2, self.warning))

    def call(self, name: str, call: str, arguments: Mapping[str, object], answer: Answer[CalledView]) -> None:
        self.asked.append((call, dict(arguments)))
        answer(self.failed or CalledView(name, call, self.rows))


class NoLine(Line):
    """A connection that nobody reads."""

    def answered(self) -> None: ...

    def written(self, octets: int) -> None: ...

    def regulate(self) -> None: ...


class Hall:
    """What stands in the place of ``control.talk.Daemon``: the same questions, put through the routes."""

    def __init__(self, board: Board) -> None:
        self.lines: list[dict[str, object]] = []
        self._routes = Routes(SourceHatch(board, Log(lambda line: self.lines.append(json.loads(line)))).routes())

    def get(self, path: str, answer: type[_T], **query: str) -> _T:
        return self.ask("GET", f"{path}?{urlencode(query)}" if query else path, answer)

    def post(self, path: str, answer: type[_T], body: object = None) -> _T:
        return self.ask("POST", path, answer, b"" if body is None else msgspec.json.encode(body))

    def ask(self, method: str, target: str, answer: type[_T], body: bytes = b"") -> _T:
        url = urlsplit(target)
        found = self._routes.find(method.encode(), url.path.encode())
        assert isinstance(found, Found), found
        assert isinstance(found.route, Route)
        head = Head(found.route.answer, method, url.path.encode(), url.query.encode(), found.params)
        request = Request(NoLine(), head, Peer(1000, 1000, 7), body)
        found.route.answer(request)
        assert request.answer is not None
        answered, _, octets = request.answer.partition(b"\r\n\r\n")
        status = int(answered.split()[1])
        if status >= 400:
            raise Refused(status, msgspec.json.decode(octets, type=ErrorView))
        return msgspec.json.decode(octets, type=answer)

    def close(self) -> None: ...


@pytest.fixture
def board() -> Board:
    return Board()


@pytest.fixture
def hall(board: Board, monkeypatch: pytest.MonkeyPatch) -> Hall:
    hall: Any = Hall(board)
    monkeypatch.setattr(Asked, "daemon", lambda _: hall)
    made: Hall = hall
    return made


def run(*words: str, status: int = 0, answers: str = "") -> Result:
    done = CliRunner().invoke(main, ["source", *words], input=answers)
    assert done.exit_code == status, (done.output, done.exception)
    return done


def test_list_shows_how_each_stands(hall: Hall) -> None:
    shown = run("list").stdout
    assert all(word in shown for word in ("core", "running", "db1.bank.example:5432/core", "4.5 s"))
    assert json.loads(run("list", "--json").stdout)["sources"][0]["refused"] == {"landline": 2}


def test_list_shows_when_a_source_that_fails_is_tried_next(hall: Hall, board: Board) -> None:
    assert "next try" not in run("list").stdout
    board.detail, board.next_try = "db1 does not answer", 42.0
    assert "db1 does not answer; next try in 42 s" in run("list").stdout


def test_pause_and_resume_are_done_and_noted(hall: Hall, board: Board) -> None:
    assert "paused" in run("pause", "core").stdout
    assert board.state == "paused"
    assert "running" in run("resume", "core").stdout
    assert [(line["event"], line["detail"], line["uid"]) for line in hall.lines] == [
        ("admin_act", "pause", 1000), ("admin_act", "resume", 1000),
    ]  # fmt: skip


def test_a_source_that_there_is_not_is_refused_with_those_that_there_are(hall: Hall) -> None:
    for words in (("pause", "cards"), ("check", "cards"), ("unread", "cards"), ("lag", "cards")):
        assert "there is no such source; known: core (unknown_source)" in run(*words, status=1).stderr


def test_a_check_tells_everything_by_who_mends_it_and_fails_when_something_is_fatal(hall: Hall, board: Board) -> None:
    assert "core: messages can be taken" in run("check", "core").stderr
    board.problems = (
        ProblemView("network", "network", "db2:5432 does not answer", "let it through", True),
        ProblemView("rights", "dba", "no right", "GRANT UPDATE (status) ON mgate.outbox TO mgate;", True),
        ProblemView("clock", "mgate", "the clock is 2 s off", "look at NTP", False),
    )
    shown = run("check", "core", status=1).stdout
    assert shown.index("dba") < shown.index("GRANT UPDATE") < shown.index("let it through")
    assert "(warning) the clock is 2 s off" in shown
    board.problems = board.problems[2:]
    run("check", "core")


def test_lag_says_what_the_database_says(hall: Hall, board: Board) -> None:
    assert "3 rows wait, the oldest for 1 min 15 s" in run("lag", "core").stdout
    assert "the database's clock is 2.2 s behind this machine's" in run("lag", "core").stdout
    board.failed = Failed(503, "unreachable", "db1 does not answer; ask the network team")
    assert "ask the network team (unreachable)" in run("lag", "core", status=1).stderr


def test_lag_says_that_procedures_do_not_tell_it(hall: Hall, board: Board) -> None:
    board.waiting = -1
    assert run("lag", "core").stdout.startswith("how many rows wait is not known in mode procedures\n")


def test_rewind_shows_what_it_would_be_and_asks(hall: Hall, board: Board) -> None:
    run("rewind", "core", "--since", "2027-01-15T11:00:00+03:00", status=1, answers="n\n")
    assert board.asked == [(1_800_000_000.0, True)]
    done = run("rewind", "core", "--since", "2027-01-15T11:00:00+03:00", answers="y\n")
    assert "40 rows would be claimed again; 2 have a final result" in done.stdout
    assert "40 rows will be claimed again" in done.stdout
    assert board.asked[1:] == [(1_800_000_000.0, True), (1_800_000_000.0, False)]


def test_rewind_need_not_ask(hall: Hall, board: Board) -> None:
    board.warning = "a message is remembered for 8 days"
    assert "think of it: a message is remembered" in run("rewind", "core", "--since", "2h", "--yes").stderr
    run("rewind", "core", "--since", "2h", "--dry-run")
    assert [dry_run for _, dry_run in board.asked] == [False, True]
    assert [line["detail"] for line in hall.lines] == ["rewind"]
    assert "nobody can be asked" in run("rewind", "core", "--since", "2h", "--json", status=2).stderr


@pytest.mark.parametrize("since", ["yesterday", "2027-01-15T11:00:00", "12"])
def test_a_moment_without_its_zone_is_no_moment(hall: Hall, since: str) -> None:
    assert "such as" in run("rewind", "core", "--since", since, "--yes", status=2).stderr


def test_unread_lists_rows_and_reasons_and_no_number(hall: Hall, board: Board) -> None:
    assert "every number could be read" in run("unread", "core").stderr
    board.counts = {"landline": 1}
    shown = run("unread", "core").stdout
    assert all(word in shown for word in ("landline", "17", "8017 ***-**-01", "2027-01-15 08:00:00"))


def test_a_call_is_made_with_its_parameters(hall: Hall, board: Board) -> None:
    assert "10.00" in run("call", "core", "balance", "account=17", "branch=a=b").stdout
    assert board.asked == [("balance", {"account": "17", "branch": "a=b"})]
    assert json.loads(run("call", "core", "balance", "--json").stdout)["rows"] == [
        {"amount": "10.00", "currency": None}
    ]
    assert "is not KEY=VALUE" in run("call", "core", "balance", "account", status=2).stderr
    board.failed = Failed(422, "missing_parameter", "account: is missing")
    assert "account: is missing (missing_parameter)" in run("call", "core", "balance", status=1).stderr


@pytest.mark.parametrize(
    ("target", "body", "status"),
    [
        ("core:explode", b"", 404),
        ("core:rewind", b"{", 422),
        ("core:rewind", b'{"since":"x"}', 422),
        ("core", b"", 404),
    ],
)
def test_what_the_paths_do_not_take_is_refused(hall: Hall, target: str, body: bytes, status: int) -> None:
    with pytest.raises(Refused) as error:
        hall.ask("POST", f"/v1/sources/{target}", ErrorView, body)
    assert error.value.status == status


def test_a_column_of_any_type_is_shown(hall: Hall, board: Board) -> None:
    board.rows = ({"where": Path("/somewhere")},)
    assert "/somewhere" in run("call", "core", "balance").stdout
