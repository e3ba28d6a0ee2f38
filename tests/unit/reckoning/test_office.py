"""Who may be reckoned, for which day, one after the other; and what is written down is signed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mgate.model.message import State
from mgate.model.ports import Refusal
from mgate.policy.reckoning import Sums
from mgate.reckoning.clerk import Progress
from mgate.reckoning.office import Asked, Client, Office, Rules, Task
from mgate.reckoning.sheet import Line
from mgate.seal.signature import Signer, check_lines
from tests.unit.reckoning.world import DAY, HOUR, MIDNIGHT, DatabaseCore, FileCore, World

NOON = MIDNIGHT + 12 * HOUR


class Heard:
    """A listener, and an observer."""

    def __init__(self) -> None:
        self.told: list[Progress] = []
        self.written = b""
        self.sums: list[tuple[str, str, Sums]] = []
        self.on_write: Callable[[], None] = lambda: None

    def progress(self, at: Progress) -> None:
        self.told.append(at)

    async def write(self, lines: bytes) -> None:
        self.written += lines
        self.on_write()
        await asyncio.sleep(0)

    def reckoned(self, client: str, day: str, sums: Sums) -> None:
        self.sums.append((client, day, sums))


class Place:
    def __init__(self, folder: Path) -> None:
        self.world = World(folder)
        self.heard = Heard()
        clients = {
            "core": Client("core", "UTC", 30 * 86_400.0, lambda: DatabaseCore([])),
            "cards": Client("cards", "Asia/Tashkent", 30 * 86_400.0),
        }
        self.signer = Signer(self.world.keyring)
        self.office = Office(
            "mgate-1", bytes(16), self.signer, lambda: clients, lambda: Rules(300.0, 7 * 86_400.0), self.world.census,
            folder, lambda: self.world.now / 1000, self.heard, self.world.rest,
        )  # fmt: skip

    def look_at(self, client: str, day: str, file: str = "core.csv", zone: str = "") -> Task | Refusal:
        return self.office.look_at(Asked(client, day, file, zone))

    def reckon(self, *cores: FileCore) -> None:
        """All at once."""
        self.world.move()
        task = self.look_at("core", "yesterday")
        assert isinstance(task, Task)

        async def together() -> None:
            await asyncio.gather(*(self.office.reckon(task, core, self.heard) for core in cores))

        with ThreadPoolExecutor(1) as other:
            other.submit(asyncio.run, together()).result()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.parametrize(
    ("client", "day", "file", "zone", "code"),
    [
        ("nobody", "yesterday", "core.csv", "", "unknown_client"),
        ("cards", "yesterday", "", "", "no_source"),
        ("core", "2026-13-01", "", "", "bad_value"),
        ("core", "yesterday", "", "Mars/Olympus", "bad_value"),
        ("core", "yesterday", "", "../../etc/passwd", "bad_value"),
        ("core", "2020-01-01", "", "", "too_old"),
        ("core", "2040-01-01", "", "", "out_of_range"),
    ],
)
def test_what_cannot_be_reckoned_is_refused(
    place: Place, client: str, day: str, file: str, zone: str, code: str
) -> None:
    refused = place.look_at(client, day, file, zone)
    assert isinstance(refused, Refusal)
    assert refused.code == code


def test_a_day_is_the_clients_own_or_the_one_that_is_asked_for(place: Place) -> None:
    place.world.now = MIDNIGHT + DAY + 20 * HOUR  # in Tashkent the next day has begun
    days = {zone: place.look_at("cards", "yesterday", zone=zone) for zone in ("", "UTC")}
    assert [str(task.day) for task in days.values() if isinstance(task, Task)] == ["2026-09-23", "2026-09-22"]


def test_a_result_names_the_day_and_what_differs_and_is_signed(place: Place) -> None:
    place.world.accepted("op-1", NOON)
    place.reckon(FileCore([Line("op-1", NOON), Line("op-2", NOON)], 2))
    lines = place.heard.written.splitlines(keepends=True)
    check_lines("reckoning 1", lines, place.signer.public)
    head, missing, _ = map(json.loads, lines)
    assert (head["client"], head["day"], head["time_zone"], head["core"]) == ("core", "2026-09-22", "UTC", "core.csv")
    assert (head["begin"], head["end"]) == ("2026-09-22T00:00:00.000Z", "2026-09-23T00:00:00.000Z")
    assert (head["sums"]["core"], head["sums"]["missing"], head["balances"]) == (2, 1, True)
    assert missing == {"differs": "missing", "ref": "op-2", "written_at": "2026-09-22T12:00:00.000Z"}
    ((client, day, sums),) = place.heard.sums
    assert (client, day, sums.missing) == ("core", "2026-09-22", 1)


def test_a_result_says_how_each_message_stands_by_the_words_of_results(place: Place) -> None:
    for number, state in enumerate(State):
        place.world.accepted(f"op-{number}", NOON, state)
    place.reckon(FileCore([Line("gone", NOON, "delivered")], 1))
    differs = [json.loads(line) for line in place.heard.written.splitlines() if line.startswith(b'{"differs"')]
    words = ["accepted", "accepted", *(state.word for state in list(State)[2:])]
    assert [one["state"] for one in sorted(differs, key=lambda one: str(one["ref"]))] == ["delivered", *words]
    assert differs[-1] == {
        "differs": "final_by_core", "ref": "gone", "state": "delivered", "written_at": "2026-09-22T12:00:00.000Z",
    }  # fmt: skip


def test_a_result_holds_neither_a_text_nor_a_number(place: Place) -> None:
    place.world.accepted("op-1", NOON)
    place.reckon(FileCore([], 0))
    assert b'"extra"' in place.heard.written
    assert b"op-1" in place.heard.written
    assert b"482913" not in place.heard.written
    assert b"+375" not in place.heard.written


def test_two_at_once_are_done_one_after_the_other(place: Place) -> None:
    running: list[int] = []
    place.heard.on_write = lambda: running.append(len(list(Path("/proc/self/fd").iterdir())))
    place.reckon(FileCore([Line("op-1", NOON)], 1), FileCore([Line("op-2", NOON)], 1))
    assert [at.doing for at in place.heard.told].count("waiting") == 1
    heads = [json.loads(line) for line in place.heard.written.splitlines() if line.startswith(b'{"reckoning"')]
    assert len(heads) == len(place.heard.sums) == 2
    # Not mixed: each is a whole document.
    middle = place.heard.written.index(b'{"reckoning"', 1)
    for document in (place.heard.written[:middle], place.heard.written[middle:]):
        check_lines("reckoning 1", document.splitlines(keepends=True), place.signer.public)
