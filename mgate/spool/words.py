"""What is sealed of a message, in the clear: only ever for a moment, on its way in, out, or to whoever may see it."""

from __future__ import annotations

import msgspec


class Envelope(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The sensitive fields of a message, as they are sealed. Fields are only ever added at the end.

    Attributes:
        to: E.164; ``text`` is empty when it is sealed apart or has been erased.
        not_before: seconds since 1970, 0.0 for at once.
    """

    to: str
    sender: str
    ref: str
    text: str
    group: str
    tags: tuple[str, ...]
    meta: bytes
    not_before: float
    peer_uid: int

    def __repr__(self) -> str:
        return "Envelope(sealed fields)"
