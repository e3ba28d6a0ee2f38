"""A record opens in its own place, whole, or not at all."""

import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mgate.seal.errors import NewerRecord, NoKey, Tampered
from mgate.seal.keyring import Keyring
from mgate.seal.record import OVERHEAD, Place, Sealer
from tests.unit.seal import second_reader
from tests.unit.seal.conftest import DATABASE

U8, U64 = st.integers(0, 2**8 - 1), st.integers(0, 2**64 - 1)
PLACES = st.builds(Place, U8, U8, U64, st.sampled_from((1, 2)), U8, U64, U64)
PLACE = Place(table=1, column=2, row=77, period=1, klass=1, expires=1790000180, created=1790000000)
TEXT = b"Code 482913"

with_one_ring = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture
def sealer(ring: Keyring) -> Sealer:
    return Sealer(ring, DATABASE)


@with_one_ring
@given(place=PLACES, plain=st.binary(max_size=700))
def test_what_is_sealed_unseals_and_the_second_reader_reads_it(
    sealer: Sealer, ring: Keyring, place: Place, plain: bytes
) -> None:
    record = sealer.seal(place, plain)
    assert sealer.unseal(place, record) == plain
    assert second_reader.read_record(dict(ring.data_keys), DATABASE, place._asdict(), record) == plain


@with_one_ring
@given(here=PLACES, there=PLACES)
def test_a_record_opens_in_no_other_place(sealer: Sealer, here: Place, there: Place) -> None:
    record = sealer.seal(here, TEXT)
    if here == there:
        assert sealer.unseal(there, record) == TEXT
        return
    with pytest.raises(Tampered):
        sealer.unseal(there, record)


def test_every_single_bit_of_a_record_matters(sealer: Sealer) -> None:
    record = sealer.seal(PLACE, TEXT)
    for at in range(len(record)):
        for bit in range(8):
            flipped = bytearray(record)
            flipped[at] ^= 1 << bit
            with pytest.raises(NewerRecord if at < 2 else Tampered):
                sealer.unseal(PLACE, bytes(flipped))


def test_every_cut_of_a_record_is_noticed(sealer: Sealer) -> None:
    record = sealer.seal(PLACE, TEXT * 10)
    for length in range(len(record)):
        with pytest.raises(Tampered):
            sealer.unseal(PLACE, record[:length])


@pytest.mark.parametrize("field", Place._fields)
def test_a_row_whose_fixed_facts_changed_does_not_open(sealer: Sealer, field: str) -> None:
    record = sealer.seal(PLACE, TEXT)
    with pytest.raises(Tampered):
        sealer.unseal(PLACE._replace(**{field: getattr(PLACE, field) + 1}), record)


def test_two_rows_cannot_change_their_records(sealer: Sealer) -> None:
    one, other = PLACE, PLACE._replace(row=78)
    records = sealer.seal(one, TEXT), sealer.seal(other, TEXT)
    with pytest.raises(Tampered):
        sealer.unseal(one, records[1])
    with pytest.raises(Tampered):
        sealer.unseal(other, records[0])


def test_a_record_of_another_database_does_not_open(ring: Keyring, sealer: Sealer) -> None:
    with pytest.raises(Tampered):
        Sealer(ring, bytes(16)).unseal(PLACE, sealer.seal(PLACE, TEXT))


def test_the_length_tells_no_more_than_the_number_of_blocks(sealer: Sealer) -> None:
    lengths = [len(sealer.seal(PLACE, bytes(size))) - OVERHEAD for size in range(130)]
    assert lengths == [64] * 64 + [128] * 64 + [192] * 2


def test_the_same_text_is_never_sealed_twice_alike(sealer: Sealer) -> None:
    records = {sealer.seal(PLACE, TEXT) for _ in range(1000)}
    assert len({record[6:30] for record in records}) == 1000
    assert len({record[30:] for record in records}) == 1000


def test_the_text_is_not_in_the_record(sealer: Sealer) -> None:
    assert TEXT not in sealer.seal(PLACE, TEXT)


def test_after_the_key_is_destroyed_a_live_sealer_neither_seals_nor_reads(ring: Keyring, sealer: Sealer) -> None:
    record = sealer.seal(PLACE, TEXT)
    ring.destroy(1)
    with pytest.raises(NoKey, match="destroyed") as missing:
        sealer.unseal(PLACE, record)
    assert missing.value.shredded
    with pytest.raises(NoKey, match="destroyed"):
        sealer.seal(PLACE, TEXT)


def test_a_period_prepared_later_is_seen_by_a_live_sealer(ring: Keyring, sealer: Sealer) -> None:
    with pytest.raises(NoKey, match="never issued") as missing:
        sealer.seal(PLACE._replace(period=3), TEXT)
    assert not missing.value.shredded
    period = ring.period_at("otp", 1790000000 + 7200)
    assert period.number == 3
    place = PLACE._replace(period=3)
    assert sealer.unseal(place, sealer.seal(place, TEXT)) == TEXT


def test_a_number_out_of_range_is_a_bug_and_not_another_place(sealer: Sealer) -> None:
    with pytest.raises(struct.error):
        sealer.seal(PLACE._replace(klass=256), TEXT)


def test_a_database_uuid_of_another_length_is_refused(tmp_path: Path, ring: Keyring) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        Sealer(ring, b"short")
