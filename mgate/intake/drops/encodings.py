"""Which encoding a file is in: what it says, what only UTF-8 can look like, or what its letters make likely. Pure.

A mark at the beginning says it. Octets that are strictly UTF-8 from the first to the last are UTF-8: text in another
encoding passes for it only when it is ASCII. What remains is CP1251 (Windows) or CP866 (DOS): both readings of the
octets above 127 are weighed by how often their letters stand in Russian, Belarusian and Ukrainian text. One reading
must be a thousand times as likely as the other, and as the same octets in KOI8-R or Windows-1252, which are not taken;
else nothing is decided: the wrong reading of a customer's name is worse than a question.
"""

from __future__ import annotations

import codecs
import math
import re
from collections import Counter
from typing import Final

SAMPLE: Final = 256 * 1024
"""Octets above 127 that are weighed, from the beginning of the file on."""

SURE: Final = math.log(1000)
"""The logarithm of a thousand."""

TEXT: Final = -5.5
"""The mean logarithm of a character's frequency below which a reading is no text."""

_ASCII: Final = re.compile(rb"[\x00-\x7f]+")
_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# How often letters stand in Russian text, in thousandths and roughly; the Belarusian and Ukrainian ones beside them.
_COMMON: Final = dict(
    zip(
        "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъёіўєїґ",
        (
            110, 85, 80, 74, 67, 63, 55, 47, 45, 44, 35, 32, 30, 28, 26, 20, 19, 17, 17, 16, 16, 14, 12, 10, 9, 7, 6,
            5, 4, 3, 3, 0.4, 0.4, 20, 8, 3, 6, 0.5,
        ),
        strict=True,
    )
)  # fmt: skip
_WESTERN: Final = dict.fromkeys("äöüéèàçñóáíßêâôåøæõãúżłśćńęą", 60.0)
_CAPITAL: Final = 0.15
_SIGN: Final = {"«": 2.0, "»": 2.0, "№": 1.0, "—": 2.0, "–": 1.0, "\u00a0": 2.0, "’": 0.5, "…": 0.5, "°": 0.1, "”": 0.3}
_ODD: Final = 0.01


def _weights(encoding: str, capital: float) -> list[float]:
    """For each octet above 127 the logarithm of how likely its character is; capitals are so much rarer."""
    known = _WESTERN if encoding == "cp1252" else _COMMON
    weights = []
    for octet in range(128, 256):
        letter = bytes([octet]).decode(encoding, errors="replace")
        common = known.get(letter) or known.get(letter.lower(), 0.0) * capital or _SIGN.get(letter, _ODD)
        weights.append(math.log(common / 1000))
    return weights


_READINGS: Final = ("cp1251", "cp866", "koi8-r", "cp1252")
_WEIGHTS: Final = {encoding: _weights(encoding, _CAPITAL) for encoding in _READINGS}
# What the other case makes likely must be likely without it too: a text may be all in capitals.
_WITHOUT_CASE: Final = {encoding: _weights(encoding, 1.0) for encoding in _READINGS}
_TAKEN: Final = frozenset({"cp1251", "cp866"})


class BadOctets(Exception):
    """The octets are not in the encoding that was declared. ``line``: where, counted from 1."""

    def __init__(self, line: int, detail: str) -> None:
        super().__init__(detail)
        self.line = line
        self.detail = detail


class Sniffer:
    """Looks at the octets of a file as they pass, and says at the end what they are.

    Args:
        declared: ``auto``, or the encoding that the file is said to be in.
    """

    def __init__(self, declared: str) -> None:
        self._declared = declared
        self._decoder = codecs.getincrementaldecoder("utf-8" if declared == "auto" else declared)()
        self._valid = True
        self._lines = 1
        self._first = True
        self._high: Counter[int] = Counter()
        self._seen = 0

    def feed(self, octets: bytes, final: bool = False) -> None:
        """The next octets; ``final`` with the last ones.

        Raises:
            BadOctets: they are not in the declared encoding, or are UTF-16.
        """
        if self._first and octets:
            self._first = False
            if octets.startswith(_UTF16):
                raise BadOctets(1, "this is UTF-16; write the file as UTF-8")
        self._decode(octets, final)
        if self._declared == "auto" and self._seen < SAMPLE:
            high = _ASCII.sub(b"", octets)[: SAMPLE - self._seen]
            self._seen += len(high)
            self._high.update(high)

    def encoding(self) -> str | None:
        """The encoding; None when it cannot be told."""
        if self._declared != "auto":
            return self._declared
        return "utf-8" if self._valid else likelier(self._high)

    def _decode(self, octets: bytes, final: bool) -> None:
        if not self._valid:
            return
        try:
            self._decoder.decode(octets, final)
        except UnicodeDecodeError as error:
            if self._declared != "auto":
                line = self._lines + bytes(error.object[: error.start]).count(b"\n")
                raise BadOctets(line, f"line {line} is not {self._declared}") from error
            self._valid = False
        self._lines += octets.count(b"\n")


def likelier(high: Counter[int]) -> str | None:
    """``cp1251`` or ``cp866``, by how often each octet above 127 was seen; None when neither is sure."""
    total = sum(high.values())
    if not total:
        return None
    likely = _likely(high, _WEIGHTS)
    best, other, *_ = sorted(likely, key=lambda encoding: -likely[encoding])
    folded = _likely(high, _WITHOUT_CASE)
    sure = likely[best] - likely[other] >= SURE and likely[best] / total >= TEXT
    return best if sure and best in _TAKEN and folded[best] == max(folded.values()) else None


def _likely(high: Counter[int], weights: dict[str, list[float]]) -> dict[str, float]:
    return {encoding: sum(count * of[octet - 128] for octet, count in high.items()) for encoding, of in weights.items()}
