"""The sealed record: one sensitive column of one row, encrypted and bound to its place.

Format, version 1 (docs/sealed-format.md): `version | algorithm | period u32 | nonce 24 | ciphertext | tag 16`, all
numbers big-endian. The associated data names the database, the row and what must never change about it, so that a
record opens in its own place only; what may change (state, attempts, due) is not in it.

Every encryption draws its nonce from the kernel. There is no counter and no stock of nonces, so a fork, a restored
backup or a VM snapshot started twice has nothing to repeat. (One system call for many nonces was measured: it saves
0.35 µs of about 5.5 a seal, too little for a stock that a snapshot could copy.)
"""

from __future__ import annotations

import struct
from os import urandom
from typing import NamedTuple

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt as _decrypt,
)
from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_encrypt as _encrypt,
)
from nacl.exceptions import CryptoError

from mgate.seal.errors import NewerRecord, Tampered
from mgate.seal.keyring import Keyring

VERSION = 1
XCHACHA20_POLY1305 = 1
BLOCK = 64
OVERHEAD = 46

_KNOWN = bytes((VERSION, XCHACHA20_POLY1305))
_HEADER = struct.Struct(">2sI")
_BODY = _HEADER.size + 24
_PLACE = struct.Struct(">6sBB16sQIBQQ")
_DOMAIN = b"mgate\x01"
# One to 64 bytes, so that the mark 0x80 is always there and its removal is never a guess (ISO/IEC 7816-4).
_PADS = tuple(b"\x80" + bytes(BLOCK - 1 - used) for used in range(BLOCK))


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
        nonce = urandom(24)
        sealed = _encrypt(
            plain + _PADS[len(plain) % BLOCK],
            _PLACE.pack(_DOMAIN, table, column, self._database, row, period, klass, expires, created),
            nonce,
            self._keys[period],
        )
        return _HEADER.pack(_KNOWN, period) + nonce + sealed

    def unseal(self, place: Place, record: bytes) -> bytes:
        """The plain text that was sealed for `place`.

        Errors: `Tampered`, `NewerRecord`, `NoKey`.
        """
        if record[:2] != _KNOWN:
            raise _not_ours(place, record)
        table, column, row, period, klass, expires, created = place
        if not _whole(record) or record[2:6] != period.to_bytes(4, "big"):
            raise Tampered(f"{_where(place)}: the record is cut short or of another period")
        try:
            padded = _decrypt(
                record[_BODY:],
                _PLACE.pack(_DOMAIN, table, column, self._database, row, period, klass, expires, created),
                record[6:_BODY],
                self._keys[period],
            )
        except CryptoError:
            raise Tampered(f"{_where(place)}: the record was changed, or sealed for another place") from None
        plain = padded.rstrip(b"\0")
        if len(padded) - len(plain) >= BLOCK or plain[-1:] != b"\x80":
            raise Tampered(f"{_where(place)}: the record's padding is not ours")
        return plain[:-1]


def _whole(record: bytes) -> bool:
    return len(record) > OVERHEAD and len(record) % BLOCK == OVERHEAD


def _not_ours(place: Place, record: bytes) -> Tampered | NewerRecord:
    # The length says nothing here: another version may have another rule for it.
    if len(record) < len(_KNOWN):
        return Tampered(f"{_where(place)}: {len(record)} bytes are no record")
    return NewerRecord(
        f"{_where(place)}: record version {record[0]}, algorithm {record[1]}: written by a newer version of mgate"
    )


def _where(place: Place) -> str:
    return f"table {place.table}, column {place.column}, row {place.row}"
