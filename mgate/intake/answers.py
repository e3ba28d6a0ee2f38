"""How answers look on the wire: the bodies that clients read. ``openapi`` describes them."""

from __future__ import annotations

import msgspec

from mgate.model.message import show_id
from mgate.model.ports import Refusal, Taken

RETRY_WHEN_STOPPING = 5
"""Seconds after which a client that was told ``stopping`` should try again."""


def taken_body(ref: str, taken: Taken) -> bytes:
    """Of a message that is on the disk."""
    return b'{"id":"%b","ref":%b,"state":"accepted","parts":%d%b}' % (
        show_id(taken.message).encode("ascii"),
        msgspec.json.encode(ref),
        taken.parts,
        b',"duplicate":true' if taken.duplicate else b"",
    )


def taken_line(line: int, ref: str, taken: Taken) -> bytes:
    """The same as a line of a batch's results."""
    return b'{"line":%d,"ref":%b,"id":"%b","state":"accepted","parts":%d%b}\n' % (
        line,
        msgspec.json.encode(ref),
        show_id(taken.message).encode("ascii"),
        taken.parts,
        b',"duplicate":true' if taken.duplicate else b"",
    )


def refused_body(refused: Refusal) -> bytes:
    """Of anything that was refused."""
    return msgspec.json.encode({"error": refused.code, "field": refused.field, "detail": refused.detail})


def refused_line(line: int, ref: str, refused: Refusal) -> bytes:
    """The same as a line of a batch's results; without ``ref`` when there was none to be read."""
    told: dict[str, object] = {"line": line}
    if ref:
        told["ref"] = ref
    told |= {"error": refused.code, "field": refused.field, "detail": refused.detail}
    if refused.retry_after:
        told["retry_after"] = refused.retry_after
    return msgspec.json.encode(told) + b"\n"
