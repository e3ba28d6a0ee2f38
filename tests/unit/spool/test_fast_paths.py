"""The short ways through a turn give exactly what the table gives: rows, events, answers and news.

Three of them: an answer that nearly every attempt has, a receipt that nearly every part has, and an attempt that is
found at hand. Here they are switched off, so that the table and the disk are asked instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from mgate.model.entry import Told
from mgate.model.message import TrafficClass
from mgate.model.outcome import Accepted, Deferred, NotWritten, Outcome, Rejected, Uncertain
from mgate.spool.engine import News
from mgate.spool.journal import FeedEvent, open_runs
from mgate.spool.ledger import Ledger
from mgate.spool.lifecycle import CannotHappen
from mgate.spool.memory import MemoryStore
from mgate.spool.reader import SqliteReader
from mgate.spool.rows import Attempt, Row
from mgate.spool.shelf import ShelfOnSqlite
from mgate.spool.store import SqliteStore
from mgate.spool.turn import Turn
from mgate.spool.verbs import Accept, Cancel, End, Ends, Forget, Hear, Heard, Lease, Result, Verb, Wake, Wish
from tests.conformance.player import (
    NOW,
    NUMBER,
    ROUTE,
    Open,
    Place,
    Player,
    message,
    number_of,
    same_number,
    slot,
    tag,
)
from tests.conformance.store import StoreClaims
from tests.unit.spool.test_model import BOX, NoPast


class _Numbered(int):
    """A number that is not told at a glance to be the first."""

    def __eq__(self, other: object) -> bool:
        return False

    __hash__ = int.__hash__


class _Delivered:
    """The word that a receipt says, but not the very object."""

    def __eq__(self, other: object) -> bool:
        return other is Told.DELIVERED

    __hash__ = None  # type: ignore[assignment]  # nobody looks it up


def switch_off(patch: pytest.MonkeyPatch, taken: Callable[[str], object] = id) -> None:
    """Every short way leads to the long one; ``taken`` hears of each that would have been gone."""

    def accepted(self: Turn, row: Row, attempt: Attempt, end: End) -> None:
        taken("accepted")
        self._end_one(row, replace(end, attempt=_Numbered(1)))

    def delivered(self: Ledger, row: Row, attempt: Attempt, reason: str) -> None:
        taken("delivered")
        self.hear(row, attempt, _Delivered(), reason)  # type: ignore[arg-type]  # for the eye alone

    real = ShelfOnSqlite.at_hand

    def at_hand(self: ShelfOnSqlite, account: str, key: bytes) -> None:
        if real(self, account, key) is not None:
            taken("at_hand")

    patch.setattr(Turn, "_accepted_at_once", accepted)
    patch.setattr(Ledger, "_delivered_at_once", delivered)
    patch.setattr(ShelfOnSqlite, "at_hand", at_hand)


class OnFile:
    """A spool file, opened again and again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.places: list[Place] = []

    def open(self) -> Place:
        self.drop()
        store = SqliteStore(self.path, bytes(16), same_number, NoPast(), BOX, lambda row, envelope: ("", b""))
        store._db.execute("PRAGMA synchronous = OFF")  # no power is cut here
        self.places = [Place(store, SqliteReader(self.path))]
        return self.places[0]

    def drop(self) -> None:
        for place in self.places:
            assert isinstance(place.store, SqliteStore)
            place.store._db.close()
            place.reader.close()
        self.places = []


# ---- every claim once more, the long way ---------------------------------------------------------------------------


@pytest.fixture
def player(open_place: Open) -> Player:
    return Player(open_place)


class LongWay(StoreClaims):
    @pytest.fixture(autouse=True)
    def long_way(self, monkeypatch: pytest.MonkeyPatch) -> None:
        switch_off(monkeypatch)


class TestSqliteTheLongWay(LongWay):
    @pytest.fixture
    def open_place(self, tmp_path: Path) -> Iterator[Open]:
        file = OnFile(tmp_path / "spool.db")
        yield file.open
        file.drop()


class TestMemoryTheLongWay(LongWay):
    @pytest.fixture
    def open_place(self) -> Open:
        store = MemoryStore(same_number)
        return lambda: Place(store, store)


# ---- the short way and the long way, side by side ------------------------------------------------------------------

MESSAGES = (
    message(1, life=60_000, slots=[slot(1)]),
    message(2, life=60_000, slots=[slot(2)], traffic=TrafficClass.OTP),
    message(3, life=60_000, slots=[slot(3), slot(4)], parts=2),
    message(4, life=60_000, slots=[slot(5)], traffic=TrafficClass.MARKETING),
    message(5, life=60_000, slots=[slot(6)]),
)
PARTS = tuple(one.id + n for one in MESSAGES for n in range(one.parts))
OUTCOMES: tuple[Outcome, ...] = (
    *(Accepted("x"),) * 4, Rejected("ESME_RINVDSTADR"), Deferred("ESME_RTHROTTLED"),
    Uncertain("link_lost", link_alive=False), NotWritten("link_lost"),
)  # fmt: skip
IDS = ("a", "b", "c", "d", "e", "f")


