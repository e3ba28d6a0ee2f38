"""The keyring: which keys there are, which period they belong to, and until when.

A period belongs to one retention group (a name the configuration gives) and one cut of time (an hour, a day), so that
what must die today never shares a key with what must live 13 months. Its data key and index key are random, not
derived: destroying them destroys what they sealed, in every old backup too.

Periods are prepared ahead of time, because a key must be durable before anything is sealed with it and the hot path
must not wait for a disk. Numbers are never given twice: a missing number below the next one is a key that was
destroyed, a number from there on is one that this keyring never made.

Keys may be looked up on any thread. The verbs (`period_at`, `prepare`, `destroy`) belong on one, the one that seals.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path
from typing import Literal, Self

from mgate.seal.errors import KeyringDamaged, KeyringExists, NewerKeyring, NoKey, NoKeyring, UnknownGroup, WrongKey
from mgate.seal.keyfile import KEY_BYTES, Kek
from mgate.seal.ringfile import (
    COPIES,
    DamagedCopy,
    Period,
    PeriodKeys,
    PeriodState,
    Ring,
    decode,
    encode,
    read_copy,
    write_copy,
)

__all__ = ["Cut", "Group", "Keyring", "Keys", "Period", "PeriodState", "Repair"]


class Cut(IntEnum):
    """How long a period lasts, in seconds; it begins on a multiple of it, in UTC."""

    HOUR = 3600
    DAY = 86400


@dataclass(frozen=True, slots=True)
class Group:
    """A retention group: name (1 to 255 bytes of UTF-8), cut, and the seconds it is kept after a period ends."""

    name: str
    cut: Cut
    retention: int


@dataclass(frozen=True, slots=True)
class Repair:
    """A copy of the keyring that had to be written anew at opening.

    why: `older` is what a crash between the two copies leaves; `damaged` and `missing` want an alarm.
    detail: the whole of it in a sentence.
    """

    path: Path
    why: Literal["older", "damaged", "missing"]
    detail: str


class Keys(dict[int, bytes]):
    """Keys by period number. A missing one is `NoKey`. Does not print itself."""

    __slots__ = ("next_number",)

    def __init__(self) -> None:
        super().__init__()
        self.next_number = 1

    def __missing__(self, number: int) -> bytes:
        raise NoKey(number, shredded=0 < number < self.next_number)

    def __repr__(self) -> str:
        return f"<Keys of {len(self)} periods>"


class Keyring:
    """The open keyring of one database. `create` and `open` are the ways to one."""

    def __init__(self, folder: Path, kek: Kek, ring: Ring, repairs: tuple[Repair, ...] = ()) -> None:
        self._folder = folder
        self._kek = kek
        self._ring = ring
        self._last_epoch = ring.epoch
        self._groups: dict[str, Group] = {}
        self._current: dict[str, Period] = {}
        self._periods: tuple[Period, ...] = ()
        self.data_keys = Keys()
        self.index_keys = Keys()
        self.repairs = repairs
        self._take(ring)

    def __repr__(self) -> str:
        return f"<Keyring of {len(self._periods)} periods, epoch {self.epoch}, in {self._folder}>"

    @classmethod
    def create(cls, folder: Path, kek: Kek, database: bytes) -> Self:
        """Make a new keyring for a new database (16 bytes of uuid) and write both copies.

        For a new instance only: where a spool exists, a missing keyring is a loss to be told, not a gap to be filled.
        Errors: `KeyringExists` when any copy is there, damaged or not.
        """
        if len(database) != 16:
            raise ValueError(f"a database uuid has 16 bytes, not {len(database)}")
        for name in COPIES:
            if (folder / name).exists():
                raise KeyringExists(f"{folder / name} exists: a new keyring would make all that is sealed unreadable")
        ring = Ring(database, 1, os.urandom(KEY_BYTES), 1, ())
        _write_both(folder, encode(ring, kek))
        return cls(folder, kek, ring)

    @classmethod
    def open(cls, folder: Path, kek: Kek) -> Self:
        """Read the keyring; mend one copy from the other if need be, and say so in `repairs`.

        Nothing is written unless one copy was read whole with this key.
        Errors: `NoKeyring`, `WrongKey`, `KeyringDamaged`, `NewerKeyring`.
        """
        found = {name: _read(folder, name, kek) for name in COPIES}
        whole = [copy for copy in found.values() if isinstance(copy, _Whole)]
        if not whole:
            raise _none_whole(folder, found)
        best = max(whole, key=lambda copy: copy.ring.epoch)
        repairs = tuple(repair for name, copy in found.items() if (repair := _needed(folder / name, copy, best)))
        for repair in repairs:
            write_copy(folder, repair.path.name, best.content)
        return cls(folder, kek, best.ring, repairs)

    @property
    def database(self) -> bytes:
        """The uuid (16 bytes) of the database whose records these keys sealed."""
        return self._ring.database

    @property
    def epoch(self) -> int:
        """Grows with every write. A keyring older than the epoch that the spool last saw was rolled back."""
        return self._ring.epoch

    @property
    def periods(self) -> tuple[Period, ...]:
        """The periods whose keys exist, by number."""
        return self._periods

    @property
    def long_index_key(self) -> bytes:
        """The index key (32 bytes) that lives as long as the keyring."""
        return self._ring.long_index_key

    def period_at(self, group: str, at: float) -> Period:
        """The period in which a row of `group` made at `at` is to be sealed.

        Where none was prepared (a suspended machine woke late) it is made and written now, at the price of fsyncs.
        Errors: `UnknownGroup` when this group was never prepared since opening and has no period at that moment.
        """
        current = self._current.get(group)
        if current is not None and current.begins <= at < current.ends:
            return current
        found = self._find(group, at)
        if found is None:
            known = self._groups.get(group)
            if known is None:
                raise UnknownGroup(f"retention group {group!r} has no period at {at:.0f} and was never prepared")
            (found,) = self.prepare((known,), at)
        self._current[group] = found
        return found

    def prepare(self, groups: Iterable[Group], at: float) -> tuple[Period, ...]:
        """See that every group has a period at `at`; make the missing ones in one durable write.

        Called at start, and ahead of each cut with the `ends` of the present periods. Returns the periods in the order
        of `groups`. When the write fails (`OSError`), the keyring is as before.
        """
        answer: list[Period] = []
        made: list[PeriodKeys] = []
        for group in groups:
            if not 0 < len(group.name.encode()) < 256:
                raise ValueError(f"retention group {group.name!r}: a name has 1 to 255 bytes")
            self._groups[group.name] = group
            period = self._find(group.name, at)
            if period is None:
                period = _new_period(self._ring.next_number + len(made), group, at)
                made.append(PeriodKeys(period, os.urandom(KEY_BYTES), os.urandom(KEY_BYTES)))
            answer.append(period)
        if made:
            self._save(next_number=self._ring.next_number + len(made), periods=(*self._ring.periods, *made))
        return tuple(answer)

    def destroy(self, *numbers: int) -> None:
        """Destroy the keys of these periods, here and in both copies: nobody reads what they sealed any more.

        A period destroyed before is let be. When the write fails (`OSError`) the keys are still there: ask again.
        Errors: `NoKey` for a number that was never issued; then nothing is destroyed.
        """
        for number in numbers:
            if not 0 < number < self._ring.next_number:
                raise NoKey(number, shredded=False)
        kept = tuple(keys for keys in self._ring.periods if keys.period.number not in numbers)
        if len(kept) != len(self._ring.periods):
            self._save(next_number=self._ring.next_number, periods=kept)

    def _find(self, group: str, at: float) -> Period | None:
        for period in reversed(self._periods):
            if period.group == group and period.begins <= at < period.ends:
                return period
        return None

    def _save(self, *, next_number: int, periods: tuple[PeriodKeys, ...]) -> None:
        # An epoch is spent even when the write fails: one copy may be on the disk, and two rings must not share one.
        self._last_epoch += 1
        ring = replace(self._ring, epoch=self._last_epoch, next_number=next_number, periods=periods)
        _write_both(self._folder, encode(ring, self._kek))
        self._take(ring)

    def _take(self, ring: Ring) -> None:
        self._ring = ring
        self._current.clear()
        self._periods = tuple(keys.period for keys in ring.periods)
        _fill(self.data_keys, ring, lambda keys: keys.data_key)
        _fill(self.index_keys, ring, lambda keys: keys.index_key)


def _fill(keys: Keys, ring: Ring, pick: Callable[[PeriodKeys], bytes]) -> None:
    # Never emptied in between: another thread may be reading.
    kept = {each.period.number: pick(each) for each in ring.periods}
    keys.next_number = ring.next_number
    keys.update(kept)
    for number in keys.keys() - kept.keys():
        del keys[number]


def _new_period(number: int, group: Group, at: float) -> Period:
    begins = int(at // group.cut) * group.cut
    ends = begins + group.cut
    return Period(number, group.name, begins, ends, ends + group.retention)


def _write_both(folder: Path, content: bytes) -> None:
    for name in COPIES:
        write_copy(folder, name, content)


@dataclass(frozen=True, slots=True)
class _Whole:
    content: bytes
    ring: Ring


def _read(folder: Path, name: str, kek: Kek) -> _Whole | DamagedCopy | None:
    try:
        content = read_copy(folder, name)
        return None if content is None else _Whole(content, decode(content, kek))
    except DamagedCopy as damage:
        return damage
    except (WrongKey, NewerKeyring) as error:
        raise type(error)(f"{folder / name}: {error}") from None


def _needed(path: Path, copy: _Whole | DamagedCopy | None, best: _Whole) -> Repair | None:
    match copy:
        case None:
            return Repair(path, "missing", f"{path} was missing and was written anew from the other copy")
        case DamagedCopy():
            return Repair(path, "damaged", f"{path} was damaged ({copy}) and was written anew from the other copy")
        case _Whole(_, ring) if ring.epoch < best.ring.epoch:
            return Repair(path, "older", f"{path} was at epoch {ring.epoch}, the other copy at {best.ring.epoch}")
        case _Whole():
            return None


def _none_whole(folder: Path, found: dict[str, _Whole | DamagedCopy | None]) -> NoKeyring | KeyringDamaged:
    if all(copy is None for copy in found.values()):
        return NoKeyring(f"{folder}: no {' and no '.join(COPIES)}: restore them; only a new instance makes new ones")
    states = "; ".join(f"{name}: {'missing' if copy is None else copy}" for name, copy in found.items())
    return KeyringDamaged(f"{folder}: no copy of the keyring is whole ({states}): restore it from its own backup")
