"""What a client sends as a message: the octets of one JSON object to a ``Submission``, or to the reason why not. Pure.

This is the careful reading, which says what a message is; ``quick`` is a short cut to the same answer. Faults
are looked for in a fixed order (the JSON, unknown fields, then the fields as they stand in ``FIELDS``), and the first
one found is told: a client that mends one after the other sees each once.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final, NoReturn

import msgspec

from mgate.intake.client import PushClient
from mgate.intake.codes import Code, refusal
from mgate.intake.numbers import read_number
from mgate.intake.shape import canonical, read_object
from mgate.model.address import Msisdn
from mgate.model.entry import Submission
from mgate.model.message import CLASS_BY_WORD, MAX_PARTS, Secret, TrafficClass
from mgate.model.ports import Refusal
from mgate.policy.classes import RULES
from mgate.policy.segments import count

FIELDS: Final = (
    "ref", "to", "class", "text", "sender", "valid_for", "not_after", "not_before", "group", "tags", "meta",
)  # fmt: skip
LONGEST_REF: Final = 128
LONGEST_GROUP: Final = 64
MOST_TAGS: Final = 16
LARGEST_META: Final = 1024
LONGEST_LIFE: Final = 30 * 86_400
FARTHEST_START: Final = 180 * 86_400
SURELY_FITS: Final = 8_000
"""So many characters fit into 255 parts whatever they are: at worst two UTF-16 units each, 65 in a part."""
TAG: Final = r"[a-z0-9_-]{1,32}"
SENDER: Final = r"[A-Za-z0-9 ._&-]{1,11}|\+?[0-9]{1,15}"
MOMENT: Final = r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)"

_KNOWN: Final = frozenset(FIELDS)
_TAG: Final = re.compile(TAG, re.ASCII)
_SENDER: Final = re.compile(SENDER, re.ASCII)
_MOMENT: Final = re.compile(MOMENT, re.ASCII)
_FIELD_NAME: Final = re.compile(r"[a-z_]{1,32}", re.ASCII)


class _Refused(Exception):
    """Carries a refusal out of the field that found it."""

    def __init__(self, refused: Refusal) -> None:
        self.refused = refused


def read_submission(raw: bytes, client: PushClient, peer_uid: int, now: float) -> Submission | Refusal:
    """Read one message.

    Args:
        raw: one JSON object, in UTF-8.
        client: who sends it, and what it may do.
        peer_uid: the kernel's word on who is at the other end; -1 when there is none.
        now: seconds since 1970.
    """
    given = read_object(raw)
    return given if isinstance(given, Refusal) else read_fields(given, client, peer_uid, now)


def read_fields(
    given: dict[str, object],
    client: PushClient,
    peer_uid: int,
    now: float,
    to: Msisdn | None = None,
    same: bytes | None = None,
) -> Submission | Refusal:
    """The same, of what came as fields: a row of a database or of a file.

    Args:
        to: the number, where it has been read already. ``same``: the canonical form, where it is not that of ``given``.
    """
    try:
        return _submission(given, client, peer_uid, now, to, same)
    except _Refused as stop:
        return stop.refused


def is_sender(text: str) -> bool:
    """Whether a message can say that it is from this."""
    return _SENDER.fullmatch(text) is not None and text == text.strip()


def is_tag(text: str) -> bool:
    """Whether this is a word for reports."""
    return _TAG.fullmatch(text) is not None


def read_ref(raw: bytes) -> str:
    """The ref of something that was refused, so that the client can tell which it was; empty when it has none."""
    given = read_object(raw)
    if isinstance(given, Refusal):
        return ""
    ref = given.get("ref")
    return ref if isinstance(ref, str) and 0 < len(ref) <= LONGEST_REF and ref.isprintable() else ""


def _submission(
    given: dict[str, object],
    client: PushClient,
    peer_uid: int,
    now: float,
    to: Msisdn | None = None,
    same: bytes | None = None,
) -> Submission:
    if not _KNOWN.issuperset(given):
        _refuse_unknown(given)
    ref = _word(given, "ref", LONGEST_REF)
    if not ref:
        _refuse(Code.MISSING, "ref")
    number = _number(given, client) if to is None else to
    traffic = _traffic(given, client)
    text = _text(given)
    sender = _sender(given, client)
    expires, not_before = _life(given, traffic, now)
    return Submission(
        client=client.name,
        ref=ref,
        to=number,
        traffic=traffic,
        text=text,
        sender=sender,
        expires=expires,
        not_before=not_before,
        group=_word(given, "group", LONGEST_GROUP) if "group" in given else "",
        tags=_tags(given) if "tags" in given else (),
        meta=_meta(given) if "meta" in given else b"",
        canonical=canonical(given) if same is None else same,
        peer_uid=peer_uid,
    )


def _refuse(code: Code, field: str, detail: str = "") -> NoReturn:
    raise _Refused(refusal(code, field, detail))


def _refuse_unknown(given: dict[str, object]) -> NoReturn:
    unknown = next(key for key in given if key not in _KNOWN)
    # A key may be anything, a number or a text among them: it is repeated only when it looks like a field's name.
    name = unknown if _FIELD_NAME.fullmatch(unknown) else ""
    _refuse(Code.UNKNOWN_FIELD, name, f"there is no such field; there are {', '.join(FIELDS)}")


def _string(given: dict[str, object], field: str) -> str:
    value = given.get(field)
    if type(value) is str:
        if not value:
            _refuse(Code.EMPTY, field)
        return value
    if field not in given:
        _refuse(Code.MISSING, field)
    _refuse(Code.WRONG_TYPE, field, "a string is wanted")


def _word(given: dict[str, object], field: str, longest: int) -> str:
    value = _string(given, field)
    if len(value) > longest:
        _refuse(Code.TOO_LONG, field, f"{longest} characters are the most")
    if not value.isprintable():
        _refuse(Code.BAD_VALUE, field, "only printable characters are taken, and no other blank than the space")
    return value


def _number(given: dict[str, object], client: PushClient) -> Msisdn:
    number = read_number(_string(given, "to"), client.default_country)
    if isinstance(number, Code):
        _refuse(number, "to")
    return number


def _traffic(given: dict[str, object], client: PushClient) -> TrafficClass:
    traffic = CLASS_BY_WORD.get(_string(given, "class"))
    if traffic is None:
        _refuse(Code.BAD_VALUE, "class", f"the classes are {', '.join(CLASS_BY_WORD)}")
    if traffic not in client.classes:
        _refuse(Code.CLASS_NOT_ALLOWED, "class")
    return traffic


def _text(given: dict[str, object]) -> Secret:
    text = _string(given, "text")
    if len(text) > SURELY_FITS and (parts := count(text)) > MAX_PARTS:
        _refuse(Code.TOO_LONG, "text", f"the text needs {parts} parts; {MAX_PARTS} are the most")
    return Secret(text)


def _sender(given: dict[str, object], client: PushClient) -> str:
    """The sender as it was given. A plus sign stays: it tells a number from a short code of the same digits."""
    if "sender" not in given:
        if client.default_sender is None:
            _refuse(Code.MISSING, "sender", "the field is required: this client has no default sender")
        return client.default_sender
    sender = _string(given, "sender")
    if not is_sender(sender):
        _refuse(Code.BAD_VALUE, "sender", "1 to 11 letters, digits and ' ._&-', or a number of up to 15 digits")
    if client.senders is not None and sender not in client.senders:
        _refuse(Code.SENDER_NOT_ALLOWED, "sender")
    return sender


def _life(given: dict[str, object], traffic: TrafficClass, now: float) -> tuple[float, float]:
    """The end of the message's life, and the moment before which it must not leave (0.0: at once)."""
    valid_for = given.get("valid_for")
    if "valid_for" in given:
        if type(valid_for) is not int:
            _refuse(Code.WRONG_TYPE, "valid_for", "a whole number of seconds is wanted")
        if not 1 <= valid_for <= LONGEST_LIFE:
            _refuse(Code.OUT_OF_RANGE, "valid_for", f"1 to {LONGEST_LIFE} seconds")
    not_after = _moment(given, "not_after") if "not_after" in given else None
    if not_after is not None:
        if valid_for is not None:
            _refuse(Code.CONTRADICTION, "not_after", "give valid_for or not_after, not both")
        if not_after <= now:
            _refuse(Code.OUT_OF_RANGE, "not_after", "the moment is past")
    not_before = _moment(given, "not_before") if "not_before" in given else 0.0
    if not_before > now + FARTHEST_START:
        _refuse(Code.OUT_OF_RANGE, "not_before", "180 days ahead is the most")
    if not_after is not None and not_before >= not_after:
        _refuse(Code.CONTRADICTION, "not_before", "it would begin when its life is over")
    # The life of a message that may not leave yet is counted from the moment when it may.
    start = max(now, not_before)
    if not_after is not None and not_after > start + LONGEST_LIFE:
        _refuse(Code.OUT_OF_RANGE, "not_after", "a message lives for 30 days at the most")
    life = valid_for if isinstance(valid_for, int) else RULES[traffic].life
    return (start + life if not_after is None else not_after), (not_before if not_before > now else 0.0)


