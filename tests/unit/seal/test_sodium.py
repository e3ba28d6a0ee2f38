"""The short way to the cipher answers as PyNaCl's own does, whatever the length, on every thread."""

from concurrent.futures import ThreadPoolExecutor
from ctypes import ArgumentError

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt, crypto_aead_xchacha20poly1305_ietf_encrypt

from mgate.seal.errors import Tampered
from mgate.seal.keyring import Keyring
from mgate.seal.record import BLOCK, OVERHEAD, Place, Sealer
from mgate.seal.sodium import LONG_BYTES
from tests.unit.seal.conftest import DATABASE
from tests.unit.seal.second_reader import associated_data

PLACE = Place(table=1, column=2, row=77, period=1, klass=1, expires=1790000180, created=1790000000)
NEAR_THE_EDGE = st.integers(LONG_BYTES - 2 * BLOCK, LONG_BYTES + 2 * BLOCK)
SIZES = st.one_of(st.integers(0, 1000), NEAR_THE_EDGE, st.integers(100_000, 100_200))

with_one_ring = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=100)


@pytest.fixture
def sealer(ring: Keyring) -> Sealer:
    return Sealer(ring, DATABASE)


def text(size: int, seed: int) -> bytes:
    return bytes((seed + at * 7) & 0xFF for at in range(256)) * (size // 256) + bytes(range(size % 256))


def by_pynacl(ring: Keyring, plain: bytes, nonce: bytes) -> bytes:
    padded = plain + b"\x80" + bytes(-(len(plain) + 1) % BLOCK)
    data = associated_data(DATABASE, PLACE._asdict())
    sealed = crypto_aead_xchacha20poly1305_ietf_encrypt(padded, data, nonce, ring.data_keys[1])
    return b"\x01\x01\x00\x00\x00\x01" + nonce + sealed


@with_one_ring
@given(size=SIZES, seed=st.integers(0, 255))
@example(size=LONG_BYTES - 1, seed=0)
@example(size=LONG_BYTES, seed=0)
def test_a_record_is_what_pynacl_would_have_sealed(sealer: Sealer, ring: Keyring, size: int, seed: int) -> None:
    plain = text(size, seed)
    record = sealer.seal(PLACE, plain)
    assert record == by_pynacl(ring, plain, record[6:30])
    data = associated_data(DATABASE, PLACE._asdict())
    opened = crypto_aead_xchacha20poly1305_ietf_decrypt(record[30:], data, record[6:30], ring.data_keys[1])
    assert opened.rstrip(b"\0")[:-1] == plain


@with_one_ring
@given(size=SIZES, seed=st.integers(0, 255), nonce=st.binary(min_size=24, max_size=24))
@example(size=LONG_BYTES - 1, seed=0, nonce=bytes(24))
@example(size=LONG_BYTES, seed=0, nonce=bytes(24))
def test_what_pynacl_sealed_is_opened(sealer: Sealer, ring: Keyring, size: int, seed: int, nonce: bytes) -> None:
    plain = text(size, seed)
    assert sealer.unseal(PLACE, by_pynacl(ring, plain, nonce)) == plain


@with_one_ring
@given(size=SIZES, at=st.integers(0, 2**20), bit=st.integers(0, 7))
def test_a_changed_bit_is_noticed_at_every_length(sealer: Sealer, size: int, at: int, bit: int) -> None:
    record = bytearray(sealer.seal(PLACE, bytes(size)))
    record[6 + at % (len(record) - 6)] ^= 1 << bit
    with pytest.raises(Tampered, match="was changed"):
        sealer.unseal(PLACE, bytes(record))


def test_a_block_of_a_megabyte_is_one_record(sealer: Sealer) -> None:
    plain = text(1_000_000, 3)
    record = sealer.seal(PLACE, plain)
    assert len(record) == OVERHEAD + (len(plain) // BLOCK + 1) * BLOCK
    assert sealer.unseal(PLACE, record) == plain


def test_what_is_not_bytes_never_reaches_the_cipher(sealer: Sealer) -> None:
    record = sealer.seal(PLACE, b"Code 482913")
    for wrong in (bytearray(record), memoryview(record), record.decode("latin-1")):
        with pytest.raises((TypeError, ArgumentError)):
            sealer.unseal(PLACE, wrong)  # type: ignore[arg-type]  # the mistake under test
    for plain in (bytearray(b"Code"), memoryview(b"Code"), "Code"):
        with pytest.raises((TypeError, ArgumentError)):
            sealer.seal(PLACE, plain)  # type: ignore[arg-type]  # the mistake under test


def test_answers_of_many_threads_are_not_mixed_up(sealer: Sealer) -> None:
    def there_and_back(number: int) -> bool:
        place = PLACE._replace(row=number)
        plain = text(50 + number * 37, number)
        return all(sealer.unseal(place, sealer.seal(place, plain)) == plain for _ in range(40))

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(there_and_back, range(0, 1000, 10)))


def test_opening_leaves_the_records_own_bytes_alone(sealer: Sealer) -> None:
    record = sealer.seal(PLACE, b"Code 482913")
    before = bytes(bytearray(record))
    assert sealer.unseal(PLACE, record) == b"Code 482913"
    assert record == before
