"""Which rows the bench measures, and what they are made of."""

import asyncio
import cProfile
import io
import re
import sys
import time
from array import array
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from mgate.peers.bench import aged, command, row
from mgate.peers.bench.backlog import watched
from mgate.peers.bench.command import chosen, machine, minutes
from mgate.peers.bench.figures import Figure
from mgate.peers.bench.load import Kind, Load, Plan, Stock
from mgate.peers.bench.operators import LATENCIES, RATE, WINDOW, _figures, _house, _notes
from mgate.peers.bench.profile import FIRST, Profiler, samples
from mgate.peers.bench.rates import every_text_once, submit_latencies
from mgate.peers.bench.row import Row, Said, Setting
from mgate.peers.bench.stage import Account, OneClock, Operator, spent
from mgate.peers.bench.watch import Story
from mgate.peers.house import HouseError, Running, free_port
from mgate.peers.smsc.ledger import Ledger, Submitted
from mgate.peers.smsc.script import read


def test_rows_are_measured_in_the_order_asked_after_what_they_need() -> None:
    assert [one.name for one in chosen(["idle", "backlog"])] == ["idle", "batch", "singles", "backlog"]
    assert [one.name for one in chosen(["singles", "backlog"])] == ["singles", "batch", "backlog"]
    assert {one.name for one in chosen(["all"])} == {one.name for one in command.ROWS}
    with pytest.raises(HouseError, match="no row operater; there are batch, "):
        chosen(["operater"])


