"""The model of ours: the faults of the page on states, played against this code, and each rule broken once to prove it.

A walk is a list of choices among what may happen next. Hypothesis looks for a walk after which a promise is broken and
shortens it; the deliberate breaks are looked for along walks from fixed seeds, because there any walk will do.
``MGATE_MODEL_EXAMPLES`` says how many walks to try.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mgate.model.message import Fate, TrafficClass
from mgate.policy.step import RepeatAt, Siblings
from mgate.spool.engine import StoreFull
from mgate.spool.journal import Box
from mgate.spool.ledger import Ledger
from mgate.spool.lifecycle import CannotHappen, Event, fold_fates
from mgate.spool.memory import MemoryStore
from mgate.spool.reader import SqliteReader
from mgate.spool.recall import RefKey
from mgate.spool.rows import KnownRef
from mgate.spool.store import SqliteStore
from mgate.spool.turn import Turn
from mgate.spool.verbs import Hear, Wish
from tests.conformance.player import OTHER_ROUTE, ROUTE, Place, same_number
from tests.unit.spool.oracle import Broken, Instance
from tests.unit.spool.world import Switches, World

EXAMPLES = int(os.environ.get("MGATE_MODEL_EXAMPLES", "300"))
BUDGET = 3 * EXAMPLES
STEPS = 60

OTP, FRAUD, TRANSACTION, MARKETING = (
    TrafficClass.OTP,
    TrafficClass.FRAUD,
    TrafficClass.TRANSACTION,
    TrafficClass.MARKETING,
)
INSTANCES = (
    Instance(((TRANSACTION, 1),), (1,)),
    Instance(((FRAUD, 1),), (2,)),
    Instance(((MARKETING, 1),), (1,)),
    Instance(((OTP, 2),), (2,)),
    Instance(((TRANSACTION, 2),), (1, 1)),
    Instance(((TRANSACTION, 2),), (2,)),
    Instance(((FRAUD, 1), (MARKETING, 1)), (1,)),
    Instance(((TRANSACTION, 1), (TRANSACTION, 2)), (1, 1)),
    Instance(((OTP, 1), (FRAUD, 1), (MARKETING, 1)), (2, 1)),
    Instance(((FRAUD, 1),), (1, 1), (ROUTE, OTHER_ROUTE)),
    Instance(((TRANSACTION, 2),), (2, 2), (ROUTE, OTHER_ROUTE)),
    Instance(((OTP, 1), (TRANSACTION, 2)), (2, 1), (ROUTE, OTHER_ROUTE)),
)


class InMemory(MemoryStore):
    """A store in memory whose disk may be full."""

    def __init__(self) -> None:
        super().__init__(same_number)
        self.full = False

    def _write(self, turn: Turn) -> None:
        if self.full:
            raise StoreFull("SQLITE_FULL: said by the model")
        super()._write(turn)

    def open(self) -> Place:
        return Place(self, self)


class NoPast:
    """No reference is remembered from history."""

    def files(self) -> list[str]:
        return []

    def refs(self, wanted: Sequence[RefKey], files: Sequence[str] | None = None) -> dict[RefKey, KnownRef]:
        return {}

    def buckets(self, file: str) -> int:
        return 0

    def tags(self, file: str, first: int = 0) -> Iterator[Sequence[bytes]]:
        return iter(())


BOX = Box(lambda now: 9, lambda first, period, plain: plain, lambda first, period, sealed: sealed)


class OnSqlite:
    """A spool file whose disk may be full: found only when everything has been written but the commit."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.full = False
        self.opened: list[Place] = []

    def open(self) -> Place:
        self.drop()
        house = self

        class Failing(SqliteStore):
            def _write(self, turn: Turn, now: int) -> None:
                super()._write(turn, now)
                if house.full:
                    raise StoreFull("SQLITE_FULL: said by the model")

        writer = Failing(self.path, bytes(16), same_number, NoPast(), BOX, lambda row, envelope: ("", b""))
        writer._db.execute("PRAGMA synchronous = OFF")  # no power is cut here
        self.opened = [Place(writer, SqliteReader(self.path))]
        return self.opened[0]

    def drop(self) -> None:
        for place in self.opened:
            assert isinstance(place.store, SqliteStore)
            place.store._db.close()
            place.reader.close()
        self.opened = []


def walk(world: World, choices: Iterable[int]) -> None:
    for choice in choices:
        world.play(choice)
    world.end()


def seeded(seed: int, steps: int = 2 * STEPS) -> list[int]:
    return random.Random(seed).choices(range(1 << 16), k=steps)


@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(INSTANCES), st.binary(min_size=2 * STEPS, max_size=4 * STEPS))
def test_no_walk_of_hypothesis_breaks_a_promise(instance: Instance, choices: bytes) -> None:
    walk(World(instance, InMemory()), (high << 8 | low for high, low in zip(choices[::2], choices[1::2], strict=False)))


