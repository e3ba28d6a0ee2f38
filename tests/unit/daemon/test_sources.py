"""The running sources, over databases in memory and a clock that leaps."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from twisted.internet.defer import Deferred

from mgate.config import CoreSource, read
from mgate.config.sources import NUMBER_FORMS, SourceCall
from mgate.control.source_views import CalledView, CheckView, LagView, RewoundView
from mgate.control.sources import Failed
from mgate.daemon.sources import STOP_LIMIT, Around, Sources, rules_of
from mgate.intake.line import Line
from mgate.intake.normal import FORM_BY_WORD, USUAL
from mgate.intake.polling import LONGEST
from mgate.model.source import Lag, Problem, SourceError
from mgate.net.bridge import Bridge
from mgate.telemetry import Alarm, Log, Telemetry
from tests.conformance.memory_source import MemorySource
from tests.unit.intake.bank import NOW, Spool, a_row
from tests.unit.intake.virtual import play

SHIPPED = Path(__file__).parents[3] / "etc" / "mgate.toml"
DOWN = SourceError("unreachable", "db1:5432 does not answer", "ask the network team to let it through")
CORE = CoreSource(
    name="core",
    hosts=("db1.bank.example:5432",),
    database="core",
    user="mgate",
    tls="bank",
    time_zone="UTC",
    default_class="service",
    default_sender="EXBANK",
    calls=(SourceCall(name="balance", sql="SELECT * FROM balance(%(account)s)"),),
)


class LoopClock:
    """A reactor's clock over the running loop."""

    def __init__(self) -> None:
        self._asyncioEventloop = asyncio.get_running_loop()

    def seconds(self) -> float:
        return self._asyncioEventloop.time()

    def callLater(self, delay: float, act: Callable[..., object], *given: object) -> object:
        timer = self._asyncioEventloop.call_later(delay, lambda: act(*given))
        return SimpleNamespace(
            cancel=timer.cancel, active=lambda: not timer.cancelled() and timer.when() > self.seconds()
        )


class Office:
    """Sources under a configuration, and all that they say."""

    def __init__(self, *sources: CoreSource) -> None:
        clock: Any = LoopClock()
        self.lines: list[dict[str, object]] = []
        self.spool = Spool()
        self.telemetry = Telemetry("0", {}, ())
        self.opened: list[MemorySource] = []
        self.bridge = Bridge(clock)
        around = Around(
            self._open, self.spool, self.spool, self.bridge, lambda: "", lambda: NOW + clock.seconds(), clock,
            self.telemetry, Log(lambda line: self.lines.append(json.loads(line))),
        )  # fmt: skip
        self.config = msgspec.structs.replace(read(SHIPPED), sources=sources)
        self.sources = Sources(self.config, around)

    def _open(self, _: CoreSource) -> Line:
        self.opened.append(MemorySource())
        return Line(self.opened[-1])

    def apply(self, *sources: CoreSource) -> None:
        self.sources.apply(msgspec.structs.replace(self.config, sources=sources))

    def said(self) -> list[object]:
        return [line["event"] for line in self.lines]

    async def stop(self) -> None:
        await ended(self.sources.stop())
        await ended(self.bridge.stop())


def ended(deferred: Deferred[Any]) -> asyncio.Future[Any]:
    return deferred.asFuture(asyncio.get_running_loop())


async def told(ask: Callable[[Callable[[Any], None]], None]) -> Any:
    answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    ask(answer.set_result)
    return await answer


def other(source: CoreSource, **changes: object) -> CoreSource:
    return msgspec.structs.replace(source, **changes)


