"""Spoils octets: a few small changes to a case from the corpus, so that most of it still means something."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Final

LONGEST: Final = 8192
_ODD_OCTETS: Final = (
    0x00,
    0x01,
    0x04,
    0x0A,
    0x0D,
    0x1B,
    0x20,
    0x22,
    0x3A,
    0x40,
    0x5C,
    0x7B,
    0x7F,
    0x80,
    0xC0,
    0xFE,
    0xFF,
)
_ODD_NUMBERS: Final = (
    b"\x00\x00\x00\x00", b"\x00\x00\x00\x0f", b"\x00\x00\x00\x10", b"\x00\x01\x00\x00", b"\x00\x01\x00\x01",
    b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00", b"\xff\xff\xff\xff", b"\xff\xff", b"\x00\x00",
)  # fmt: skip
_CHUNKS: Final = 64

Change = Callable[[bytearray, bytes, Random], None]


def spoil(case: bytes, other: bytes, words: Sequence[bytes], joints: bytes, random: Random) -> bytes:
    """A case made from `case`, with pieces of `other` and of the `words` of its language; at most `LONGEST` octets.

    Half of the words stand after one of the `joints`, where a word of this language would.
    """
    data = bytearray(case)
    for _ in range(1 + (random.random() < 0.5) + 3 * (random.random() < 0.1)):
        if words and random.random() < 0.3:
            _put(data, random.choice(words), joints, random)
        else:
            random.choice(_CHANGES)(data, other, random)
    return bytes(data[:LONGEST])


def _put(data: bytearray, word: bytes, joints: bytes, random: Random) -> None:
    at = random.randrange(len(data) + 1)
    if joints and random.random() < 0.5:
        joint = random.choice(joints)
        at = (data.find(joint, at) + 1) or (data.find(joint) + 1)
    data[at : at + (len(word) if random.random() < 0.25 else 0)] = word


def _flip(data: bytearray, _other: bytes, random: Random) -> None:
    if data:
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def _set(data: bytearray, _other: bytes, random: Random) -> None:
    if data:
        data[random.randrange(len(data))] = random.choice(_ODD_OCTETS)


def _draw(data: bytearray, _other: bytes, random: Random) -> None:
    if data:
        data[random.randrange(len(data))] = random.getrandbits(8)


def _number(data: bytearray, _other: bytes, random: Random) -> None:
    number = random.choice(_ODD_NUMBERS)
    at = random.randrange(len(data) + 1)
    data[at : at + len(number)] = number


def _insert(data: bytearray, _other: bytes, random: Random) -> None:
    at = random.randrange(len(data) + 1)
    data[at:at] = random.randbytes(random.randrange(1, 9))


def _delete(data: bytearray, _other: bytes, random: Random) -> None:
    at = random.randrange(len(data) + 1)
    del data[at : at + random.randrange(1, _CHUNKS)]


def _cut(data: bytearray, _other: bytes, random: Random) -> None:
    del data[random.randrange(len(data) + 1) :]


def _repeat(data: bytearray, _other: bytes, random: Random) -> None:
    at = random.randrange(len(data) + 1)
    data[at:at] = data[at : at + random.randrange(1, _CHUNKS)] * random.choice((1, 1, 2, 20))


def _splice(data: bytearray, other: bytes, random: Random) -> None:
    at, start = random.randrange(len(data) + 1), random.randrange(len(other) + 1)
    data[at : at + random.randrange(_CHUNKS)] = other[start : start + random.randrange(1, _CHUNKS)]


def _append(data: bytearray, other: bytes, _random: Random) -> None:
    data += other


_CHANGES: Final[Sequence[Change]] = (
    _flip, _flip, _set, _set, _draw, _number, _insert, _delete, _cut, _repeat, _splice, _append,
)  # fmt: skip
