"""The keyring's file: its bytes, and how they get onto the disk and off it.

The ring lies in two copies, `keyring.a` and `keyring.b`, each whole in itself: a clear header, the sealed ring, and a
checksum over both. The checksum tells a damaged file from a wrong key; it is the last 32 bytes in every version to
come, so that a damaged version byte is never taken for a newer version. The header is the associated data of the sealed
ring, so that neither its epoch nor its database can be changed.

A copy is written as a new file, fsynced, renamed over the old one, and the folder fsynced, first a, then b. Power may
fail anywhere: one of the two is always whole, and the higher epoch is the truth.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import IntEnum
from hashlib import blake2b
from pathlib import Path

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt as _decrypt,
)
from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_encrypt as _encrypt,
)
from nacl.exceptions import CryptoError

from mgate.seal.errors import NewerKeyring, SealError, WrongKey
from mgate.seal.keyfile import KEY_BYTES, Kek, check_value, sync_folder

COPIES = ("keyring.a", "keyring.b")

_MAGIC = b"mgate-kr"
_KNOWN = b"\x01\x01"
_HEADER = struct.Struct(">8s2s16sQ8s24sI")
_CHECKSUM_BYTES = 32
_RING = struct.Struct(">40sII")
_PERIOD = struct.Struct(">IBQQQ40s40sB")


class PeriodState(IntEnum):
    """What may be done with a period's keys. Further numbers (closed early by rotation, held) come with newer files."""

    IN_USE = 1


@dataclass(frozen=True, slots=True)
class Period:
    """A span of time in which the rows of one retention group share their keys. Holds no key.

    number: u32, from 1, never given twice. begins, ends, retain_until: seconds since 1970; `ends` is not part of it.
    """

    number: int
    group: str
    begins: int
    ends: int
    retain_until: int
    state: PeriodState = PeriodState.IN_USE


@dataclass(frozen=True, slots=True)
class PeriodKeys:
    """A period with its data key and its index key (32 bytes each)."""

    period: Period
    data_key: bytes = field(repr=False)
    index_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Ring:
    """All that the file holds. next_number: the first period number that was never given; it only grows."""

    database: bytes
    epoch: int
    long_index_key: bytes = field(repr=False)
    next_number: int
    periods: tuple[PeriodKeys, ...]


class DamagedCopy(SealError):
    """This copy is not whole; the other may be."""


def encode(ring: Ring, kek: Kek) -> bytes:
    """The bytes of one copy, under a new nonce."""
    plain = _RING.pack(_checked(ring.long_index_key), ring.next_number, len(ring.periods))
    plain += b"".join(map(_encode_period, ring.periods))
    nonce = os.urandom(24)
    sealed_bytes = len(plain) + 16
    header = _HEADER.pack(_MAGIC, _KNOWN, ring.database, ring.epoch, kek.check, nonce, sealed_bytes)
    content = header + _encrypt(plain, header, nonce, kek.ring_key())
    return content + _checksum(content)


def decode(copy: bytes, kek: Kek) -> Ring:
    """Read one copy.

    Errors: `DamagedCopy`, `NewerKeyring`, `WrongKey`.
    """
    content, checksum = copy[:-_CHECKSUM_BYTES], copy[-_CHECKSUM_BYTES:]
    if len(content) < len(_MAGIC) + len(_KNOWN) or checksum != _checksum(content):
        raise DamagedCopy("its checksum does not fit")
    if not content.startswith(_MAGIC):
        raise DamagedCopy("it is no keyring")
    if not content.startswith(_MAGIC + _KNOWN):
        raise NewerKeyring(f"keyring version {content[8]}, algorithm {content[9]}: start the mgate that wrote it")
    header, sealed = content[: _HEADER.size], content[_HEADER.size :]
    if len(header) < _HEADER.size:
        raise DamagedCopy("its header is cut short")
    _, _, database, epoch, check, nonce, sealed_bytes = _HEADER.unpack(header)
    if check != kek.check:
        raise WrongKey(
            f"the keyring was sealed under a key with check value {check.hex()}, the key given has"
            f" {kek.check.hex()}: give the key file this keyring was made with"
        )
    if len(sealed) != sealed_bytes or sealed_bytes < 16:
        raise DamagedCopy("its length does not fit")
    try:
        plain = _decrypt(sealed, header, nonce, kek.ring_key())
    except CryptoError:
        raise DamagedCopy("its seal is broken though its checksum fits: somebody changed it") from None
    return _decode_ring(database, epoch, plain)


def read_copy(folder: Path, name: str) -> bytes | None:
    """The bytes of a copy, or None when there is no such file. A copy the disk cannot read is `DamagedCopy`."""
    try:
        return (folder / name).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        raise DamagedCopy("the disk cannot read it") from error


def write_copy(folder: Path, name: str, content: bytes) -> None:
    """Put a copy in its place durably: when this returns, a power cut cannot undo it."""
    fresh = folder / f"{name}.new"
    fresh.unlink(missing_ok=True)
    opened = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(opened, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(opened)
    with _held(folder / name) as old:
        fresh.replace(folder / name)
        sync_folder(folder)
        _overwrite(old)


@contextmanager
def _held(place: Path) -> Iterator[int | None]:
    # Kept open across the rename: afterwards the replaced file has no name to open it by.
    try:
        opened = os.open(place, os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    try:
        yield opened
    finally:
        os.close(opened)


def _overwrite(old: int | None) -> None:
    # The replaced file may hold keys destroyed since. Best effort: journals, snapshots and flash keep what they keep,
    # and a file with another name is somebody's backup.
    if old is None or os.fstat(old).st_nlink:
        return
    with suppress(OSError):
        os.pwrite(old, bytes(os.fstat(old).st_size), 0)
        os.fsync(old)


def _checksum(content: bytes) -> bytes:
    return blake2b(content, digest_size=_CHECKSUM_BYTES, person=b"mgate-ring-sum").digest()


def _checked(key: bytes) -> bytes:
    return key + check_value(key)


def _unchecked(checked: bytes) -> bytes:
    key, check = checked[:KEY_BYTES], checked[KEY_BYTES:]
    if check != check_value(key):
        raise DamagedCopy("a key in it does not fit its check value: it was damaged in memory before it was sealed")
    return key


def _state(number: int, state: int) -> PeriodState:
    try:
        return PeriodState(state)
    except ValueError:
        raise NewerKeyring(f"period {number} is in state {state}: start the mgate that wrote it") from None


def _encode_period(keys: PeriodKeys) -> bytes:
    period, group = keys.period, keys.period.group.encode()
    fixed = _PERIOD.pack(
        period.number,
        period.state,
        period.begins,
        period.ends,
        period.retain_until,
        _checked(keys.data_key),
        _checked(keys.index_key),
        len(group),
    )
    return fixed + group


def _decode_ring(database: bytes, epoch: int, plain: bytes) -> Ring:
    long_index_key, next_number, count = _RING.unpack_from(plain)
    offset = _RING.size
    periods = []
    for _ in range(count):
        number, state, begins, ends, retain_until, data_key, index_key, length = _PERIOD.unpack_from(plain, offset)
        offset += _PERIOD.size + length
        group = plain[offset - length : offset].decode()
        period = Period(number, group, begins, ends, retain_until, _state(number, state))
        periods.append(PeriodKeys(period, _unchecked(data_key), _unchecked(index_key)))
    return Ring(database, epoch, _unchecked(long_index_key), next_number, tuple(periods))
