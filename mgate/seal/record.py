"""The sealed record: one sensitive column of one row, encrypted and bound to its place.

Format, version 1 (docs/sealed-format.md): `version | algorithm | period u32 | nonce 24 | ciphertext | tag 16`, all
numbers big-endian. The associated data names the database, the row and what must never change about it, so that a
record opens in its own place only; what may change (state, attempts, due) is not in it.

Every encryption draws a nonce of its own from the kernel; there is no counter and no stock, so a restored backup, a
fork, and a machine that was frozen in mid-work and started twice have nothing to repeat. No buffer outlives a call, so
plain text is only where the caller holds it, and a Sealer may be used on any thread. A record may hold a few bytes or a
block of megabytes: the format is the same.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from mgate.seal.errors import NewerRecord, Tampered
from mgate.seal.keyring import Keyring
from mgate.seal.sodium import (
    LONG_BYTES,
    NONCE_BYTES,
    TAG_BYTES,
    Length,
    decrypt,
    decrypt_long,
    encrypt,
    encrypt_long,
    fill,
)

VERSION = 1
XCHACHA20_POLY1305 = 1
BLOCK = 64
OVERHEAD = 46

_KNOWN = bytes((VERSION, XCHACHA20_POLY1305))
_FRAME = struct.Struct(">2sI24s")
_PLACE = struct.Struct(">6sBB16sQIBQQ")
_DOMAIN = b"mgate\x01"
# One to 64 bytes, so that the mark 0x80 is always there and its removal is never a guess (ISO/IEC 7816-4).
_PADS = tuple(b"\x80" + bytes(BLOCK - 1 - used) for used in range(BLOCK))
_MARK = 0x80
# Lengths as the cipher takes them, by blocks: making one at each call costs more than finding it.
_PLACE_LENGTH = Length(_PLACE.size)
_PADDED_LENGTHS = tuple(Length(size) for size in range(0, LONG_BYTES + 1, BLOCK))
_SEALED_LENGTHS = tuple(Length(size + TAG_BYTES) for size in range(0, LONG_BYTES + 1, BLOCK))


class Place(NamedTuple):
    """Where a record belongs, and what must never change about its row.

    table, column: u8, numbers the spool gives its tables and sealed columns. row: u64. period: u32, of the keyring.
    klass: u8, the traffic class. expires, created: u64, seconds since 1970.
    """

    table: int
    column: int
    row: int
    period: int
    klass: int
    expires: int
    created: int


class Sealer:
    """Seals and unseals the records of one database. Holds no keys: it asks the keyring for each record.

    database: the 16 bytes of the database's uuid, which stand in every associated data.
    """

    __slots__ = ("_database", "_keys")

    def __init__(self, keyring: Keyring, database: bytes) -> None:
        if len(database) != 16:
            raise ValueError(f"a database uuid has 16 bytes, not {len(database)}")
        self._keys = keyring.data_keys
        self._database = database

    def seal(self, place: Place, plain: bytes) -> bytes:
        """Encrypt `plain` for `place` with the key of the place's period and a new random nonce.

        The record is 47 to 110 bytes longer: 46 of frame, and padding to the next 64.
        Errors: `NoKey` when the period has none; `struct.error` when a number of the place is out of its range.
        """
        table, column, row, period, klass, expires, created = place
        place_bytes = _PLACE.pack(_DOMAIN, table, column, self._database, row, period, klass, expires, created)
        key = self._keys[period]
        padded = plain + _PADS[len(plain) & 63]
        size = len(padded)
        sealed = bytes(size + TAG_BYTES)
        nonce = bytes(NONCE_BYTES)
        fill(nonce, NONCE_BYTES)
        if size <= LONG_BYTES:
            encrypt(sealed, None, padded, _PADDED_LENGTHS[size >> 6], place_bytes, _PLACE_LENGTH, None, nonce, key)
        else:
            encrypt_long(sealed, None, padded, Length(size), place_bytes, _PLACE_LENGTH, None, nonce, key)
        return _FRAME.pack(_KNOWN, period, nonce) + sealed

    def unseal(self, place: Place, record: bytes) -> bytes:
        """The plain text that was sealed for `place`.

        Errors: `Tampered`, `NewerRecord`, `NoKey`.
        """
        size = len(record) - OVERHEAD
        if size < BLOCK or size & 63:
            raise _not_ours(place, record)
        known, number, nonce = _FRAME.unpack_from(record)
        table, column, row, period, klass, expires, created = place
        if known != _KNOWN or number != period:
            raise _not_ours(place, record)
        place_bytes = _PLACE.pack(_DOMAIN, table, column, self._database, row, period, klass, expires, created)
        key = self._keys[period]
        sealed = record[_FRAME.size :]
        padded = bytes(size)
        if size <= LONG_BYTES:
            lie = decrypt(
                padded, None, None, sealed, _SEALED_LENGTHS[size >> 6], place_bytes, _PLACE_LENGTH, nonce, key
            )
        else:
            lie = decrypt_long(
                padded, None, None, sealed, Length(size + TAG_BYTES), place_bytes, _PLACE_LENGTH, nonce, key
            )
        if lie:
            raise Tampered(f"{_where(place)}: the record was changed, or sealed for another place")
        mark = padded.rfind(_MARK, -BLOCK)
        if mark < 0 or padded[mark:] != _PADS[mark & 63]:
            raise Tampered(f"{_where(place)}: the record's padding is not ours")
        return padded[:mark]


def _not_ours(place: Place, record: bytes) -> Tampered | NewerRecord:
    # First the version, and only then the length: another version may have another rule for it.
    if len(record) < len(_KNOWN):
        return Tampered(f"{_where(place)}: {len(record)} bytes are no record")
    if record[: len(_KNOWN)] != _KNOWN:
        return NewerRecord(
            f"{_where(place)}: record version {record[0]}, algorithm {record[1]}: written by a newer version of mgate"
        )
    return Tampered(f"{_where(place)}: the record is cut short or of another period")


def _where(place: Place) -> str:
    return f"table {place.table}, column {place.column}, row {place.row}"
