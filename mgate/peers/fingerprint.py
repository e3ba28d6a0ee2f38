"""What the ledgers of the peers keep instead of numbers and texts, so that they can be compared and yet tell nothing.

SHA-256 of a key and the value, its first 16 hexadecimal digits. A phone number has few digits: without a key its hash
is guessed in minutes. A bench on invented numbers may do without; a trial with real ones may not.
"""

import hashlib
from pathlib import Path


class Fingerprint:
    """Hashes under one key; two ledgers can be compared only when both were made under the same."""

    __slots__ = ("_start",)

    def __init__(self, key: bytes = b"") -> None:
        self._start = hashlib.sha256(key)

    @classmethod
    def from_file(cls, path: Path | None) -> "Fingerprint":
        """Under the key that the file holds (all its octets); under none when there is no file."""
        return cls(path.read_bytes() if path is not None else b"")

    def number(self, digits: bytes) -> str:
        """Of a phone number's digits in ASCII, without its plus sign."""
        digest = self._start.copy()
        digest.update(digits)
        return digest.hexdigest()[:16]

    def text(self, text: str, part: int = 0) -> str:
        """Of a whole text (part 0), or of the body of one part with its number, counted from 1."""
        digest = self._start.copy()
        digest.update((f"{part}|{text}" if part else text).encode("utf-8", "surrogatepass"))
        return digest.hexdigest()[:16]