def test_who_asks_sees_how_many_rows_wait_now_and_not_what_was_counted_half_a_minute_ago(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def act() -> None:
        office = Office(CORE, other(CORE, name="slow"), other(CORE, name="down"))
        core, slow, down = office.opened
        for source in office.opened:
            source.put(a_row(1))

        async def never() -> Lag:
            await asyncio.sleep(60.0)
            raise AssertionError

        async def fails() -> Lag:
            raise DOWN

        monkeypatch.setattr(slow, "lag", never)
        monkeypatch.setattr(down, "lag", fails)
        for waiting in (1, 2):
            view = await told(office.sources.look)
            waits = {each.name: each.waiting for each in view.sources}
            assert waits == {"core": waiting, "slow": -1, "down": -1}
            core.put(a_row(2))
        await office.stop()

    play(act())


def test_rows_of_every_source_are_taken_under_its_own_name() -> None:
    async def act() -> None:
        office = Office(CORE, other(CORE, name="cards"))
        office.sources.start()
        for number, source in enumerate(office.opened):
            source.put(a_row(number))
        await asyncio.sleep(3.0)
        assert {kept.client for kept in office.spool.kept.values()} == {"core", "cards"}
        assert set(office.spool.kept) == {"0/", "1/"}
        assert [(view.name, view.state, view.taken) for view in office.sources.views()] == [
            ("core", "running", 1), ("cards", "running", 1),
        ]  # fmt: skip
        await office.stop()
        assert all(source.closed for source in office.opened)
        assert [view.state for view in office.sources.views()] == ["stopped", "stopped"]

    play(act())


def test_a_database_that_is_away_is_one_alarm_and_one_line_and_others_go_on() -> None:
    async def act() -> None:
        office = Office(CORE, other(CORE, name="cards"))
        for verb in ("claim", "lag"):
            office.opened[0].fail(verb, DOWN, 1000)
        office.sources.start()
        office.opened[1].put(a_row(1))
        await asyncio.sleep(600.0)
        assert len(office.spool.kept) == 1
        assert office.said() == ["source_failed", "alarm_raised"]
        assert office.lines[0]["client"] == "core"
        assert office.lines[0]["detail"] == "ask the network team to let it through"
        assert office.telemetry.alarms() == (Alarm.SOURCE_DOWN.value,)
        view = office.sources.views("core")[0]
        assert (view.state, view.reason, view.todo) == ("failing", "unreachable", DOWN.todo)
        office.opened[0]._failing.clear()
        await asyncio.sleep(LONGEST + 1)
        assert office.said()[2:] == ["source_well", "alarm_cleared"]
        assert office.telemetry.alarms() == ()
        await office.stop()

    play(act())


def test_other_rules_are_taken_up_without_another_connection() -> None:
    async def act() -> None:
        office = Office(CORE)
        office.sources.start()
        await asyncio.sleep(1.5)
        office.apply(other(CORE, default_sender="OTHER"))
        office.opened[0].put(a_row(1))
        await asyncio.sleep(2.0)
        assert len(office.opened) == 1
        assert office.spool.kept["1/"].sender == "OTHER"
        await office.stop()

    play(act())


def test_reloads_in_quick_succession_never_have_two_pollers_of_one_source() -> None:
    async def act() -> None:
        office = Office(CORE)
        office.spool.delay = 1.0
        office.sources.start()
        office.opened[0].put(a_row(1))
        await asyncio.sleep(1.1)
        # The old one finishes what it has claimed; the second reload finds one that has not begun.
        office.apply(other(CORE, hosts=("db2.bank.example:5432",)))
        office.apply(other(CORE, hosts=("db3.bank.example:5432",)))
        office.apply()
        office.apply(other(CORE, hosts=("db4.bank.example:5432",)))
        *others, last = office.opened[1:]
        while not office.opened[0].closed:
            assert last.calls["claim"] + last.calls["lag"] == 0
            await asyncio.sleep(0.01)
        await asyncio.sleep(1.0)
        assert office.opened[0].statuses() == {"1": "taken"}
        assert [source.calls["claim"] + source.calls["lag"] for source in others] == [0, 0]
        assert all(source.closed for source in others)
        assert last.calls["claim"] > 0
        await office.stop()

    play(act())


def test_the_end_waits_for_those_whom_a_reload_has_sent_away() -> None:
    async def act() -> None:
        office = Office(CORE)
        office.spool.delay = 1.0
        office.sources.start()
        office.opened[0].put(a_row(1))
        await asyncio.sleep(1.1)
        office.apply()
        await ended(office.sources.stop())
        assert office.opened[0].closed
        assert office.opened[0].statuses() == {"1": "taken"}
        await office.stop()

    play(act())


def test_another_place_means_another_connection_once_what_is_claimed_is_finished() -> None:
    async def act() -> None:
        office = Office(CORE)
        office.spool.delay = 1.0
        office.sources.start()
        office.opened[0].put(a_row(1))
        await asyncio.sleep(1.1)
        office.apply(other(CORE, hosts=("db2.bank.example:5432",)), other(CORE, name="cards"))
        office.opened[1].put(a_row(2))
        await asyncio.sleep(5.0)
        assert office.opened[0].statuses() == {"1": "taken"}
        assert office.opened[0].closed
        assert office.opened[1].statuses() == {"2": "taken"}
        assert office.sources.names() == ("core", "cards")
        office.apply()
        await asyncio.sleep(1.0)
        assert office.sources.names() == ()
        assert all(source.closed for source in office.opened)
        await office.stop()

    play(act())


def test_a_source_that_is_gone_takes_its_alarm_with_it() -> None:
    async def act() -> None:
        office = Office(CORE)
        for verb in ("claim", "lag"):
            office.opened[0].fail(verb, DOWN, 1000)
        office.sources.start()
        await asyncio.sleep(5.0)
        office.apply()
        await asyncio.sleep(1.0)
        assert office.telemetry.alarms() == ()
        await office.stop()

    play(act())


def test_a_paused_source_stays_so_over_another_place() -> None:
    async def act() -> None:
        office = Office(CORE)
        office.sources.start()
        office.sources.pause("core")
        office.apply(other(CORE, hosts=("db2.bank.example:5432",)))
        await asyncio.sleep(1.0)
        office.opened[1].put(a_row(1))
        await asyncio.sleep(10.0)
        assert office.sources.views()[0].state == "paused"
        assert not office.spool.kept
        office.sources.resume("core")
        await asyncio.sleep(1.0)
        assert len(office.spool.kept) == 1
        assert office.said() == ["source_paused", "source_resumed"]
        await office.stop()

    play(act())


def test_the_end_takes_no_longer_than_its_limit_whatever_the_spool_does() -> None:
    async def act() -> None:
        office = Office(CORE)
        office.spool.delay = 1e5
        office.sources.start()
        office.opened[0].put(a_row(1))
        await asyncio.sleep(2.0)
        before = asyncio.get_running_loop().time()
        await office.stop()
        assert asyncio.get_running_loop().time() - before <= STOP_LIMIT + 2.0
        assert office.opened[0].statuses() == {"1": "claimed"}

    play(act())


def test_a_check_tells_every_problem_and_what_is_ours() -> None:
    async def act() -> None:
        office = Office(CORE)
        found = Problem(step="rights", who="dba", problem="no right to update", todo="GRANT UPDATE ...")
        office.opened[0].problems = [found]
        office.sources.start()
        office.sources.pause("core")
        view = await told(lambda answer: office.sources.check("core", answer))
        assert isinstance(view, CheckView)
        assert [(each.who, each.fatal) for each in view.problems] == [("dba", True), ("mgate", False)]
        office.opened[0].fail("survey", DOWN)
        view = await told(lambda answer: office.sources.check("core", answer))
        assert (view.problems[0].who, view.problems[0].todo) == ("network", DOWN.todo)
        await office.stop()

    play(act())


def test_lag_rewind_and_calls_are_asked_of_the_database() -> None:
    async def act() -> None:
        office = Office(CORE)
        office.sources.start()
        source = office.opened[0]
        source.answers["balance"] = [{"amount": 10}]
        source.put(a_row(1, created=NOW))
        await asyncio.sleep(3.0)
        assert await told(lambda answer: office.sources.measure("core", answer)) == LagView("core", 0, 0.0, 0.0)
        view = await told(lambda answer: office.sources.rewind("core", NOW - 1, True, answer))
        assert view == RewoundView("core", NOW - 1, True, 1, 0, "")
        old = await told(lambda answer: office.sources.rewind("core", 0.0, True, answer))
        assert "reference_days" in old.warning
        await told(lambda answer: office.sources.rewind("core", NOW - 1, False, answer))
        await asyncio.sleep(1.0)
        assert source.statuses() == {"1": "taken"}
        assert office.sources.views()[0].duplicates == 1
        made = await told(lambda answer: office.sources.call("core", "balance", {"account": "17"}, answer))
        assert made == CalledView("core", "balance", ({"amount": 10},))
        await office.stop()

    play(act())


async def _failing_for_long(office: Office) -> None:
    """Its source has failed so often that the next try is most of a minute away; it answers from now on."""
    source = office.opened[0]
    for verb in ("claim", "lag"):
        source.fail(verb, DOWN, 1000)
    office.sources.start()
    for _ in range(1200):
        await asyncio.sleep(0.5)
        if office.sources.views()[0].next_try > LONGEST / 2 - 1.0:
            break
    assert office.sources.views()[0].next_try > 5.0
    source._failing.clear()
    source.put(a_row(1))


def test_a_check_that_finds_nothing_fatal_ends_the_wait_of_a_source_that_failed() -> None:
    async def act() -> None:
        office = Office(CORE)
        await _failing_for_long(office)
        office.opened[0].fail("survey", DOWN)
        await told(lambda answer: office.sources.check("core", answer))
        await asyncio.sleep(1.0)
        assert not office.spool.kept
        await told(lambda answer: office.sources.check("core", answer))
        await asyncio.sleep(1.0)
        assert len(office.spool.kept) == 1
        view = office.sources.views()[0]
        assert (view.state, view.next_try) == ("running", -1.0)
        await office.stop()

    play(act())


def test_a_reload_ends_the_wait_of_a_source_that_failed() -> None:
    async def act() -> None:
        office = Office(CORE)
        await _failing_for_long(office)
        office.apply(CORE)
        await asyncio.sleep(1.0)
        assert len(office.spool.kept) == 1
        await office.stop()

    play(act())


def test_a_rate_is_kept_from_the_next_claim_on_and_over_checks() -> None:
    async def act() -> None:
        office = Office(CORE)
        office.sources.start()
        await asyncio.sleep(1.5)
        office.apply(other(CORE, rate=10))
        office.opened[0].put(*map(a_row, range(200)))
        for _ in range(10):
            await asyncio.sleep(1.0)
            await told(lambda answer: office.sources.check("core", answer))
        assert 90 <= len(office.spool.kept) <= 130
        assert len(office.opened) == 1
        await office.stop()

    play(act())


def test_what_fails_is_told_with_its_reason() -> None:
    async def act() -> None:
        office = Office(CORE)
        office.sources.start()
        office.opened[0].fail("lag", DOWN, 9)
        failed = await told(lambda answer: office.sources.measure("core", answer))
        assert failed == Failed(503, "unreachable", f"{DOWN}; {DOWN.todo}")
        failed = await told(lambda answer: office.sources.call("core", "balance", {}, answer))
        assert (failed.status, failed.code) == (422, "missing_parameter")
        await office.stop()
        failed = await told(lambda answer: office.sources.measure("core", answer))
        assert (failed.status, failed.code) == (503, "stopping")

    play(act())


def test_the_numbers_that_could_not_be_read_are_listed_without_them() -> None:
    async def act() -> None:
        office = Office(other(CORE, default_country="BY"))
        office.sources.start()
        office.opened[0].put(a_row(1, to="8017 211-10-01"))
        await asyncio.sleep(2.0)
        view = office.sources.unread("core")
        assert view.counts == {"landline": 1}
        assert [(row.key, row.reason, row.shape) for row in view.rows] == [("1", "landline", "8017 ***-**-01")]
        await office.stop()

    play(act())


def test_the_words_of_the_configuration_are_those_of_the_normaliser() -> None:
    assert tuple(FORM_BY_WORD) == NUMBER_FORMS
    assert {FORM_BY_WORD[word] for word in CORE.numbers} == USUAL


def test_references_bear_versions_where_the_table_has_them() -> None:
    assert rules_of(CORE).versioned
    assert not rules_of(other(CORE, columns=(("version", ""),))).versioned
