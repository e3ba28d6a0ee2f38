"""The guards at the door: everything that the bank submits passes them before it is kept.

A message is refused with a named code, or goes on: as it is, later, or in other letters. What is counted is counted
when a message passes, so that the many of one run count against each other, and taken back when it came to nothing or
was known already. And what is known already is never refused: a repeat of a message that was taken gets the answer that
the first one got, whatever the guards think of it now.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, tzinfo
from typing import Final, NamedTuple, Protocol
from zlib import crc32

import msgspec

from mgate.config.guards import Guards as Settings
from mgate.config.guards import ServiceGuards, Texts
from mgate.intake.codes import Code, refusal
from mgate.intake.counts import Counts
from mgate.intake.pumping import Watch
from mgate.intake.recipients import ANY, Countries, Zones
from mgate.model.entry import Submission
from mgate.model.message import MessageId, Secret, TrafficClass
from mgate.model.ports import Acceptor, Answer, NoAnswer, Refusal, Taken
from mgate.policy.guards.counting import MOST, QUARTERS, Cells, Limit, admit, quarter, take_back
from mgate.policy.guards.flood import PERIOD, Flooded, again, forget
from mgate.policy.guards.pumping import Marks
from mgate.policy.guards.quiet import WEEK, Allowed, Span, TooShort, Window, fit, open_span, read_hours
from mgate.policy.guards.text import Fault, Trick, Wishes, fault_of
from mgate.policy.preview import in_fewer_parts

_CODES: Final = {
    Trick.PAN: Code.PAN_IN_TEXT,
    Trick.LINK: Code.LINK_NOT_ALLOWED,
    Trick.CONTROL: Code.CONTROL_CHARACTER,
    Trick.INVISIBLE: Code.INVISIBLE_CHARACTER,
    Trick.DIRECTION: Code.DIRECTION_CHARACTER,
    Trick.MIXED: Code.MIXED_SCRIPTS,
}
_OTP: Final = TrafficClass.OTP
_SALT: Final = 0xD6E8_FEB8_6659_FD93
_WHOLE: Final = (1 << 64) - 1
_WHOLE_PRINT: Final = (1 << 32) - 1
_QUARTERS_A_SECOND: Final = QUARTERS / PERIOD
_RETRY: Final = 1


class _Rules(NamedTuple):
    """The guards of one class, made ready."""

    wishes: Wishes
    salt: int
    different: int
    identical: int
    limits: tuple[tuple[Limit, Cells], ...]
    window: Window | None
    table: str
    watched: bool


class Guards:
    """Every guard.

    Args:
        counts: what they count with.
        watch: over the ranges that get codes.
        key_of: 64 bits of a number, always the same.
        holidays: the dates of the holiday file.
    """

    def __init__(
        self, settings: Settings, texts: Texts, holidays: frozenset[date], counts: Counts, watch: Watch,
        key_of: Callable[[str], int],
    ) -> None:  # fmt: skip
        self._counts = counts
        self._flood = counts.flood
        self._numbers, _, self._first = counts.flood
        self._places = len(counts.flood.first) - 1
        self._watch = watch
        self._key_of = key_of
        self.apply(settings, texts, holidays)

    def apply(self, settings: Settings, texts: Texts, holidays: frozenset[date]) -> None:
        """Go on by these settings; what is counted stays counted."""
        of_class = {traffic: getattr(settings, traffic.word) for traffic in TrafficClass}
        self._counts.apply({traffic: guards.frequency for traffic, guards in of_class.items()})
        ready = [self._ready(each, settings, of_class[each], getattr(texts, each.word)) for each in TrafficClass]
        self._rules = (ready[0], *ready)  # by the number of a class, which is quicker than by the class
        self._countries = None if ANY in settings.countries else Countries(settings.countries)
        self._zones = Zones(settings.time_zone, dict(pair.split("=", 1) for pair in settings.zones))
        self._holidays = holidays
        self._spans: dict[tuple[Window, tuple[tzinfo, ...]], tuple[float, Span | None]] = {}
        marks = Marks(settings.pumping_floor, settings.pumping_factor)
        self._watch.apply(marks, settings.pumping == "block", settings.pumping_block)

    def _ready(self, traffic: TrafficClass, settings: Settings, own: object, table: str) -> _Rules:
        guards = own if isinstance(own, ServiceGuards) else msgspec.convert(own, ServiceGuards, from_attributes=True)
        window = None
        if guards.hours or set(guards.days) != set(WEEK):
            opens, closes = read_hours(guards.hours) or (0, 1_440)
            window = Window(opens, closes, frozenset(map(WEEK.index, guards.days)))
        wishes = Wishes(settings.cards == "refuse", settings.tricks == "refuse", frozenset(guards.links))
        limits = tuple((limit, self._counts.of_limit(traffic, limit)) for limit in guards.frequency)
        salt = traffic * _SALT & _WHOLE
        watched = traffic is _OTP and settings.pumping != "off"
        return _Rules(wishes, salt, guards.different, guards.identical, limits, window, table, watched)

    # ---- one message -----------------------------------------------------------------------------------------------

    def judge(self, asked: Submission, now: float) -> Submission | Refusal:
        """The message as it may go on, or why it may not. What is said of it tells neither its number nor its text."""
        # Every message comes this way: what is common is done here, and what is rare is asked elsewhere.
        rules = self._rules[asked.traffic]
        wishes, salt, different, identical, limits, window, table, watched = rules
        text, to = asked.text.reveal(), asked.to.e164
        if self._countries is not None and not self._countries.allows(to):
            return refusal(Code.COUNTRY_NOT_ALLOWED, "to")
        fault = fault_of(text, wishes)
        if fault is not None:
            return _of_text(fault)
        if window is not None or table:
            changed = self._change(asked, rules, now)
            if isinstance(changed, Refusal):
                return changed
            asked = changed
        if watched and not self._watch.admit(to, now):
            return refusal(Code.RANGE_BLOCKED, "to")
        key = self._key_of(to) ^ salt
        refused = self._too_frequent(key, rules, now) if limits else None
        if refused is None:
            if not different and not identical:
                return asked
            same, hour = crc32(text.encode(), key & _WHOLE_PRINT), int(now * _QUARTERS_A_SECOND)
            found = admit(self._numbers, key, hour, different or MOST)
            if found == 1:
                self._first[key & self._places] = same
                return asked
            refused = self._again(found, key, same, hour, rules, now)
        if refused is not None and watched:
            self._watch.take_back(to)
        return asked if refused is None else refused

    def table(self, traffic: TrafficClass) -> str:
        """See ``intake.preview.TextRules``."""
        return self._rules[traffic].table

    def text_refusal(self, traffic: TrafficClass, text: str) -> Refusal | None:
        """See ``intake.preview.TextRules``."""
        fault = fault_of(text, self._rules[traffic].wishes)
        return _of_text(fault) if fault is not None else None

    def _again(self, found: int, key: int, same: int, hour: int, rules: _Rules, now: float) -> Refusal | None:
        """Of a number that had a message in this hour: what the flood guard says."""
        flooded = again(self._flood, found, key, same, hour, rules.different, rules.identical)
        if flooded is None:
            return None
        self._forget_limits(key, rules, now)
        return _flooded(flooded, rules)

    def take_back(self, asked: Submission, text: str, now: float) -> None:
        """A message that ``judge`` let pass came to nothing, or was known: count it no more."""
        rules = self._rules[asked.traffic]
        key = self._key_of(asked.to.e164) ^ rules.salt
        if rules.watched:
            self._watch.take_back(asked.to.e164)
        self._forget_limits(key, rules, now)
        forget(self._flood, key, crc32(text.encode(), key & _WHOLE_PRINT), int(now * _QUARTERS_A_SECOND))

    def _too_frequent(self, key: int, rules: _Rules, now: float) -> Refusal | None:
        for number, (limit, cells) in enumerate(rules.limits):
            if not admit(cells, key, quarter(now, limit.period), limit.most):
                for earlier, counted in rules.limits[:number]:
                    take_back(counted, key, quarter(now, earlier.period))
                detail = f"the number may have {limit.most} messages of that class in {_span(limit.period)}"
                return refusal(Code.TOO_FREQUENT, "to", detail)
        return None

    def _forget_limits(self, key: int, rules: _Rules, now: float) -> None:
        for limit, cells in rules.limits:
            take_back(cells, key, quarter(now, limit.period))

    # ---- later, or in other letters --------------------------------------------------------------------------------

    def _change(self, asked: Submission, rules: _Rules, now: float) -> Submission | Refusal:
        if rules.table:
            changed = in_fewer_parts(asked.text.reveal(), rules.table)
            if changed is not None:
                asked = msgspec.structs.replace(asked, text=Secret(changed))
        if rules.window is None:
            return asked
        zones = self._zones.of(asked.to.e164)
        span = self._open(max(now, asked.not_before), rules.window, zones)
        if span is None:
            return refusal(Code.QUIET_HOURS, "", "within a month its class may leave at no hour where the number is")
        life = fit(now, asked.not_before, asked.expires, b'"not_after":' in asked.canonical, span)
        if isinstance(life, TooShort):
            opens = datetime.fromtimestamp(life.opens, UTC).strftime("%Y-%m-%dT%H:%MZ")
            return refusal(Code.QUIET_HOURS, "not_after", f"{Code.QUIET_HOURS.sentence}: they begin at {opens}")
        if life == Allowed(asked.not_before, asked.expires):
            return asked
        return msgspec.structs.replace(asked, not_before=life.not_before, expires=life.expires)

    def _open(self, at: float, window: Window, zones: tuple[tzinfo, ...]) -> Span | None:
        """The first span at ``at`` or later. It was looked for from some moment on, and stands until it closes."""
        key = window, zones
        looked_at, span = self._spans.get(key, (0.0, None))
        if span is not None and looked_at <= at < span.closes:
            return span
        found = open_span(at, window, zones, self._holidays)
        self._spans[key] = at, found
        return found


def _of_text(fault: Fault) -> Refusal:
    code = _CODES[fault.trick]
    word = f": {fault.word}" if fault.word else ""
    return refusal(code, "text", f"{code.sentence}{word}, at character {fault.place}")


def _flooded(found: Flooded, rules: _Rules) -> Refusal:
    if found is Flooded.DIFFERENT:
        detail = f"the number may have {rules.different} different texts of that class in an hour"
    else:
        detail = f"the number may have the same text of that class {rules.identical} times in an hour"
    return refusal(Code.FLOOD, "to", detail)


def _span(period: float) -> str:
    days = period / 86_400
    return "a day" if days == 1 else f"{days:.0f} days" if days % 1 == 0 else f"{period / 3_600:g} hours"


# ---- the door ------------------------------------------------------------------------------------------------------


class Desk(Protocol):
    """Who knows what was taken."""

    def known(
        self, client: str, refs: Sequence[str], answer: Callable[[Mapping[str, MessageId] | NoAnswer], None]
    ) -> None:  # fmt: skip
        """The messages of those references that are remembered."""


class Guarded:
    """An ``Acceptor`` behind the guards.

    Args:
        wall: seconds since 1970.
        refused: told of every refusal: the client, the class and the code.
    """

    def __init__(
        self, acceptor: Acceptor, guards: Guards, desk: Desk, wall: Callable[[], float],
        refused: Callable[[Submission, Refusal], None],
    ) -> None:  # fmt: skip
        self._acceptor = acceptor
        self._guards = guards
        self._desk = desk
        self._wall = wall
        self._refused = refused

    def accept(self, submissions: Sequence[Submission], answer: Callable[[Sequence[Answer]], None]) -> None:
        """See ``model.ports.Acceptor``."""
        now, judge = self._wall(), self._guards.judge
        judged = [judge(submission, now) for submission in submissions]
        run = _Run(submissions, answer)
        passed = [place for place, one in enumerate(judged) if isinstance(one, Submission)]
        held = {place: one for place, one in enumerate(judged) if isinstance(one, Refusal)}
        run.missing = bool(passed) + len({submissions[place].client for place in held})
        if not run.missing:
            answer([])
        if passed:
            self._pass(run, passed, [one for one in judged if isinstance(one, Submission)], now)
        for client in {submissions[place].client: None for place in held}:
            self._ask(run, client, {place: one for place, one in held.items() if submissions[place].client == client})

    def _pass(self, run: _Run, places: Sequence[int], passed: Sequence[Submission], now: float) -> None:
        def answered(answers: Sequence[Answer]) -> None:
            for place, one in zip(places, answers, strict=True):
                if not isinstance(one, Taken) or one.duplicate:
                    self._guards.take_back(run.submissions[place], run.submissions[place].text.reveal(), now)
            run.put(places, answers)

        self._acceptor.accept(passed, answered)

    def _ask(self, run: _Run, client: str, held: Mapping[int, Refusal]) -> None:
        """What was taken before is no new message: only acceptance can say what became of it."""

        def told(known: Mapping[str, MessageId] | NoAnswer) -> None:
            if isinstance(known, NoAnswer):
                run.put([*held], [refusal(Code.BUSY, retry_after=_RETRY)] * len(held))
                return
            old = [place for place in held if run.submissions[place].ref in known]
            new = [place for place in held if run.submissions[place].ref not in known]
            for place in new:
                self._refused(run.submissions[place], held[place])
            run.missing += bool(old)
            run.put(new, [held[place] for place in new])
            if old:
                self._acceptor.accept([run.submissions[place] for place in old], lambda answers: run.put(old, answers))

        self._desk.known(client, [run.submissions[place].ref for place in held], told)


class _Run:
    """The answers of one call, as they come together. ``missing``: of how many bundles."""

    __slots__ = ("_answer", "_answers", "missing", "submissions")

    def __init__(self, submissions: Sequence[Submission], answer: Callable[[Sequence[Answer]], None]) -> None:
        self.submissions = submissions
        self.missing = 0
        self._answer = answer
        self._answers: dict[int, Answer] = {}

    def put(self, places: Sequence[int], answers: Sequence[Answer]) -> None:
        self._answers.update(zip(places, answers, strict=True))
        self.missing -= 1
        if not self.missing:
            self._answer([self._answers[place] for place in range(len(self.submissions))])
