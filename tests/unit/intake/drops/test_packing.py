"""Packed files: one member, whole, undamaged, and not more than may come out."""

import gzip
import io
import random
import stat
import zipfile
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgate.intake.drops.faults import FileFault, Refused
from mgate.intake.drops.names import Packing
from mgate.intake.drops.packing import PIECE, Bounds, unpacker

CONTENT = b"to,text\n" + random.Random(1).randbytes(300_000).hex().encode()


def unpack(packing: Packing, octets: bytes, step: int = 1000) -> bytes:
    found, out = unpacker(packing), []
    for start in range(0, len(octets), step):
        out += list(found.feed(octets[start : start + step]))
    found.end()
    assert all(len(piece) <= PIECE for piece in out)
    return b"".join(out)


def zipped(
    *names: str, how: int = zipfile.ZIP_DEFLATED, mode: int = 0, change: Callable[[bytearray], None] | None = None
) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as archive:
        for name in names:
            entry = zipfile.ZipInfo(name)
            entry.compress_type = how
            entry.external_attr = mode << 16
            archive.writestr(entry, CONTENT)
    octets = bytearray(file.getvalue())
    if change is not None:
        change(octets)
    return bytes(octets)


class _Pipe(io.RawIOBase):
    """A file that cannot be sought in: a zip file written to it says its lengths behind the entry."""

    def __init__(self) -> None:
        self.octets = b""

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]  # a buffer is bytes here
        self.octets += bytes(data)
        return len(data)


def test_what_was_packed_comes_out() -> None:
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", CONTENT)
    for packing, octets in [
        (Packing.NONE, CONTENT),
        (Packing.GZIP, gzip.compress(CONTENT)),
        (Packing.ZIP, zipped("a.csv")),
        (Packing.ZIP, zipped("a.csv", how=zipfile.ZIP_STORED)),
        (Packing.ZIP, pipe.octets),
    ]:
        for step in (7, 1000, 1 << 20):
            assert unpack(packing, octets, step) == CONTENT


@pytest.mark.parametrize(
    ("packing", "octets"),
    [
        (Packing.GZIP, gzip.compress(CONTENT)[:-20]),
        (Packing.GZIP, gzip.compress(CONTENT) + b"more"),
        (Packing.GZIP, gzip.compress(b"a") + gzip.compress(b"b")),
        (Packing.GZIP, b"no gzip at all"),
        (Packing.GZIP, b""),
        (Packing.ZIP, zipped("a.csv")[:-30]),
        (Packing.ZIP, zipped("a.csv", "b.csv")),
        (Packing.ZIP, zipped()),
        (Packing.ZIP, b"no zip file at all, of any length"),
        (Packing.ZIP, b""),
        (Packing.ZIP, zipped("../../etc/passwd")),
        (Packing.ZIP, zipped("/a.csv")),
        (Packing.ZIP, zipped("..\\a.csv")),
        (Packing.ZIP, zipped("folder/")),
        (Packing.ZIP, zipped("a.csv", mode=stat.S_IFLNK | 0o777)),
        (Packing.ZIP, zipped("a.csv", how=zipfile.ZIP_BZIP2)),
        (Packing.ZIP, zipped("a.csv", change=lambda octets: octets.__setitem__(6, 1))),  # encrypted
        (Packing.ZIP, zipped("a.csv", how=zipfile.ZIP_STORED, change=lambda octets: octets.__setitem__(100, 0))),
        (Packing.ZIP, zipped("a.csv") + b"x" * 70_000),
    ],
    ids=map(str, range(19)),
)
def test_what_is_not_one_whole_file_is_refused(packing: Packing, octets: bytes) -> None:
    for step in (7, 1 << 20):
        with pytest.raises(Refused) as caught:
            unpack(packing, octets, step)
        assert caught.value.why is FileFault.BAD_ARCHIVE


def test_a_bomb_comes_out_piece_by_piece_and_is_stopped() -> None:
    octets = gzip.compress(b"\0" * (64 << 20), 9)
    bounds = Bounds(len(octets), 1 << 40, 100)

    def all_of_it() -> None:
        for piece in unpacker(Packing.GZIP).feed(octets):
            bounds.add(len(piece))

    with pytest.raises(Refused) as caught:
        all_of_it()
    assert caught.value.why is FileFault.BOMB
    assert bounds.out <= 100 * len(octets) + PIECE


@given(st.binary(max_size=400), st.integers(0, 400), st.integers(1, 50), st.sampled_from([Packing.GZIP, Packing.ZIP]))
def test_damage_is_refused_and_nothing_else_happens(junk: bytes, at: int, step: int, packing: Packing) -> None:
    good = gzip.compress(b"to,text\n" * 40) if packing is Packing.GZIP else zipped("a.csv")[:2000]
    octets = good[:at] + junk + good[at + len(junk) :]
    try:
        unpack(packing, octets, step)
    except Refused:
        pass
