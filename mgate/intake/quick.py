r"""What one client sends, read in one pass when it is as messages mostly are; with care when it is anything else. Pure.

The pass takes a message only when everything about it is in order, and then gives exactly what ``request`` would, to
the octet of the canonical form. It refuses nothing: whatever it does not take, ``request`` reads again from the start
and finds the fault, or that there is none. A property in the tests holds the two together.

How ``shape`` is kept to without its looks: a ``Struct`` takes each field once at most in what it gives, so a key that
was there twice shows as a colon too many, as long as no colon hides in an escape (``\u003a``). Those escapes, and NUL,
begin with ``\u00``; whatever bears that is read with care.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import UNSET, Meta, UnsetType

from mgate.intake.client import PushClient
from mgate.intake.numbers import read_e164
from mgate.intake.request import (
    LARGEST_META,
    LONGEST_GROUP,
    LONGEST_LIFE,
    LONGEST_REF,
    MOST_TAGS,
    SURELY_FITS,
    is_sender,
    is_tag,
    read_submission,
)
from mgate.intake.shape import DEEPEST, colons_of
from mgate.model.entry import Submission
from mgate.model.message import Secret
from mgate.model.ports import Refusal
from mgate.policy.classes import RULES


class _Form(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, gc=False):
    """The fields that most messages are made of, in the order of the canonical form. The moments are left to care."""

    word: str = msgspec.field(name="class")
    group: Annotated[str, Meta(min_length=1, max_length=LONGEST_GROUP)] | UnsetType = UNSET
    meta: object = UNSET
    ref: Annotated[str, Meta(min_length=1, max_length=LONGEST_REF)]
    sender: str | UnsetType = UNSET
    tags: Annotated[list[str], Meta(max_length=MOST_TAGS)] | UnsetType = UNSET
    text: Annotated[str, Meta(min_length=1, max_length=SURELY_FITS)]
    to: str
    valid_for: Annotated[int, Meta(ge=1, le=LONGEST_LIFE)] | UnsetType = UNSET


_REQUIRED: Final = 4
_DECODE: Final = msgspec.json.Decoder(_Form).decode
_ENCODE: Final = msgspec.json.Encoder(order="deterministic").encode
_ENCODE_AS_GIVEN: Final = msgspec.json.Encoder().encode
_is_sender: Final = lru_cache(maxsize=1_024)(is_sender)


class Reading:
    """Reads the messages of one client."""

    __slots__ = ("_classes", "_client", "_default", "_name", "_senders")

    def __init__(self, client: PushClient) -> None:
        self._client = client
        self._name = client.name
        self._classes = {traffic.word: (traffic, RULES[traffic].life) for traffic in client.classes}
        self._default = client.default_sender
        self._senders = None if client.senders is None else frozenset(filter(is_sender, client.senders))

    def read(self, raw: bytes, peer_uid: int, now: float) -> Submission | Refusal:
        """Read one message; arguments and answer are those of ``request.read_submission``."""
        return self._read_common(raw, peer_uid, now) or read_submission(raw, self._client, peer_uid, now)

    def _read_common(self, raw: bytes, peer_uid: int, now: float) -> Submission | None:
        """The message, or None when it must be read with care."""
        try:
            form = _DECODE(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        rules, to, sender = self._classes.get(form.word), read_e164(form.to), self._sender(form.sender)
        if rules is None or to is None or sender is None or not form.ref.isprintable() or b"\\u00" in raw:
            return None
        traffic, life = rules
        rare = _NONE if form.group is form.tags is form.meta is UNSET else _rare(form, raw)
        if rare is None or raw.count(b":") != _colons(form) + rare.colons:
            return None
        return Submission(
            self._name,
            form.ref,
            to,
            traffic,
            Secret(form.text),
            sender,
            now + (life if form.valid_for is UNSET else form.valid_for),
            0.0,
            rare.group,
            rare.tags,
            rare.meta,
            _ENCODE(form),
            peer_uid,
        )

    def _sender(self, given: str | UnsetType) -> str | None:
        if given is UNSET:
            return self._default
        known = _is_sender(given) if self._senders is None else given in self._senders
        return given if known else None


class _Rare(NamedTuple):
    """What the fields that few messages have come to, and the colons that they are written with."""

    group: str
    tags: tuple[str, ...]
    meta: bytes
    colons: int


_NONE: Final = _Rare("", (), b"", 0)


def _rare(form: _Form, raw: bytes) -> _Rare | None:
    group, meta, found = "", b"", 0
    tags: tuple[str, ...] = ()
    if form.group is not UNSET:
        group = form.group
        found = 1 + group.count(":")
        if not group.isprintable():
            return None
    if form.tags is not UNSET:
        tags = tuple(form.tags)
        found += 1
        if not all(map(is_tag, tags)):
            return None
    if form.meta is not UNSET:
        meta = _ENCODE_AS_GIVEN(form.meta)
        found += 1 + colons_of(form.meta)
        if form.meta is None or len(meta) > LARGEST_META or raw.count(b"{") + raw.count(b"[") > DEEPEST:
            return None
    return _Rare(group, tags, meta, found)


def _colons(form: _Form) -> int:
    """The colons of the fields that every message may have: one a member, and those in free text."""
    found = _REQUIRED + form.ref.count(":") + form.text.count(":")
    return found + (form.sender is not UNSET) + (form.valid_for is not UNSET)
