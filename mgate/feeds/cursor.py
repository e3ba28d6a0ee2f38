"""Cursors: a place in the journal of one database, as clients keep it (``states.md``, rules 13 and 14). Pure.

The text is the first 8 octets of the database's uuid and the sequence of the last event before the place, in hex, with
a hyphen between them. Clients are told that it is opaque.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

_OCTETS: Final = 8
_FORM: Final = re.compile(r"([0-9a-f]{16})-([0-7]?[0-9a-f]{1,15})", re.ASCII)


class Wrong(Enum):
    """Why a text is no cursor of this journal."""

    TEXT = "text"
    DATABASE = "database"


class Cursors:
    """The cursors of one database.

    Attributes:
        prefix: with which each begins.
    """

    def __init__(self, database: bytes) -> None:
        self._database = database[:_OCTETS].hex()
        self.prefix = f"{self._database}-"

    def show(self, sequence: int) -> str:
        """The cursor behind the event of that sequence; 0 is the place before the first."""
        return f"{self.prefix}{sequence:x}"

    def read(self, text: str) -> int | Wrong:
        """The sequence that a cursor names."""
        found = _FORM.fullmatch(text)
        if found is None:
            return Wrong.TEXT
        return int(found[2], 16) if found[1] == self._database else Wrong.DATABASE