@pytest.mark.parametrize("instance", INSTANCES, ids=str)
def test_no_walk_from_a_seed_breaks_a_promise(instance: Instance) -> None:
    for seed in range(BUDGET // len(INSTANCES)):
        walk(World(instance, InMemory()), seeded(seed))


def test_no_walk_on_sqlite_breaks_a_promise() -> None:
    for seed in range(max(len(INSTANCES), EXAMPLES // 3)):
        with TemporaryDirectory() as folder:
            place = OnSqlite(Path(folder) / "spool.db")
            instance = INSTANCES[seed % len(INSTANCES)]
            walk(World(instance, place), seeded(seed, STEPS))
            place.drop()


# ---- each rule, switched off ---------------------------------------------------------------------------------------

Break = Callable[[pytest.MonkeyPatch], Switches]


def house(**switches: bool) -> Break:
    return lambda _: Switches(**switches)


def patched(where: str, instead: object) -> Break:
    def patch(monkeypatch: pytest.MonkeyPatch) -> Switches:
        monkeypatch.setattr(where, instead)
        return Switches()

    return patch


def nothing(*_: object, **__: object) -> None:
    return None


def newest_of(_: Ledger, row: object, n: int) -> object:
    return getattr(row, "newest", None)


def open_speaks_first(fates: Iterable[Fate]) -> Event | None:
    known = set(fates)
    return None if Fate.OPEN in known else fold_fates(known)


def delivered_is_forgotten(fates: Iterable[Fate]) -> Event | None:
    return fold_fates(Fate.ACCEPTED if fate is Fate.DELIVERED else fate for fate in fates)


def doubt_is_forgotten(fates: Iterable[Fate]) -> Event | None:
    return fold_fates(Fate.REFUSED if fate is Fate.IN_DOUBT else fate for fate in fates)


def always_once_more(facts: object, link_alive: bool, now: float) -> RepeatAt:
    return RepeatAt(now)


def any_fate_moves(monkeypatch: pytest.MonkeyPatch) -> Switches:
    for room in ("ledger", "matching"):
        monkeypatch.setattr(f"mgate.spool.{room}.may_become", lambda *_: True)
    return Switches()


def no_part_fails_another(monkeypatch: pytest.MonkeyPatch) -> Switches:
    for room in ("ledger", "wishes"):
        monkeypatch.setattr(f"mgate.spool.{room}.failed_beside", lambda _: False)
    return Switches()


def tell_without_telling(self: Ledger, head: object, event: str, reason: str, *, may: bool) -> None:
    if event in ("accepted", "delivered", "undelivered"):
        TELL(self, head, event, reason, may=may)  # type: ignore[arg-type]  # handed on


TELL = Ledger.tell


def stop_beside_the_doubt(self: Ledger, row: object, event: Event, reason: str) -> None:
    self.apply(row, event, reason)  # type: ignore[arg-type]  # handed on


def nothing_binds(monkeypatch: pytest.MonkeyPatch) -> Switches:
    monkeypatch.setattr("mgate.spool.ledger.Ledger.may_change_route", lambda *_: True)
    monkeypatch.setattr("mgate.spool.ledger.Ledger._siblings_stand", lambda *_: Siblings.FREE)
    return Switches()


def granted_wherever(self: Turn, wish: Wish) -> object:
    self.ledger.load([wish.part])
    row = self.ledger.rows.get(wish.part)
    route, slot = (row.route, wish.slot) if row is not None else ("", wish.slot)
    real = msgspec.structs.replace(slot, route=route)
    granted = GRANT(self, msgspec.structs.replace(wish, slot=real))
    if granted is not None and granted.newest is not None:
        granted.newest.route = slot.route
    return granted


GRANT = Turn._grant
ORDER = Turn.run.__globals__["_ORDER"]

BREAKS: dict[str, Break] = {
    "rule 1: a slot is freed when the response is read": house(slot_freed_early=True, second_queue=True),
    "rule 4: a duplicate is answered from memory": house(duplicate_from_memory=True),
    "rule 5: life is not looked at before the write": house(life_unchecked_at_write=True),
    "rule 6: outcomes are dropped when the disk is full": house(outcomes_dropped_on_failure=True),
    "rule 7: the sweep does nothing": patched("mgate.spool.turn.Turn.sweep", lambda *_: 0),
    "rule 8: receipts are applied before outcomes": patched(
        "mgate.spool.turn._ORDER", (Hear, *(kind for kind in ORDER if kind is not Hear))
    ),
    "rule 8: early receipts are not looked at": patched("mgate.spool.turn.Turn._hear_early", nothing),
    "any fate moves to any other": any_fate_moves,
    "an outcome is written on the newest attempt": patched("mgate.spool.ledger.Ledger.attempt", newest_of),
    "a receipt of delivery is folded as an acceptance": patched(
        "mgate.spool.ledger.fold_fates", delivered_is_forgotten
    ),
    "an open attempt speaks before a delivered one": patched("mgate.spool.ledger.fold_fates", open_speaks_first),
    "a doubt is folded as a refusal": patched("mgate.spool.ledger.fold_fates", doubt_is_forgotten),
    "note (b) is dropped": patched("mgate.spool.ledger.Ledger.stop", stop_beside_the_doubt),
    "a failed part stops no sibling": patched("mgate.spool.ledger.Ledger._stop_siblings", nothing),
    "repeats beside a failed sibling": no_part_fails_another,
    "a cancel does not call repeats off": patched("mgate.spool.ledger.Ledger.forbid_repeat", nothing),
    "the class's count of submits is not asked": patched("mgate.spool.ledger.after_doubt", always_once_more),
    "a part that may have left binds nothing to its account": nothing_binds,
    "a lease takes what is on another route": patched("mgate.spool.turn.Turn._grant", granted_wherever),
    "a route that sent a part away is asked again": patched("mgate.spool.rows.Row.barred", property(lambda _: set())),
    "some changes are not journalled": patched("mgate.spool.ledger.Ledger.tell", tell_without_telling),
}


@pytest.mark.parametrize("name", BREAKS)
def test_the_model_finds_a_walk_when_a_rule_is_switched_off(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    switches = BREAKS[name](monkeypatch)
    for seed in range(10 * BUDGET):
        world = World(INSTANCES[seed % len(INSTANCES)], InMemory(), switches)
        try:
            walk(world, seeded(seed))
        except (Broken, CannotHappen, AssertionError) as found:
            print(f"{name}: walk {seed}: {found}")
            return
    raise AssertionError(f"{name}: no walk of {10 * BUDGET} found it")
