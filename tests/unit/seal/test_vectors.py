"""Both readers, the product and the stranger, give every vector the answer it names."""

from pathlib import Path

import msgspec
import pytest

from mgate.seal import errors
from mgate.seal.keyfile import Kek
from mgate.seal.keyring import Keyring
from mgate.seal.record import Place, Sealer
from mgate.seal.tags import Tags
from tests.unit.seal import second_reader
from tests.vectors import make_sealed_v1


class RecordVector(msgspec.Struct):
    name: str
    place: dict[str, int]
    record: str
    plain: str | None = None
    fails: str | None = None


class KeyringVector(msgspec.Struct):
    name: str
    kek: str
    copy: str
    fails: str | None = None


class TagVector(msgspec.Struct):
    kind: str
    of: str | int
    value: str
    tag: str


class Vectors(msgspec.Struct):
    database: str
    periods: dict[int, dict[str, str]]
    long_index_key: str
    next_number: int
    keyrings: list[KeyringVector]
    records: list[RecordVector]
    tags: list[TagVector]


VECTORS = msgspec.json.decode(make_sealed_v1.FILE.read_text(), type=Vectors)
DATABASE = bytes.fromhex(VECTORS.database)
DATA_KEYS = {number: bytes.fromhex(keys["data_key"]) for number, keys in VECTORS.periods.items()}

each_record = pytest.mark.parametrize("vector", [pytest.param(vector, id=vector.name) for vector in VECTORS.records])
each_bad_keyring = pytest.mark.parametrize(
    "vector", [pytest.param(vector, id=vector.name) for vector in VECTORS.keyrings[1:]]
)


@pytest.fixture
def ring(tmp_path: Path) -> Keyring:
    return open_copy(tmp_path, VECTORS.keyrings[0])


def open_copy(folder: Path, vector: KeyringVector) -> Keyring:
    for name in ("keyring.a", "keyring.b"):
        (folder / name).write_bytes(bytes.fromhex(vector.copy))
    return Keyring.open(folder, Kek(bytes.fromhex(vector.kek)))


def test_the_vectors_are_what_the_committed_script_writes() -> None:
    assert make_sealed_v1.FILE.read_text() == make_sealed_v1.text()


def test_the_second_readers_cipher_agrees_with_the_draft() -> None:
    key, nonce = bytes(range(32)), bytes.fromhex("000000090000004a0000000031415927")
    expected = "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc"  # draft-irtf-cfrg-xchacha-03, 2.2.1
    assert second_reader.hchacha20(key, nonce).hex() == expected


@each_record
def test_the_product_answers_a_record_vector(vector: RecordVector, ring: Keyring) -> None:
    sealer, place, record = Sealer(ring, ring.database), Place(**vector.place), bytes.fromhex(vector.record)
    if vector.fails is None:
        assert sealer.unseal(place, record).hex() == vector.plain
        return
    with pytest.raises(errors.SealError) as failure:
        sealer.unseal(place, record)
    assert type(failure.value).__name__ == vector.fails


@each_record
def test_the_second_reader_answers_a_record_vector(vector: RecordVector) -> None:
    record = bytes.fromhex(vector.record)
    if vector.fails is None:
        assert second_reader.read_record(DATA_KEYS, DATABASE, vector.place, record).hex() == vector.plain
        return
    with pytest.raises(second_reader.Failure, match=f"^{vector.fails}$"):
        second_reader.read_record(DATA_KEYS, DATABASE, vector.place, record)


@each_bad_keyring
def test_the_product_answers_a_keyring_vector(vector: KeyringVector, tmp_path: Path) -> None:
    with pytest.raises(errors.SealError) as failure:
        open_copy(tmp_path, vector)
    assert type(failure.value).__name__ == vector.fails
    assert {file.read_bytes().hex() for file in tmp_path.iterdir()} == {vector.copy}, "nothing may be written"


@each_bad_keyring
def test_the_second_reader_answers_a_keyring_vector(vector: KeyringVector) -> None:
    with pytest.raises(second_reader.Failure, match=f"^{vector.fails}$"):
        second_reader.read_keyring(bytes.fromhex(vector.copy), bytes.fromhex(vector.kek))


def test_the_whole_keyring_reads_as_what_was_put_into_it(ring: Keyring) -> None:
    assert (ring.database, ring.epoch, ring.repairs) == (DATABASE, 42, ())
    assert dict(ring.data_keys) == DATA_KEYS
    assert ring.data_keys.next_number == VECTORS.next_number
    assert ring.long_index_key.hex() == VECTORS.long_index_key
    assert [(p.number, p.group, p.begins, p.ends, p.retain_until) for p in ring.periods] == [
        period[:5] for period in make_sealed_v1.PERIODS
    ]


@pytest.mark.parametrize("vector", VECTORS.tags)
def test_a_tag_vector(vector: TagVector, ring: Keyring) -> None:
    tags = Tags(ring)
    assert tag_of(vector, tags).hex() == vector.tag
    assert tag_of(vector, tags).hex() == vector.tag, "a second asking finds the kept state untouched"


def tag_of(vector: TagVector, tags: Tags) -> bytes:
    match vector.kind, vector.of:
        case "phone", int(period):
            return tags.phone_tag(period, vector.value)
        case "ref", str(client):
            return tags.ref_tag(client, vector.value)
        case "content", str(client):
            return tags.content_tag(client, vector.value.encode())
        case "opid", str(account):
            return tags.operator_id_tag(account, vector.value)
    raise AssertionError(vector.kind)
