"""[paces.NAME]: how fast messages of one kind may leave, whatever the accounts allow."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Annotated, NamedTuple

import msgspec

from mgate.config.kinds import ListOf, OneOf, Text, Whole
from mgate.config.operator_kinds import Several

_CLASSES = ("service", "marketing")


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """[paces.NAME]: what all messages that it is for share.

    Attributes:
        name: NAME.
        rate: parts a second.
        classes: of these classes; codes, fraud notices and transactions never wait.
        clients, tags: of one of these clients, and with one of these tags; empty: any.
    """

    name: str
    rate: Annotated[int, Whole(1, 100_000, "parts a second")]
    classes: Annotated[tuple[str, ...], ListOf(OneOf(_CLASSES))] = ("marketing",)
    clients: Annotated[tuple[str, ...], Several(Text("[a-z0-9][a-z0-9-]{0,31}", "the NAME of a client"))] = ()
    tags: Annotated[tuple[str, ...], Several(Text(r"[^\x00-\x1f]{1,64}", "a tag as messages bear it"))] = ()


class Wrong(NamedTuple):
    """A mistake: section, key and sentence."""

    section: str
    key: str
    problem: str


def mistakes_of(paces: Sequence[Pace], clients: Collection[str]) -> Iterator[Wrong]:
    """What no setting shows by itself. ``clients``: every name that a message can come from."""
    known = ", ".join(f'"{each}"' for each in clients)
    for pace in paces:
        for client in pace.clients:
            if client not in clients:
                yield Wrong(f"paces.{pace.name}", "clients", f'"{client}" is no client; there are: {known}')
