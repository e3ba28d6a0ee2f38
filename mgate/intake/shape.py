"""JSON, strictly: octets to one object in which nothing can mean two things.

``msgspec`` decodes fast and refuses bad UTF-8 and half surrogate pairs, but takes the last of two equal keys, a NUL and
any depth. These three are looked for only where the octets make them possible: every member of an object needs its
colon, every level its bracket, and a NUL its escape. So an ordinary message costs three counts of one octet.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

import msgspec

from mgate.intake.codes import Code, refusal
from mgate.model.ports import Refusal

DEEPEST: Final = 8

_DECODER: Final = msgspec.json.Decoder(dict[str, object])


class _Twice(Exception):
    """A key appears twice."""


def read_object(raw: bytes) -> dict[str, object] | Refusal:
    """The one JSON object in ``raw`` (RFC 8259), or why there is none."""
    try:
        given = _DECODER.decode(raw)
    except UnicodeDecodeError:
        return refusal(Code.BAD_UTF8)
    except RecursionError:
        return refusal(Code.TOO_DEEP)
    except msgspec.DecodeError as error:
        return refusal(Code.LONE_SURROGATE) if _has_lone_surrogate(raw) else refusal(Code.BAD_JSON, "", str(error))
    if raw.count(b"{") + raw.count(b"[") > DEEPEST and _is_deeper(given, DEEPEST):
        return refusal(Code.TOO_DEEP)
    colons = raw.count(b":")
    if colons != len(given) and _has_duplicates(raw, given, colons):
        return refusal(Code.DUPLICATE_KEY)
    if b"\\u0000" in raw and any("\0" in text for text in _texts(given)):
        return refusal(Code.NUL)
    return given


def canonical(given: dict[str, object]) -> bytes:
    """The object in one form, whatever the order of its keys and the white space between them."""
    return msgspec.json.encode(given, order="deterministic")


def _has_duplicates(raw: bytes, given: dict[str, object], colons: int) -> bool:
    # A colon in the octets belongs to a member or stands in a string. Only its escape (\u003a) puts one into a string
    # without one in the octets, and then the slow way must tell.
    if b"\\u003" in raw:
        return _has_duplicates_surely(raw)
    return colons != colons_of(given)


def _has_duplicates_surely(raw: bytes) -> bool:
    try:
        json.loads(raw, object_pairs_hook=_once)
    except _Twice:
        return True
    return False


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Twice
    return found


def _has_lone_surrogate(raw: bytes) -> bool:
    if b"\\ud" not in raw.lower():
        return False
    try:
        return any(any("\ud800" <= letter <= "\udfff" for letter in text) for text in _texts(json.loads(raw)))
    except (ValueError, RecursionError):
        return False


def _is_deeper(value: object, levels: int) -> bool:
    layer = [value]
    for _ in range(levels):
        layer = [child for one in layer for child in _children(one) if isinstance(child, dict | list)]
        if not layer:
            return False
    return True


def colons_of(value: object) -> int:
    """How many colons the decoded value would be written with: one for each member, and those within strings."""
    if isinstance(value, str):
        return value.count(":")
    if isinstance(value, dict):
        return sum([1 + key.count(":") + colons_of(child) for key, child in value.items()])
    return sum([colons_of(child) for child in value]) if isinstance(value, list) else 0


def _texts(value: object) -> Iterator[str]:
    """Every string in a decoded value, keys among them; for values that are known not to be deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
    for child in _children(value):
        yield from _texts(child)


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
