"""Writes sealed-v1.json: fixed keys and nonces, and for each example the answer or the failure it must give.

Run it from the top of the repository: `python -m tests.vectors.make_sealed_v1`. It uses the ciphers of the second
reader and nothing of mgate, so that the vectors hold the product to the page and not to itself. Vectors of a published
version never change; a new version gets a file of its own.
"""

import json
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

from tests.unit.seal.second_reader import associated_data, check_value, xchacha

FILE = Path(__file__).with_name("sealed-v1.json")

KEK = bytes(range(32))
OTHER_KEK = bytes(range(1, 33))
DATABASE = bytes(range(0xA0, 0xB0))
LONG_INDEX_KEY = bytes([0x10]) * 16 + bytes(range(16))
# Number, group, from, to, retain until, data key, index key. Period 2 was destroyed; 5 is the first never given.
PERIODS = [
    (1, "otp", 1790000000 // 3600 * 3600, 1790000000 // 3600 * 3600 + 3600, 1790090000, b"\x21" * 32, b"\x31" * 32),
    (3, "transaction", 1789948800, 1790035200, 1824163200, bytes(range(64, 96)), bytes(range(96, 128))),
    (4, "дзень", 1789948800, 1790035200, 1824163200, bytes(range(128, 160)), bytes(range(160, 192))),
]
NEXT_NUMBER = 5
PLACE = {
    "table": 1,
    "column": 2,
    "row": 281474976710657,
    "period": 3,
    "klass": 3,
    "expires": 1790043200,
    "created": 1790000000,
}
TEXT = b"Code 482913. Example Bank"


def pad(plain: bytes) -> bytes:
    return plain + b"\x80" + bytes(63 - len(plain) % 64)


def seal(padded: bytes, place: dict[str, int], nonce: bytes = bytes(range(24)), head: bytes = b"\x01\x01") -> bytes:
    keys = {period[0]: period[5] for period in PERIODS}
    cipher, short_nonce = xchacha(keys.get(place["period"], b"\x77" * 32), nonce)
    sealed = cipher.encrypt(short_nonce, padded, associated_data(DATABASE, place))
    return head + place["period"].to_bytes(4, "big") + nonce + sealed


def with_byte_changed(data: bytes, at: int) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


def vector(name: str, record: bytes, *, place: dict[str, int] = PLACE, **answer: str) -> dict[str, object]:
    return {"name": name, "place": place, "record": record.hex(), **answer}


def record_vectors() -> list[dict[str, object]]:
    good = seal(pad(TEXT), PLACE)
    others = [("empty", b""), ("63 bytes", b"\x00" * 63), ("64 bytes", b"\x80" * 64), ("200 bytes", bytes(range(200)))]
    missing = [("period destroyed", {**PLACE, "period": 2}), ("period never given", {**PLACE, "period": 5})]
    changed = [
        ("nonce changed", with_byte_changed(good, 6)),
        ("ciphertext changed", with_byte_changed(good, 30)),
        ("tag changed", with_byte_changed(good, len(good) - 1)),
        ("a block cut off", seal(pad(TEXT + bytes(64)), PLACE)[:-64]),
        ("a byte cut off", good[:-1]),
        ("a byte too many", good + b"\x00"),
        ("nothing", b""),
        ("only a frame", good[:30] + good[-16:]),
        ("no mark in the padding", seal(bytes(64), PLACE)),
        ("the mark too far from the end", seal(b"\x80" + bytes(127), PLACE)),
        ("another byte where the mark should be", seal(TEXT + b"\x01" + bytes(63 - len(TEXT)), PLACE)),
        ("no whole block", seal(b"\x80", PLACE)),
    ]
    newer = [
        ("version 2", seal(pad(TEXT), PLACE, head=b"\x02\x01")),
        ("algorithm 2", seal(pad(TEXT), PLACE, head=b"\x01\x02")),
        ("version 2 of another length", b"\x02\x01" + bytes(50)),
    ]
    return [
        vector("a text", good, plain=TEXT.hex()),
        *(vector(name, seal(pad(plain), PLACE, b"\x05" * 24), plain=plain.hex()) for name, plain in others),
        *(vector(f"{name} differs", good, place={**PLACE, name: PLACE[name] + 1}, fails="Tampered") for name in PLACE),
        *(vector(name, seal(pad(TEXT), place), place=place, fails="NoKey") for name, place in missing),
        *(vector(name, record, fails="Tampered") for name, record in changed),
        *(vector(name, record, fails="NewerRecord") for name, record in newer),
    ]


def wrong_check(key: bytes) -> bytes:
    return with_byte_changed(check_value(key), 7)


def ring(state: int = 1, check_of: Callable[[bytes], bytes] = check_value) -> bytes:
    def checked(key: bytes) -> bytes:
        return key + check_of(key)

    plain = checked(LONG_INDEX_KEY) + NEXT_NUMBER.to_bytes(4, "big") + len(PERIODS).to_bytes(4, "big")
    for number, group, begins, ends, until, data_key, index_key in PERIODS:
        plain += number.to_bytes(4, "big") + bytes([state])
        plain += b"".join(moment.to_bytes(8, "big") for moment in (begins, ends, until))
        plain += checked(data_key) + checked(index_key) + bytes([len(group.encode())]) + group.encode()
    return plain


def summed(body: bytes) -> bytes:
    return body + blake2b(body, digest_size=32, person=b"mgate-ring-sum").digest()


def keyring(plain: bytes, head: bytes = b"mgate-kr\x01\x01", spoil: int | None = None) -> bytes:
    nonce = bytes(range(100, 124))
    header = head + DATABASE + (42).to_bytes(8, "big") + check_value(KEK) + nonce + (len(plain) + 16).to_bytes(4, "big")
    cipher, short_nonce = xchacha(blake2b(b"", key=KEK, digest_size=32, person=b"mgate-ring-v1").digest(), nonce)
    body = header + cipher.encrypt(short_nonce, plain, header)
    return summed(body if spoil is None else with_byte_changed(body, spoil))


def keyring_vectors() -> list[dict[str, str]]:
    good = keyring(ring())
    return [
        {"name": "whole", "kek": KEK.hex(), "copy": good.hex()},
        *(
            {"name": name, "kek": kek.hex(), "copy": copy.hex(), "fails": failure}
            for name, kek, copy, failure in (
                ("another KEK", OTHER_KEK, good, "WrongKey"),
                ("version 2", KEK, keyring(ring(), b"mgate-kr\x02\x01"), "NewerKeyring"),
                ("algorithm 2", KEK, keyring(ring(), b"mgate-kr\x01\x02"), "NewerKeyring"),
                ("a period in an unknown state", KEK, keyring(ring(state=2)), "NewerKeyring"),
                ("version changed, checksum not", KEK, with_byte_changed(good, 8), "KeyringDamaged"),
                ("sealed byte changed, checksum not", KEK, with_byte_changed(good, 80), "KeyringDamaged"),
                ("epoch changed, checksum made to fit", KEK, keyring(ring(), spoil=33), "KeyringDamaged"),
                ("sealed byte changed, checksum made to fit", KEK, keyring(ring(), spoil=80), "KeyringDamaged"),
                ("cut short", KEK, good[:-1], "KeyringDamaged"),
                ("header cut short, checksum made to fit", KEK, summed(good[:50]), "KeyringDamaged"),
                ("sealed part cut short, checksum made to fit", KEK, summed(good[:-33]), "KeyringDamaged"),
                (
                    "sealed part shorter than a tag",
                    KEK,
                    summed(good[:66] + b"\0\0\0\5" + good[70:75]),
                    "KeyringDamaged",
                ),
                ("a byte too many, checksum made to fit", KEK, summed(good[:-32] + b"\x00"), "KeyringDamaged"),
                ("keys that do not fit their check values", KEK, keyring(ring(check_of=wrong_check)), "KeyringDamaged"),
                ("nothing", KEK, b"", "KeyringDamaged"),
                ("not a keyring", KEK, keyring(ring(), b"mgate-xx\x01\x01"), "KeyringDamaged"),
            )
        ),
    ]


def tag(value: bytes, key: bytes, person: bytes) -> str:
    return blake2b(value, key=key, digest_size=16, person=person).hexdigest()


def tag_vectors() -> list[dict[str, object]]:
    phone, long_key = "+375291110001", LONG_INDEX_KEY
    return [
        {"kind": "phone", "of": 1, "value": phone, "tag": tag(phone.encode(), PERIODS[0][6], b"mgate-phone-1")},
        {"kind": "phone", "of": 3, "value": phone, "tag": tag(phone.encode(), PERIODS[1][6], b"mgate-phone-1")},
        {"kind": "ref", "of": "local", "value": "A-1", "tag": tag(b"\0\5localA-1", long_key, b"mgate-ref-1")},
        {"kind": "ref", "of": "localA", "value": "-1", "tag": tag(b"\0\6localA-1", long_key, b"mgate-ref-1")},
        {"kind": "content", "of": "local", "value": "{}", "tag": tag(b"\0\5local{}", long_key, b"mgate-same-1")},
        {"kind": "opid", "of": "op-a", "value": "7f03", "tag": tag(b"\0\4op-a7f03", long_key, b"mgate-opid-1")},
    ]


def text() -> str:
    vectors = {
        "format": "docs/sealed-format.md, version 1; every value in hex but names, numbers and what is tagged",
        "database": DATABASE.hex(),
        "periods": {str(period[0]): {"data_key": period[5].hex(), "index_key": period[6].hex()} for period in PERIODS},
        "long_index_key": LONG_INDEX_KEY.hex(),
        "next_number": NEXT_NUMBER,
        "keyrings": keyring_vectors(),
        "records": record_vectors(),
        "tags": tag_vectors(),
    }
    return json.dumps(vectors, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