def test_the_rows_are_told_apart_and_explained(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [one.name for one in command.ROWS]
    assert len(set(names)) == len(names)
    monkeypatch.setattr(sys, "argv", ["tools/bench", "--list"])
    assert command.main() == 0
    told = capsys.readouterr().out
    assert all(f"{name}:" in told for name in names)


@pytest.mark.parametrize("arguments", [[], ["batches"]])
def test_without_a_row_that_exists_nothing_is_measured(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["tools/bench", *arguments])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 2


def test_a_row_stands_between_two_measurements_of_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = iter((0.2, 5.0))
    monkeypatch.setattr(row, "commit_ms", lambda _: next(disk))
    result = row.run(
        Row("one", "meaning", lambda _: Said((Figure("rate", (1.0,)),), ("note",), 100)), Setting(tmp_path)
    )
    assert (result.commit_before, result.commit_after, result.notes) == (0.2, 5.0, ("note",))
    assert [one.name for one in result.figures][1:] == ["the disk is slow: windows ÷ (latency + 3 commits)"]


def test_the_machine_is_described() -> None:
    one = machine()
    assert one.cores >= 1
    assert one.memory > 1 << 28
    assert one.python.startswith("3.")


def test_a_quick_run_is_short_and_a_number_that_is_asked_for_wins(tmp_path: Path) -> None:
    assert Setting(tmp_path).count(100, 5) == 100
    assert Setting(tmp_path, quick=True).count(100, 5) == 5
    assert Setting(tmp_path, quick=True, messages=7).count(100, 5) == 7
    assert Setting(tmp_path, quick=True).seconds(60.0, 3.0) == 3.0


def test_the_operator_is_as_slow_and_as_strict_as_the_account_says() -> None:
    script = read(Account(latency=0.5, rate=30, window=10).script)
    assert (script.latency.submit, script.throttling.rate, script.receipts.delay) == (0.5, 30.0, 0.1)
    assert read(Account().script).throttling.rate == 0.0


def test_the_operator_listens_where_it_is_told_and_is_watched(tmp_path: Path) -> None:
    port = free_port()
    operator = Operator(tmp_path, Account().script, port)
    try:
        assert f":{port}" in operator.words.read_text()
        cost = spent(operator)
        assert cost.peak > 1 << 20
        assert cost.cpu > 0.0
    finally:
        assert operator.stop() == 0
    with pytest.raises(HouseError, match="smsc is gone"):
        spent(operator)


def test_an_operator_that_does_not_listen_is_told(tmp_path: Path) -> None:
    with pytest.raises(HouseError, match="does not listen"):
        Operator(tmp_path, "prot = 1", free_port())


def test_a_clock_that_was_moved_makes_latencies_worthless(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = OneClock()
    clock.check()
    assert clock.monotonic(time.time()) == pytest.approx(time.monotonic(), abs=0.01)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 2.0)
    with pytest.raises(HouseError, match=r"moved by 2\.00"):
        clock.check()


def told(**first: float) -> Story:
    return Story(array("d", sorted(first.values())), first, array("d"), [])


def test_a_text_that_is_missing_or_there_twice_voids_the_row() -> None:
    every_text_once(told(a=1.0, b=2.0), 2)
    with pytest.raises(HouseError, match="the operator has 2"):
        every_text_once(told(a=1.0, b=2.0), 3)
    twice = told(a=1.0)
    twice.repeats = 1
    with pytest.raises(HouseError, match="1 twice"):
        every_text_once(twice, 1)


def test_an_account_has_the_binds_that_its_latency_asks_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mgate.peers.bench.operators.House", lambda _, account: account)
    accounts: list[Any] = [_house(tmp_path, latency, 0.0005) for latency in LATENCIES]
    assert [one.binds for one in accounts] == [2, 3, 5, 11]
    assert {(one.rate, one.window) for one in accounts} == {(RATE, WINDOW)}


def test_the_share_of_the_contract_counts_what_was_taken_in_the_steady_time(tmp_path: Path) -> None:
    clock, began = OneClock(), time.monotonic()
    book = Ledger(tmp_path / "ledger")
    distance = time.time() - time.monotonic()
    for n in range(2000):  # ten seconds at 200 a second; every 700th was throttled once before
        at = began + distance + n / 200
        if n % 700 == 0:
            book.add(Submitted(at, "", 0x58, False, 1, 1, 1, "to", f"{n}", 0, 0, 0, "", 0, 0, 1))
        book.add(Submitted(at, "1", 0, False, 1, 1, 1, "to", f"{n}", 0, 0, 0, "", 0, 0, 1))
    book.close()
    house = SimpleNamespace(ledger=tmp_path / "ledger", account=Account(0.5, RATE, 10, 11))
    line: Any = SimpleNamespace(
        house=house, load=SimpleNamespace(began=began, due=[began + n / 111 for n in range(1000)])
    )
    share, throttled = _figures(line, clock, 1000)
    assert share.name == "500 ms, 11 binds: share of 200 a second used"
    assert share.values[0] == pytest.approx(100.0, abs=0.2)
    assert (share.kept, throttled.kept) == (True, False)
    assert throttled.values[0] == pytest.approx(3 / 2003 * 100)


def test_a_shorter_run_says_that_it_extrapolates() -> None:
    assert any("which need 21 minutes" in note for note in _notes(48_000, one_by_one=False))
    assert any("which need 83 minutes" in note for note in _notes(48_000, one_by_one=True))
    assert not any("of the promised" in note for note in _notes(500_000, one_by_one=False))


def test_samples_are_counted_by_the_function_that_ran() -> None:
    folded = ["main (m.py:1);turn (way.py:10) 3", "main (m.py:1);turn (way.py:12) 4", "main (m.py:2) 1", "", "cut"]
    assert samples(folded) == {"turn (way.py)": 7, "main (m.py)": 1}


def test_a_profile_is_written_in_order_and_its_first_lines_are_told(tmp_path: Path) -> None:
    profiler = Profiler(tmp_path, "py-spy")
    assert profiler.lines("batch") == ()
    assert profiler.environment("batch") == {}
    (tmp_path / "profile-batch.raw").write_text("".join(f"a (x.py:1);f{n} (y.py:{n}) {n}\n" for n in range(1, 21)))
    lines = profiler.lines("batch")
    assert len(lines) == FIRST
    assert lines[0] == "  9.5 %  f20 (y.py)"
    assert len(profiler.file("batch").read_text().splitlines()) == 20


def test_without_py_spy_the_daemon_profiles_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mgate.peers.bench.profile._installed", lambda: None)
    profiler = Profiler(tmp_path)
    (path,) = profiler.environment("batch").values()
    profile = cProfile.Profile()
    profile.runcall(sorted, [3, 1, 2] * 100_000, key=lambda value: -value)
    profile.dump_stats(path)
    assert any("sorted" in line or "lambda" in line for line in profiler.lines("batch"))
    with profiler.looking(SimpleNamespace(), "batch"):  # type: ignore[arg-type]  # nothing is asked of it
        pass


def test_a_profile_is_taken_from_outside_while_the_row_runs(tmp_path: Path) -> None:
    profiler = Profiler(tmp_path)
    if profiler.environment("one"):
        pytest.skip("py-spy is not installed")
    code = "import time\ndef burn():\n    while True: sum(range(1000))\nprint('up', flush=True)\nburn()"
    daemon = Running("busy", ["-c", code], tmp_path)
    house: Any = SimpleNamespace(daemon=daemon, folder=tmp_path)
    try:
        with profiler.looking(house, "one"):
            time.sleep(1.0)
    finally:
        daemon.kill()
    if "ermission" in (tmp_path / "py-spy.log").read_text():
        pytest.skip("this account may not trace")
    assert "burn" in profiler.lines("one")[0]


def test_the_teller_says_the_seconds() -> None:
    out = io.StringIO()
    command._Teller(Console(file=out))("half is done")
    assert "0.0 s  half is done" in out.getvalue()


def test_latency_is_from_the_moment_that_was_due_to_the_first_part_and_a_message_that_never_came_is_told() -> None:
    stock, clock = Stock("x", Kind(parts=2)), OneClock()
    load = Load(stock, Plan(2))
    load.began = now = time.monotonic()
    load.take(2)
    load.due[0] = load.due[1] = now
    distance = time.time() - time.monotonic()
    first = {stock.fingerprints(n)[part]: now + distance + 0.1 * (1 + n + 5 * part) for n in (0, 1) for part in (0, 1)}
    assert submit_latencies(load, told(**first), clock) == pytest.approx([0.1, 0.2], abs=0.002)
    del first[stock.fingerprints(1)[0]]
    with pytest.raises(HouseError, match="message 1 of 2 never came"):
        submit_latencies(load, told(**first), clock)


def test_a_row_that_fails_is_told_and_kept_and_the_others_go_on(tmp_path: Path) -> None:
    def fails(setting: Setting) -> Said:
        (setting.folder / "words").touch()
        raise HouseError("it fell")

    rows = [
        Row("one", "falls", fails),
        Row("two", "stands", lambda _: Said((Figure("rate", (7.0,)),))),
        Row("three", "leans on one", lambda _: Said(()), ("one",)),
    ]
    given = command._arguments().parse_args(["--quick", "one"])
    out = io.StringIO()
    report = command.measure(rows, given, tmp_path, Console(file=out))
    assert [result.row for result in report.rows] == ["two"]
    assert report.failed == {"one": "it fell", "three": "it needs one"}
    assert (tmp_path / "one" / "words").exists()
    assert not (tmp_path / "two").exists()
    command.show(report, Console(file=out, width=120))
    assert "one has failed: it fell" in out.getvalue()
    assert "no measurement" in out.getvalue()


def test_every_row_says_how_long_it_takes() -> None:
    assert all(one.seconds >= 20.0 for one in command.ROWS)
    assert minutes(command.ROWS).startswith("about 3")  # 30 to 39
    assert minutes(command.ROWS[:1]) == "about 1 min while the promised rates hold"


@pytest.mark.parametrize("fails", [False, True])
def test_a_long_load_is_told_of_while_it_runs_and_its_fault_is_its_own(tmp_path: Path, *, fails: bool) -> None:
    class Slow:
        taken = 0

        async def run(self, socket: Path) -> None:
            for _ in range(3):
                await asyncio.sleep(0.02)
                self.taken += 250
            if fails:
                raise HouseError("it fell")

    told: list[str] = []
    load: Any = Slow()

    def act() -> None:
        asyncio.run(watched(load, tmp_path, 1000, told.append, 0.005))

    with ThreadPoolExecutor(1) as other:  # the reactor of the test run owns this thread's loop
        running = other.submit(act)
        if fails:
            with pytest.raises(HouseError, match="it fell"):
                running.result()
        else:
            running.result()
    assert told[0] == "0 of 1,000 are taken, 0 a second: no answer yet"
    assert re.fullmatch(r"500 of 1,000 are taken, [\d,]+ a second: \d+ s to go", told[-1])


def test_history_is_not_begun_on_a_disk_that_cannot_hold_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mgate.peers.bench.aged.disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    with pytest.raises(
        HouseError, match="30 days of 1,000 messages need 22,500,000 octets of disk, 1,000,000 are free"
    ):
        aged._history(Setting(tmp_path, quick=True))
    assert not list(tmp_path.iterdir())
