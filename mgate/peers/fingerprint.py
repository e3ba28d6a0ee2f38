"""What the ledgers of the peers keep instead of numbers and texts, so that they can be compared and yet tell nothing.

SHA-256 of a key and the value, its first 16 hexadecimal digits. A phone number has few digits: without a key its hash
is guessed in minutes. A bench on invented numbers may do without; a trial with real ones may not.
"""

import hashlib
from pathlib import Path
from typing import Final

_NUMBERS_KEPT: Final = 100_000
"""The traffic maker writes to a few numbers again and again."""


class Fingerprint:
    """Hashes under one key; two ledgers can be compared only when both were made under the same."""

    __slots__ = ("_numbers", "_start")

    def __init__(self, key: bytes = b"") -> None:
        self._start = hashlib.sha256(key)
        self._numbers: dict[bytes, str] = {}

    @classmethod
    def from_file(cls, path: Path | None) -> "Fingerprint":
        """Under the key that the file holds (all its octets); under none when there is no file."""
        return cls(path.read_bytes() if path is not None else b"")

    def number(self, digits: bytes) -> str:
        """Of a phone number's digits in ASCII, without its plus sign."""
        known = self._numbers.get(digits)
        if known is None:
            if len(self._numbers) > _NUMBERS_KEPT:
                self._numbers.clear()
            digest = self._start.copy()
            digest.update(digits)
            known = self._numbers[digits] = digest.hexdigest()[:16]
        return known

    def text(self, text: str, part: int = 0) -> str:
        """Of a whole text (part 0), or of the body of one part with its number, counted from 1."""
        digest = self._start.copy()
        digest.update((f"{part}|{text}" if part else text).encode("utf-8", "surrogatepass"))
        return digest.hexdigest()[:16]
