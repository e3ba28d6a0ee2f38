"""One row of a bank's outbox: a ``Submission``, or the reason why not. Pure.

A row is read by the very rules of a push; what is its own is the number, as the source's normaliser reads it, and the
reference: the row's identity, which must name the same message for ever. The canonical form holds what the row says and
nothing that our configuration adds, so that a row which comes again after a reload is still the same.

Most rows are in order, and `Reading` reads those in one pass. It refuses nothing: whatever it does not take, `read_row`
reads again from the start. A property in the tests holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NoReturn

import msgspec

from mgate.intake.client import PushClient
from mgate.intake.codes import Code
from mgate.intake.normal import Normaliser, Unread
from mgate.intake.request import (
    LONGEST_GROUP,
    LONGEST_LIFE,
    LONGEST_REF,
    SURELY_FITS,
    is_sender,
    read_fields,
)
from mgate.intake.shape import canonical, read_object
from mgate.model.entry import Submission
from mgate.model.message import TrafficClass
from mgate.model.ports import Refusal
from mgate.model.source import Row, reference_of
from mgate.policy.classes import RULES

_COLUMNS: Final = {"not_after": "expires", "ref": "key", "class": "traffic"}
"""What a row calls the fields of a push."""


@dataclass(frozen=True, slots=True)
class RowRules:
    """By what the rows of one source are read.

    Attributes:
        client: what the source may send, and its defaults; its name is the source's.
        traffic: the class of a row that says none; None: each must say one.
        numbers: reads its numbers.
        versioned: whether its rows have versions; then each reference bears one.
    """

    client: PushClient
    traffic: TrafficClass | None
    numbers: Normaliser
    versioned: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a row cannot be sent.

    Attributes:
        reason: a word: of ``codes.Code``, of ``normal.Unread``, or ``cancelled``.
        sentence: for a person, without the text or the number.
    """

    reason: str
    sentence: str


CANCELLED: Final = Refused("cancelled", "it was cancelled before it was taken; it was not sent")


class _Stop(Exception):
    """Carries a refusal out of the field that found it."""

    def __init__(self, refused: Refused) -> None:
        self.refused = refused


def reference(row: Row, rules: RowRules) -> str | Refused:
    """The name of the row's message: ``key``, or ``key/version``. No two rows of a source share one."""
    # With a slash in the version two rows could have one name, and the second would be taken for the first.
    name = reference_of(row.key, row.version, versioned=rules.versioned)
    return Refused(Code.BAD_VALUE.word, "version: a version may have no slash") if name is None else name


class Reading:
    """Reads the rows of one source by rules that stand."""

    __slots__ = ("_classes", "_default", "_name", "_numbers", "_senders", "rules")

    def __init__(self, rules: RowRules) -> None:
        client = rules.client
        self.rules = rules
        self._name = client.name
        self._numbers = rules.numbers
        self._classes = {traffic.word: (traffic, RULES[traffic].life) for traffic in client.classes}
        if rules.traffic in client.classes:
            self._classes[""] = rules.traffic, RULES[rules.traffic].life
        self._default = client.default_sender
        self._senders = None if client.senders is None else frozenset(filter(is_sender, client.senders))

    def read(self, row: Row, now: float) -> Submission | Refused:
        """See `read_row`."""
        return self._read_common(row, now) or read_row(row, self.rules, now)

    def _read_common(self, row: Row, now: float) -> Submission | None:
        """The message, or None when the row must be read with care."""
        text, group = row.text.reveal(), row.group
        ref = reference_of(row.key, row.version, versioned=self.rules.versioned)
        rules, number, sender = self._classes.get(row.traffic), self._numbers.read(row.to), self._sender(row.sender)
        if (
            rules is None or sender is None or not ref or isinstance(number, Unread)
            or len(ref) > LONGEST_REF or not ref.isprintable()
            or not 0 < len(text) <= SURELY_FITS or "\0" in text
            or len(group) > LONGEST_GROUP or not group.isprintable()
            or row.not_before or row.meta
        ):  # fmt: skip
            return None
        traffic, life = rules
        said = _common(row, ref, text)
        expires = _end(row.expires, said, now) if row.expires else now + life
        if expires is None:
            return None
        try:
            same = _encode(said)
        except UnicodeEncodeError:
            return None
        return Submission(
            self._name, ref, number, traffic, row.text, sender, expires, 0.0, group, (), b"", same, -1
        )  # fmt: skip

    def _sender(self, given: str) -> str | None:
        if not given:
            return self._default
        known = _is_sender(given) if self._senders is None else given in self._senders
        return given if known else None


