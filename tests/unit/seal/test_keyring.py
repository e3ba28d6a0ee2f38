"""The keyring survives a crash at any step, tells a wrong key before it writes, and forgets for good."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mgate.seal import ringfile
from mgate.seal.errors import (
    KeyringDamaged,
    KeyringExists,
    NewerKeyring,
    NoKey,
    NoKeyring,
    SealError,
    UnknownGroup,
    WrongKey,
)
from mgate.seal.keyfile import Kek
from mgate.seal.keyring import Cut, Group, Keyring
from tests.unit.seal import second_reader
from tests.unit.seal.conftest import DATABASE, NOW, OTP, SERVICE

HOUR, DAY = 3600, 86_400


class PowerCut(OSError):
    """Raised in the place of the step at which the power fails."""


@contextmanager
def power_cut_at(step: int) -> Iterator[None]:
    """Every call that makes something durable is a step; the given one fails, and nothing after it happens."""
    steps = count()

    def failing(real: object) -> object:
        def act(*args: object, **named: object) -> object:
            if next(steps) >= step:
                raise PowerCut
            assert callable(real)
            return real(*args, **named)

        return act

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", failing(os.fsync))
        patch.setattr(Path, "replace", failing(Path.replace))
        yield


def copies(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in ringfile.COPIES]


def spoil(path: Path, at: int = 100) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(bytes(content))


# Periods


def test_otp_is_cut_by_the_hour_and_the_others_by_the_day_in_utc(ring: Keyring) -> None:
    otp, service = ring.period_at("otp", NOW), ring.period_at("service", NOW)
    assert (otp.begins, otp.ends) == (NOW // HOUR * HOUR, NOW // HOUR * HOUR + HOUR)
    assert (service.begins, service.ends) == (NOW // DAY * DAY, NOW // DAY * DAY + DAY)
    assert service.retain_until == service.ends + 90 * DAY


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(moments=st.lists(st.floats(NOW - DAY, NOW + 2 * DAY), min_size=1, max_size=8))
def test_a_moment_always_falls_into_its_own_period_and_numbers_never_come_twice(
    ring: Keyring, moments: list[float]
) -> None:
    for at in moments:
        for group in ("otp", "service"):
            period = ring.period_at(group, at)
            assert period.begins <= at < period.ends
            assert period.group == group
    numbers = [period.number for period in ring.periods]
    assert numbers == sorted(set(numbers))


def test_the_last_moment_of_a_period_and_the_first_of_the_next_are_told_apart(ring: Keyring) -> None:
    otp = ring.period_at("otp", NOW)
    assert ring.period_at("otp", otp.ends - 0.001) == otp
    assert ring.period_at("otp", otp.ends) != otp


def test_a_prepared_period_costs_no_write_when_its_time_comes(ring: Keyring, tmp_path: Path) -> None:
    ends = ring.period_at("otp", NOW).ends
    (prepared,) = ring.prepare((OTP,), ends)
    with power_cut_at(0):
        assert ring.period_at("otp", ends) == prepared
        assert ring.period_at("otp", NOW) != prepared


def test_several_groups_are_prepared_in_one_write(ring: Keyring) -> None:
    epoch = ring.epoch
    groups = (OTP, SERVICE, Group("marketing", Cut.DAY, DAY))
    periods = ring.prepare(groups, NOW + 2 * DAY)
    assert ring.epoch == epoch + 1
    assert [period.group for period in periods] == [group.name for group in groups]
    assert ring.prepare(groups, NOW + 2 * DAY) == periods
    assert ring.epoch == epoch + 1, "what is there is not written again"


def test_no_two_periods_share_a_key(ring: Keyring) -> None:
    keys = [*ring.data_keys.values(), *ring.index_keys.values(), ring.long_index_key]
    assert len(set(keys)) == 5


def test_a_period_not_prepared_in_time_is_made_when_asked_for(ring: Keyring, tmp_path: Path, kek: Kek) -> None:
    late = ring.period_at("otp", NOW + 5 * HOUR)
    assert late in Keyring.open(tmp_path, kek).periods


def test_a_group_never_prepared_is_a_mistake_and_not_a_new_group(ring: Keyring) -> None:
    with pytest.raises(UnknownGroup, match="'otpp'"):
        ring.period_at("otpp", NOW)


def test_after_opening_present_periods_are_known_before_anything_is_prepared(
    ring: Keyring, tmp_path: Path, kek: Kek
) -> None:
    again = Keyring.open(tmp_path, kek)
    assert again.period_at("otp", NOW) == ring.period_at("otp", NOW)
    assert again.prepare((OTP, SERVICE), NOW) == ring.periods
    assert (again.database, again.epoch, again.repairs) == (DATABASE, ring.epoch, ())


@pytest.mark.parametrize("name", ["", "x" * 256, "ж" * 128])
def test_a_group_name_that_the_file_cannot_hold_is_refused(ring: Keyring, name: str) -> None:
    with pytest.raises(ValueError, match="1 to 255 bytes"):
        ring.prepare((Group(name, Cut.DAY, DAY),), NOW)


# The file


def test_both_copies_read_as_the_page_says(ring: Keyring, tmp_path: Path) -> None:
    one, other = copies(tmp_path)
    assert one == other
    read = second_reader.read_keyring(one, bytes(range(100, 132)))
    assert read[0][2] == ring.long_index_key
    assert {number: found[1] for number, found in read.items() if number} == dict(ring.data_keys)
    assert {number: found[2] for number, found in read.items() if number} == dict(ring.index_keys)
    assert [found[0] for found in read.values()] == ["", "otp", "service"]


def test_no_file_holds_a_key_in_clear_and_only_the_owner_reads_them(ring: Keyring, tmp_path: Path, kek: Kek) -> None:
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    secrets = [*ring.data_keys.values(), *ring.index_keys.values(), ring.long_index_key, kek.ring_key()]
    assert not [True for secret in secrets if secret[:8] in content]
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_a_wrong_key_is_told_and_nothing_is_written(ring: Keyring, tmp_path: Path) -> None:
    before = copies(tmp_path)
    with pytest.raises(WrongKey, match="give the key file") as wrong:
        Keyring.open(tmp_path, Kek(bytes(range(32))))
    assert str(tmp_path) in str(wrong.value)
    assert copies(tmp_path) == before


@pytest.mark.parametrize("name", ringfile.COPIES)
def test_one_damaged_copy_is_mended_from_the_other_and_told(ring: Keyring, tmp_path: Path, kek: Kek, name: str) -> None:
    for at in range(len(copies(tmp_path)[0])):
        spoil(tmp_path / name, at)
        again = Keyring.open(tmp_path, kek)
        assert [(repair.path, repair.why) for repair in again.repairs] == [(tmp_path / name, "damaged")]
        assert again.data_keys == ring.data_keys
        assert Keyring.open(tmp_path, kek).repairs == (), f"byte {at} was not mended"


@pytest.mark.parametrize("name", ringfile.COPIES)
def test_a_missing_copy_is_written_anew_and_told(ring: Keyring, tmp_path: Path, kek: Kek, name: str) -> None:
    (tmp_path / name).unlink()
    assert [repair.why for repair in Keyring.open(tmp_path, kek).repairs] == ["missing"]
    assert Keyring.open(tmp_path, kek).repairs == ()


def test_one_damaged_copy_and_a_wrong_key_is_a_wrong_key(ring: Keyring, tmp_path: Path) -> None:
    spoil(tmp_path / "keyring.a")
    before = copies(tmp_path)
    with pytest.raises(WrongKey):
        Keyring.open(tmp_path, Kek(bytes(range(32))))
    assert copies(tmp_path) == before


def test_two_damaged_copies_are_told_and_left_as_they_are(ring: Keyring, tmp_path: Path, kek: Kek) -> None:
    for name in ringfile.COPIES:
        spoil(tmp_path / name)
    before = copies(tmp_path)
    with pytest.raises(KeyringDamaged, match="restore it from its own backup"):
        Keyring.open(tmp_path, kek)
    assert copies(tmp_path) == before


def test_one_copy_of_a_newer_version_stops_the_start(ring: Keyring, tmp_path: Path, kek: Kek) -> None:
    content = bytearray(copies(tmp_path)[1][:-32])
    content[8] = 2
    newer = bytes(content) + ringfile._checksum(bytes(content))
    (tmp_path / "keyring.b").write_bytes(newer)
    with pytest.raises(NewerKeyring, match="version 2"):
        Keyring.open(tmp_path, kek)
    assert copies(tmp_path)[1] == newer


def test_no_keyring_is_not_made_up(tmp_path: Path, kek: Kek) -> None:
    with pytest.raises(NoKeyring, match="restore them"):
        Keyring.open(tmp_path, kek)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ringfile.COPIES)
def test_a_keyring_is_never_made_over_another(tmp_path: Path, kek: Kek, name: str) -> None:
    (tmp_path / name).write_bytes(b"even a damaged one")
    with pytest.raises(KeyringExists):
        Keyring.create(tmp_path, kek, DATABASE)
    assert (tmp_path / name).read_bytes() == b"even a damaged one"


def test_a_copy_that_the_disk_cannot_read_is_damaged(ring: Keyring, tmp_path: Path, kek: Kek) -> None:
    readable = Path.read_bytes

    def bad_sector(path: Path) -> bytes:
        if path.name == "keyring.a":
            raise OSError(errno.EIO, "Input/output error")
        return readable(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "read_bytes", bad_sector)
        (repair,) = Keyring.open(tmp_path, kek).repairs
    assert (repair.why, "disk cannot read" in repair.detail) == ("damaged", True)


def test_a_copy_that_cannot_be_opened_for_another_reason_is_not_written_over(
    ring: Keyring, tmp_path: Path, kek: Kek
) -> None:
    (tmp_path / "keyring.a").unlink()
    (tmp_path / "keyring.a").mkdir()
    with pytest.raises(IsADirectoryError):
        Keyring.open(tmp_path, kek)


# Crashes


def test_each_copy_is_durable_before_it_is_named_and_its_name_before_the_other_is_touched(
    ring: Keyring, tmp_path: Path
) -> None:
    steps: list[str] = []
    fsync, rename = os.fsync, Path.replace

    def seen_fsync(opened: int) -> None:
        steps.append("fsync " + Path(f"/proc/self/fd/{opened}").readlink().name)
        fsync(opened)

    def seen_rename(path: Path, place: Path) -> Path:
        steps.append(f"rename {path.name}")
        return rename(path, place)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", seen_fsync)
        patch.setattr(Path, "replace", seen_rename)
        ring.prepare((OTP,), NOW + DAY)
    assert steps == [
        step
        for name in ringfile.COPIES
        for step in (f"fsync {name}.new", f"rename {name}.new", f"fsync {tmp_path.name}", f"fsync {name} (deleted)")
    ]


@pytest.mark.parametrize("step", range(7))
def test_a_power_cut_at_any_step_leaves_the_old_ring_or_the_new(
    ring: Keyring, tmp_path: Path, kek: Kek, step: int
) -> None:
    before = dict(ring.data_keys)
    with power_cut_at(step), pytest.raises(PowerCut):
        ring.prepare((OTP,), NOW + DAY)
    assert ring.data_keys == before, "no key is used that may not be on the disk"
    again = Keyring.open(tmp_path, kek)
    assert {number: again.data_keys[number] for number in before} == before
    assert len(again.periods) - len(before) in (0, 1)
    assert {repair.why for repair in again.repairs} <= {"older"}
    assert len(set(copies(tmp_path))) == 1


def test_a_crash_between_the_two_copies_is_brought_up_to_the_newer(ring: Keyring, tmp_path: Path, kek: Kek) -> None:
    old = (tmp_path / "keyring.b").read_bytes()
    ring.prepare((OTP,), NOW + DAY)
    (tmp_path / "keyring.b").write_bytes(old)
    again = Keyring.open(tmp_path, kek)
    assert again.data_keys == ring.data_keys
    assert [(repair.path.name, repair.why) for repair in again.repairs] == [("keyring.b", "older")]


def test_after_a_failed_write_the_ring_goes_on_and_no_epoch_means_two_things(
    ring: Keyring, tmp_path: Path, kek: Kek
) -> None:
    with power_cut_at(4), pytest.raises(PowerCut):
        ring.prepare((OTP,), NOW + DAY)
    assert ring.epoch == 2, "an epoch not known to be on the disk is told to nobody"
    half_written = second_reader.read_keyring(copies(tmp_path)[0], bytes(range(100, 132)))
    (period,) = ring.prepare((OTP,), NOW + DAY)
    again = Keyring.open(tmp_path, kek)
    assert half_written[period.number][1] != again.data_keys[period.number]
    assert again.epoch == ring.epoch
    assert int.from_bytes(copies(tmp_path)[0][26:34], "big") == ring.epoch


@pytest.mark.parametrize("step", range(7))
def test_a_power_cut_while_the_keyring_is_made_leaves_none_or_a_whole_one(tmp_path: Path, kek: Kek, step: int) -> None:
    with power_cut_at(step):
        try:
            Keyring.create(tmp_path, kek, DATABASE)
        except PowerCut:
            pass
    try:
        assert Keyring.open(tmp_path, kek).database == DATABASE
    except NoKeyring:
        Keyring.create(tmp_path, kek, DATABASE)


# Destroying


def test_a_destroyed_key_is_gone_here_in_both_copies_and_its_number_never_returns(
    ring: Keyring, tmp_path: Path, kek: Kek
) -> None:
    number = ring.period_at("otp", NOW).number
    ring.destroy(number)
    for each in (ring, Keyring.open(tmp_path, kek)):
        with pytest.raises(NoKey) as missing:
            each.data_keys[number]
        assert missing.value.shredded
        assert number not in each.index_keys
    for copy in copies(tmp_path):
        assert number not in second_reader.read_keyring(copy, bytes(range(100, 132)))
    assert ring.period_at("otp", NOW).number == 3


def test_the_numbers_of_destroyed_periods_are_not_given_again_after_a_restart(
    ring: Keyring, tmp_path: Path, kek: Kek
) -> None:
    ring.destroy(1, 2)
    again = Keyring.open(tmp_path, kek)
    assert again.periods == ()
    assert again.prepare((OTP,), NOW)[0].number == 3


def test_destroying_twice_writes_once_and_an_unknown_number_destroys_nothing(ring: Keyring) -> None:
    ring.destroy(1)
    epoch = ring.epoch
    ring.destroy(1)
    assert ring.epoch == epoch
    with pytest.raises(NoKey) as missing:
        ring.destroy(2, 99)
    assert not missing.value.shredded
    assert 2 in ring.data_keys


@pytest.mark.parametrize("step", range(7))
def test_a_power_cut_while_destroying_is_finished_at_the_next_try(
    ring: Keyring, tmp_path: Path, kek: Kek, step: int
) -> None:
    with power_cut_at(step), pytest.raises(PowerCut):
        ring.destroy(1)
    ring.destroy(1)
    assert [period.number for period in Keyring.open(tmp_path, kek).periods] == [2]


def test_the_replaced_file_is_overwritten_unless_somebody_else_names_it(ring: Keyring, tmp_path: Path) -> None:
    backup = tmp_path / "backup-of-a"
    os.link(tmp_path / "keyring.a", backup)
    kept = backup.read_bytes()
    with (tmp_path / "keyring.b").open("rb") as replaced:
        ring.destroy(1)
        assert not any(replaced.read())
    assert backup.read_bytes() == kept


# Nothing prints


def test_nothing_that_holds_a_key_prints_it(ring: Keyring, tmp_path: Path, kek: Kek) -> None:
    inner = ringfile.decode(copies(tmp_path)[0], kek)
    shown = "".join(
        f"{each!r}{each!s}{each}"
        for each in (ring, ring.data_keys, ring.index_keys, ring.periods, kek, inner, inner.periods[0])
    )
    for key in (*ring.data_keys.values(), *ring.index_keys.values(), ring.long_index_key, bytes(range(100, 132))):
        assert repr(key)[2:-1] not in shown
        assert key.hex()[:8] not in shown


def test_no_error_quotes_a_key(ring: Keyring, tmp_path: Path) -> None:
    with pytest.raises(SealError) as wrong:
        Keyring.open(tmp_path, Kek(bytes(range(32))))
    assert bytes(range(32)).hex()[:8] not in str(wrong.value)
    with pytest.raises(SealError) as short:
        Kek(b"hunter2")
    assert "hunter2" not in str(short.value)
