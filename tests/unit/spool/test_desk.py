"""The desk: a reference is sought where it is remembered, and only then in every period."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from mgate.model.address import Msisdn
from mgate.model.entry import Submission
from mgate.model.message import IdSource, Secret, State, TrafficClass
from mgate.model.view import MessageView
from mgate.seal.keyfile import Kek
from mgate.seal.keyring import Cut, Group, Keyring
from mgate.seal.record import Sealer
from mgate.seal.tags import Tags
from mgate.spool import history
from mgate.spool.desk import Desk
from mgate.spool.engine import Reader, Record
from mgate.spool.history import HistoryReader, HistoryWriter
from mgate.spool.rows import JournalRow, Row
from mgate.spool.sealing import Blocks, Sealing
from mgate.spool.story import ending_of
from mgate.spool.verbs import NewMessage

NOW = 1_790_000_000
DAY = 86_400
PERIODS = 30


class House:
    """Thirty days of periods, in which messages may be kept: live, or in history."""

    def __init__(self, folder: Path) -> None:
        self.keyring = Keyring.create(folder, Kek(bytes(32)), b"d" * 16)
        for day in reversed(range(PERIODS)):
            self.keyring.prepare((Group("notice", Cut.DAY, 400 * DAY),), NOW - day * DAY)
        sealer = Sealer(self.keyring, self.keyring.database)
        self.sealing = Sealing(self.keyring, sealer, Tags(self.keyring), IdSource(), str.lower)
        self.folder = folder
        self.history = HistoryWriter(folder, Blocks(sealer))
        self.live: list[Record] = []
        self.damaged: list[object] = []
        reader = HistoryReader(folder, Blocks(sealer), lambda path, error: self.damaged.append(path))
        asker: Any = self
        front: Any = None
        self.desk = Desk(
            front, asker, reader, self.sealing, self.keyring, lambda: NOW, lambda *one: self.damaged.append(one)
        )

    # ---- what stands for the spool and its thread ----

    def ask(self, question: Callable[[Reader], Any], answer: Callable[[Any], None], otherwise: object) -> None:
        reader: Any = self
        answer(question(reader))

    def clients(self) -> list[str]:
        return ["local", "other"]

    def by_ref(self, tags: Sequence[tuple[str, bytes]]) -> list[int]:
        return [one.rows[0].id for one in self.live if (one.rows[0].client, one.ref_tag) in tags]

    def by_phone(self, tags: Sequence[bytes], limit: int) -> list[int]:
        return [one.rows[0].id for one in self.live if one.rows[0].phone_tag in tags]

    def records(self, heads: Sequence[int]) -> list[Record]:
        return [one for one in self.live if one.rows[0].id in heads]

    # ---- what has happened ----

    def accepted(self, ref: str, days: int = 0, client: str = "local") -> tuple[NewMessage, Row]:
        at = NOW - days * DAY
        asked = Submission(
            client, ref, Msisdn("+375291110001"), TrafficClass.SERVICE, Secret("Code 482913"), "Example", at + 60.0,
            0.0, "", (), b"", ref.encode(), 1,
        )  # fmt: skip
        new = self.sealing.message(asked, "sms:op-a", 1, (), at)
        row = Row(
            new.id, 1, 1, client, new.traffic, new.route, State.DELIVERED, new.created, new.due, new.expires,
            new.created, new.period, new.phone_tag, events=[JournalRow(1, "delivered", "", new.created, True)],
        )  # fmt: skip
        return new, row

    def ended(self, ref: str, days: int, client: str = "local") -> None:
        new, row = self.accepted(ref, days, client)
        self.history.put([ending_of(new, [row])], new.created)

    def waits(self, ref: str, client: str = "local") -> None:
        new, row = self.accepted(ref, 0, client)
        self.live.append(Record((row,), new.ref_tag, new.content_tag, new.envelope, None))

    def sought(self, ref: str, client: str = "local") -> list[tuple[str, str, bool]]:
        told: list[MessageView] = []
        self.desk.by_ref(client, ref, lambda views: told.extend(views))  # type: ignore[arg-type]  # it always answers
        return [(view.ref, view.client, view.in_history) for view in told]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.history.close()
    assert not made.damaged


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """The periods whose files were looked into."""
    seen: set[int] = set()
    real = HistoryReader._ask

    def ask(self: HistoryReader, period: int, question: Any) -> list[Any]:
        seen.add(period)
        return real(self, period, question)

    monkeypatch.setattr(history.HistoryReader, "_ask", ask)
    return seen


def test_a_remembered_reference_is_sought_in_the_period_of_its_message_alone(house: House, asked: set[int]) -> None:
    house.ended("r-1", 5)
    assert house.sought("r-1") == [("r-1", "local", True)]
    assert len(asked) == 1


def test_a_reference_that_was_forgotten_is_sought_in_every_period(house: House, asked: set[int]) -> None:
    house.ended("r-1", 20)
    house.history.drop_refs_before((NOW - 8 * DAY) * 1000)
    assert house.sought("r-1") == [("r-1", "local", True)]
    assert len(asked) == PERIODS


def test_a_live_message_is_not_sought_in_history(house: House, asked: set[int]) -> None:
    house.waits("r-1")
    assert house.sought("r-1") == [("r-1", "local", False)]
    assert not asked


def test_an_administrator_sees_the_reference_of_every_client_wherever_each_stands(house: House) -> None:
    house.waits("r-1")
    house.ended("r-1", 3, "other")
    assert sorted(house.sought("r-1", "")) == [("r-1", "local", False), ("r-1", "other", True)]
    house.live.clear()
    house.ended("r-1", 20)
    house.history.drop_refs_before((NOW - 8 * DAY) * 1000)
    assert sorted(house.sought("r-1", "")) == [("r-1", "local", True), ("r-1", "other", True)]


def test_another_clients_reference_is_not_shown(house: House) -> None:
    house.ended("r-1", 3, "other")
    assert house.sought("r-1") == []


def test_a_number_is_found_in_every_period_newest_first(house: House) -> None:
    for days in (20, 10, 0):
        house.ended(f"r-{days}", days)
    told: list[MessageView] = []
    house.desk.by_number("+375291110001", 2, lambda views: told.extend(views))  # type: ignore[arg-type]  # it answers
    assert [view.ref for view in told] == ["r-0", "r-10"]


def test_which_of_many_references_are_known_is_told_without_opening_a_period(house: House, asked: set[int]) -> None:
    house.waits("r-1")
    house.ended("r-2", 3)
    house.ended("r-3", 3, "other")
    told: list[object] = []
    house.desk.known("local", ["r-1", "r-2", "r-3", "r-4"], told.append)
    assert [sorted(known) for known in told if isinstance(known, dict)] == [["r-1", "r-2"]]
    assert not asked
