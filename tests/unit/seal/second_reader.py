"""A second reader of the sealed format, written from docs/sealed-format.md alone, without mgate.seal and without nacl.

XChaCha20 is built from HChaCha20 (draft-irtf-cfrg-xchacha-03, section 2.2) and the ChaCha20-Poly1305 of OpenSSL. An
answer that is a failure is a `Failure` with the name the page gives it.
"""

import struct
from hashlib import blake2b

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305


class Failure(Exception):
    """args[0] is the failure's name on the page."""


def quarter(s: list[int], a: int, b: int, c: int, d: int) -> None:
    for x, y, z, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        s[x] = (s[x] + s[y]) & 0xFFFFFFFF
        mixed = s[z] ^ s[x]
        s[z] = ((mixed << turn) | (mixed >> (32 - turn))) & 0xFFFFFFFF


def hchacha20(key: bytes, nonce: bytes) -> bytes:
    s = list(struct.unpack("<16I", b"expand 32-byte k" + key + nonce))
    for _ in range(10):
        for column in range(4):
            quarter(s, column, 4 + column, 8 + column, 12 + column)
        for column in range(4):
            quarter(s, column, 4 + (column + 1) % 4, 8 + (column + 2) % 4, 12 + (column + 3) % 4)
    return struct.pack("<8I", *s[:4], *s[12:])


def xchacha(key: bytes, nonce: bytes) -> tuple[ChaCha20Poly1305, bytes]:
    return ChaCha20Poly1305(hchacha20(key, nonce[:16])), bytes(4) + nonce[16:]


def check_value(key: bytes) -> bytes:
    return blake2b(key, person=b"mgate-kcv").digest()[:8]


def associated_data(database: bytes, place: dict[str, int]) -> bytes:
    def u(name: str, size: int) -> bytes:
        return place[name].to_bytes(size, "big")

    row = u("row", 8) + u("period", 4) + u("klass", 1) + u("expires", 8) + u("created", 8)
    return b"mgate\x01" + u("table", 1) + u("column", 1) + database + row


def read_record(data_keys: dict[int, bytes], database: bytes, place: dict[str, int], record: bytes) -> bytes:
    right_length = len(record) >= 110 and (len(record) - 46) % 64 == 0
    if len(record) >= 2 and record[0:2] != bytes.fromhex("0101"):
        raise Failure("NewerRecord")
    if not right_length or int.from_bytes(record[2:6], "big") != place["period"]:
        raise Failure("Tampered")
    if place["period"] not in data_keys:
        raise Failure("NoKey")
    cipher, nonce = xchacha(data_keys[place["period"]], record[6:30])
    try:
        padded = cipher.decrypt(nonce, record[30:], associated_data(database, place))
    except InvalidTag:
        raise Failure("Tampered") from None
    end = padded.rfind(0x80)
    if end < len(padded) - 64 or end < 0 or any(padded[end + 1 :]):
        raise Failure("Tampered")
    return padded[:end]


def checked(field: bytes) -> bytes:
    if field[32:] != check_value(field[:32]):
        raise Failure("KeyringDamaged")
    return field[:32]


def read_keyring(copy: bytes, kek: bytes) -> dict[int, tuple[str, bytes, bytes]]:
    """Period number -> group, data key, index key; the long-lived index key stands under number 0."""
    body, checksum = copy[:-32], copy[-32:]
    if blake2b(body, digest_size=32, person=b"mgate-ring-sum").digest() != checksum or body[:8] != b"mgate-kr":
        raise Failure("KeyringDamaged")
    if body[8:10] != b"\x01\x01":
        raise Failure("NewerKeyring")
    length = int.from_bytes(body[66:70], "big")
    if len(body) < 70:
        raise Failure("KeyringDamaged")
    if body[34:42] != check_value(kek):
        raise Failure("WrongKey")
    if len(body) != 70 + length:
        raise Failure("KeyringDamaged")
    cipher, nonce = xchacha(blake2b(b"", key=kek, digest_size=32, person=b"mgate-ring-v1").digest(), body[42:66])
    try:
        ring = cipher.decrypt(nonce, body[70:], body[:70])
    except InvalidTag:
        raise Failure("KeyringDamaged") from None
    found = {0: ("", b"", checked(ring[:40]))}
    offset = 48
    for _ in range(int.from_bytes(ring[44:48], "big")):
        period = ring[offset:]
        if period[4] != 1:
            raise Failure("NewerKeyring")
        name = period[110 : 110 + period[109]].decode()
        found[int.from_bytes(period[:4], "big")] = (name, checked(period[29:69]), checked(period[69:109]))
        offset += 110 + period[109]
    return found