_encode: Final = msgspec.json.Encoder(order="deterministic").encode
_is_sender: Final = lru_cache(maxsize=1_024)(is_sender)


def _common(row: Row, ref: str, text: str) -> dict[str, object]:
    """See `_said`, for the fields that most rows have."""
    said: dict[str, object] = {"ref": ref, "text": text, "to": row.to}
    if row.traffic:
        said["class"] = row.traffic
    if row.sender:
        said["sender"] = row.sender
    if row.group:
        said["group"] = row.group
    return said


def _end(seconds: float, said: dict[str, object], now: float) -> float | None:
    """The end of a row's life as its canonical form has it, which is written into ``said``; None for care."""
    if not now < seconds < now + LONGEST_LIFE - 1.0:
        return None
    moment = datetime.fromtimestamp(seconds, UTC)
    said["not_after"] = moment.isoformat()
    # To the microsecond, as it is read from that form.
    ends = moment.timestamp()
    return ends if ends > now else None


def read_row(row: Row, rules: RowRules, now: float) -> Submission | Refused:
    """Read one row; ``now`` in seconds since 1970. ``row.cancel`` is not looked at."""
    try:
        return _read(row, rules, now)
    except _Stop as stop:
        return stop.refused


def told(refusal: Refusal) -> Refused:
    """A refusal of the push rules, or of acceptance, in the words of rows."""
    field = _COLUMNS.get(refusal.field, refusal.field)
    return Refused(refusal.code, f"{field}: {refusal.detail}" if field else refusal.detail)


def _read(row: Row, rules: RowRules, now: float) -> Submission:
    ref = reference(row, rules)
    if isinstance(ref, Refused):
        raise _Stop(ref)
    said = _said(row, ref)
    number = rules.numbers.read(row.to)
    if isinstance(number, Unread):
        raise _Stop(Refused(number.word, f"to: {number.sentence}"))
    same = _canonical(said)
    given = {**said, "to": number.e164}
    if not row.traffic and rules.traffic is not None:
        given["class"] = rules.traffic.word
    read = read_fields(given, rules.client, -1, now)
    if isinstance(read, Refusal):
        raise _Stop(told(read))
    return msgspec.structs.replace(read, canonical=same)


def _said(row: Row, ref: str) -> dict[str, object]:
    """The fields of a push that the row has."""
    text = row.text.reveal()
    if "\0" in text:
        _refuse(Code.NUL, "text")
    said: dict[str, object] = {"ref": ref, "to": row.to, "text": text}
    words = (("class", row.traffic), ("sender", row.sender), ("group", row.group))
    said.update((name, value) for name, value in words if value)
    if row.expires:
        said["not_after"] = _moment(row.expires, "expires")
    if row.not_before:
        said["not_before"] = _moment(row.not_before, "not_before")
    if row.meta:
        said["meta"] = _meta(row.meta)
    return said


def _moment(seconds: float, column: str) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        _refuse(Code.OUT_OF_RANGE, column)


def _meta(raw: bytes) -> object:
    held = read_object(b'{"meta":' + raw + b"}")
    if isinstance(held, Refusal):
        raise _Stop(Refused(held.code, f"meta: {held.detail}"))
    if held.keys() != {"meta"}:
        _refuse(Code.BAD_JSON, "meta")
    return held["meta"]


def _canonical(said: dict[str, object]) -> bytes:
    try:
        return canonical(said)
    except UnicodeEncodeError:
        _refuse(Code.LONE_SURROGATE, "text")


def _refuse(code: Code, column: str) -> NoReturn:
    raise _Stop(Refused(code.word, f"{column}: {code.sentence}"))
