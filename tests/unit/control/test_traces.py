"""mgatectl bind trace, and the admin API behind it, on a real trace of a line that the test plays."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec
import pytest
from click.testing import CliRunner, Result

from mgate.control import talk
from mgate.control.cli import main
from mgate.control.trace_views import TraceView
from mgate.control.traces import TraceHatch
from mgate.control.views import ErrorView
from mgate.daemon.traces import Traces
from mgate.net.exchange import Head, Line, Request
from mgate.net.peers import Peer
from mgate.net.routing import Found, Route, Routes
from mgate.telemetry import Log
from tests.unit.channels.smpp import line as smpp
from tests.unit.control.conftest import Shell


class NoLine(Line):
    """A connection that nobody reads."""

    def answered(self) -> None: ...

    def written(self, octets: int) -> None: ...

    def regulate(self) -> None: ...


class House:
    """The admin API over a trace of one bound line."""

    def __init__(self) -> None:
        self.line, self.call = smpp.started(enquire_link=3600.0)
        self.logged: list[bytes] = []
        tracer = Traces({"sms:op-a": self.line.channel}, self.line.clock, lambda: smpp.START)
        self._routes = Routes(TraceHatch(tracer, Log(self.logged.append)).routes())

    def ask(self, method: str, target: str) -> tuple[int, bytes]:
        url = urlsplit(target)
        found = self._routes.find(method.encode(), url.path.encode())
        assert isinstance(found, Found)
        assert isinstance(found.route, Route)
        head = Head(found.route.answer, method, url.path.encode(), url.query.encode(), found.params)
        request = Request(NoLine(), head, Peer(1000, 1000, 7), b"")
        found.route.answer(request)
        assert request.answer is not None
        answered, _, octets = request.answer.partition(b"\r\n\r\n")
        return int(answered.split()[1]), octets


Run = Callable[..., Result]


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def run(shell: Shell, house: House, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command on that house; while it waits, an operator's receipt comes and half a minute goes by."""
    assert shell.init().exit_code == 0

    def call(method: str, path: str) -> TraceView:
        status, body = house.ask(method, path)
        if status >= 400:
            raise talk.Refused(status, msgspec.json.decode(body, type=ErrorView))
        return msgspec.json.decode(body, type=TraceView)

    def pause(_: float) -> None:
        house.call.say(smpp.receipt(11, "a1"))
        house.line.clock.advance(30.0)

    monkeypatch.setattr(talk.Daemon, "post", lambda _self, path, _kind: call("POST", path))
    monkeypatch.setattr(talk.Daemon, "get", lambda _self, path, _kind, after: call("GET", f"{path}?after={after}"))
    monkeypatch.setattr(talk.Daemon, "delete", lambda _self, path, _kind: call("DELETE", path))
    monkeypatch.setattr("mgate.control.cli.traces.time.sleep", pause)
    return lambda *words: CliRunner().invoke(main, ["bind", "trace", "--config", str(shell.config), *words])


def test_it_shows_each_pdu_and_ends_by_itself(run: Run) -> None:
    result = run("sms:op-a", "--for", "1m")
    assert result.exit_code == 0
    assert result.stdout.count("deliver_sm") == 2
    assert "id a1" in result.stdout
    assert "375291110001" not in result.stdout


def test_programs_get_a_line_for_each_pdu(run: Run) -> None:
    result = run("sms:op-a", "--for", "20s", "--json")
    (row,) = [json.loads(line) for line in result.stdout.splitlines()]
    assert (row["way"], row["command"], row["id"]) == ("in", "deliver_sm", "a1")


def test_a_number_that_nothing_concerns_shows_nothing(run: Run) -> None:
    assert run("sms:op-a", "--to", "+375291119999", "--for", "20s").stdout == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("sms:nobody",), "there is no such route; known: sms:op-a"),
        (("sms:op-a/7",), "there is no such bind; sms:op-a has 1"),
        (("sms:op-a", "--for", "2h"), "is not allowed"),
    ],
)
def test_what_cannot_be_traced_is_said(run: Run, words: tuple[str, ...], said: str) -> None:
    result = run(*words)
    assert result.exit_code in {1, 2}
    assert said in result.stderr


def test_who_traces_is_in_the_log_and_the_number_is_not(run: Run, house: House) -> None:
    run("sms:op-a", "--to", "+375291110001", "--for", "20s")
    said = b"".join(house.logged)
    assert b"trace of one number" in said
    assert b"375291110001" not in said


def test_where_nobody_traces_the_api_says_so(house: House) -> None:
    assert house.ask("GET", "/v1/traces/sms:op-a")[0] == 404
    assert house.ask("DELETE", "/v1/traces/sms:op-a")[0] == 404