def _moment(given: dict[str, object], field: str) -> float:
    text = _string(given, field)
    if _MOMENT.fullmatch(text):
        try:
            return datetime.fromisoformat(text.upper()).timestamp()
        except (ValueError, OverflowError):
            pass
    _refuse(Code.BAD_VALUE, field, "a moment with its zone is wanted (RFC 3339), such as 2030-01-31T09:00:00+03:00")


def _tags(given: dict[str, object]) -> tuple[str, ...]:
    tags = given["tags"]
    if not isinstance(tags, list):
        _refuse(Code.WRONG_TYPE, "tags", "a list of strings is wanted")
    if len(tags) > MOST_TAGS:
        _refuse(Code.TOO_MANY, "tags", f"{MOST_TAGS} tags are the most")
    words = tuple(tag for tag in tags if isinstance(tag, str))
    if len(words) != len(tags):
        _refuse(Code.WRONG_TYPE, "tags", "a list of strings is wanted")
    if not all(map(is_tag, words)):
        _refuse(Code.BAD_VALUE, "tags", "a tag is 1 to 32 of a-z, 0-9, _ and -")
    return words


def _meta(given: dict[str, object]) -> bytes:
    meta = given["meta"]
    if meta is None:
        _refuse(Code.WRONG_TYPE, "meta", "any JSON but null; leave it out instead")
    octets = msgspec.json.encode(meta)
    if len(octets) > LARGEST_META:
        _refuse(Code.TOO_LONG, "meta", f"{LARGEST_META} octets of JSON are the most")
    return octets