@st.composite
def ends(draw: st.DrawFn) -> Verb:
    part, outcome = draw(st.sampled_from(PARTS)), draw(st.sampled_from(OUTCOMES))
    known = draw(st.sampled_from(("", *IDS))) if isinstance(outcome, Accepted) else ""
    return Ends(
        (End(part, draw(st.sampled_from((1, 1, 1, 2))), outcome, tag(known) if known else b"", b"s" if known else b""),)
    )


@st.composite
def hears(draw: st.DrawFn) -> Verb:
    ids = draw(st.lists(st.sampled_from(IDS), max_size=2))
    told = draw(st.sampled_from((Told.DELIVERED, Told.DELIVERED, Told.DELIVERED, *Told)))
    reference = draw(st.sampled_from((-1, -1, 1, 2, 3, 9)))
    return Hear((Heard(ROUTE, tuple(map(tag, ids)), told, draw(st.sampled_from(("", "why"))), reference, (NUMBER,)),))


VERBS: st.SearchStrategy[Verb] = st.one_of(
    st.sampled_from(MESSAGES).map(lambda one: Accept((one,))),
    st.sampled_from(MESSAGES).map(lambda one: Accept((replace(one, slots=()),))),
    st.sampled_from(PARTS).map(lambda part: Lease((Wish(part, slot(9)),))),
    ends(),
    ends(),
    hears(),
    hears(),
    st.sampled_from(MESSAGES).map(lambda one: Cancel(one.id, "", "called_off")),
    st.just(Wake(100)),
)
STEPS = st.one_of(
    st.lists(VERBS, min_size=1, max_size=6),
    st.lists(VERBS, min_size=1, max_size=6),
    st.sampled_from(("reopen", "forget", 1_000, 40_000, 90_000_000)),
)
ANSWERS = [Ends((End(part, 1, Accepted("x"), tag(known), b"s"),)) for part, known in zip(PARTS, IDS, strict=True)]
OPENING: list[Verb] = [Accept(MESSAGES), *ANSWERS]


class Side:
    """One of two spools that are asked the same."""

    def __init__(self, folder: str, name: str) -> None:
        self.file = OnFile(Path(folder) / name)
        self.player = Player(self.file.open)

    def commit(self, verbs: list[Verb]) -> tuple[list[Result], News] | str:
        try:
            results = self.player.store.work(verbs, self.player.now)
        except CannotHappen as error:
            return str(error)
        return results, self.player.store.flush()

    def step(self, step: list[Verb] | str | int) -> object:
        if isinstance(step, list):
            return self.commit(step)
        if step == "forget":
            found = self.player.reader.ended(self.player.now, 0, 100)[0]
            return self.commit([Forget(tuple((one.message, one.event) for one in found))])
        if isinstance(step, int):
            self.player.pass_time(step)
        else:
            self.player.reopen()
        return None

    def stands(self) -> list[object]:
        """Every row with all its fields, every event, and every index beside them."""
        store = self.player.store
        assert isinstance(store, SqliteStore)
        events: list[FeedEvent] = open_runs(BOX, self.player.reader.events(0, 10_000))
        tables = ("ready", "wake", "open", "doubt", "op", "body", "early", "early_tag", "part")
        rows = [store._db.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in tables[:2]]
        rows += [sorted(store._db.execute(f"SELECT * FROM {table}").fetchall()) for table in tables[2:]]
        return [self.player.reader.records([one.id for one in MESSAGES]), events, *rows]


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.booleans(), st.lists(STEPS, min_size=1, max_size=14))
def test_the_short_way_and_the_long_way_never_differ(opened: bool, steps: list[list[Verb] | str | int]) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        short, long = Side(folder, "short.db"), Side(folder, "long.db")
        for step in [OPENING, *steps] if opened else steps:
            found = short.step(step)
            with patch.context() as off:
                switch_off(off)
                assert long.step(step) == found
            assert long.stands() == short.stands()
        short.file.drop()
        long.file.drop()


def test_the_short_ways_are_gone_by_what_nearly_always_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []
    switch_off(monkeypatch, taken.append)
    file = OnFile(tmp_path / "spool.db")
    player = Player(file.open)
    head = player.sent(message(1))
    assert player.hear("op-1-1") == "matched"
    assert player.events(head) == ["accepted", "sent", "delivered"]
    assert taken == ["accepted", "at_hand", "delivered"]
    file.drop()


def test_an_id_that_was_given_again_after_a_restart_finds_both_when_both_are_told_of_in_one_commit(
    tmp_path: Path,
) -> None:
    file = OnFile(tmp_path / "spool.db")
    player = Player(file.open)
    player.leased(message(1))
    player.end(number_of(1), Accepted("x"), operator_id="x")
    player.reopen()
    player.now = NOW + 1
    player.leased(message(2))
    player.end(number_of(2), Accepted("x"), operator_id="x")
    receipt = Heard(ROUTE, (tag("x"),), Told.DELIVERED, "", -1, ())
    player.commit(Hear((receipt, receipt)))
    assert [player.events(number_of(count))[-1] for count in (1, 2)] == ["delivered", "delivered"]
    file.drop()
