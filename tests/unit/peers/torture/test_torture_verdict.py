"""What is said of a run: nothing wrong goes by unsaid, and what was kept can be judged again."""

import json
from pathlib import Path

import msgspec
from rich.console import Console

from mgate.peers.audit import Attempt, Kind, Says
from mgate.peers.smsc.ledger import Ledger, Submitted
from mgate.peers.told import Told, ToldLedger
from mgate.peers.torture import verdict
from mgate.peers.torture.clock import OUR_LAG, WORST, Clock
from mgate.peers.torture.kill import Kill
from mgate.peers.torture.stage import Course, Evidence
from mgate.peers.torture.stop import Stop
from mgate.peers.torture.words import Words, leaks, read_words

TOLD = Told("a", "otp", "m1", "accepted", False, "", 1, 1.0, 1.0, 180.0, "to", ("text",))
SEEN = Submitted(2.0, "op", 0, False, 1, 1, 1, "to", "text", 0, 0, 0, "000000000100000R", 0, 0, 1)
SAYS = {"a": (Says("m1", "a", "sent", 1, (Attempt(1, 1, "accepted"),)),)}
CALM = Words({}, (), {})
COURSE = Course(1, 7, window=5, binds=2)


def evidence(**other: object) -> Evidence:
    whole = Evidence([TOLD], [SEEN], SAYS, CALM, [0.5], {}, [])
    return whole._replace(**other)  # type: ignore[arg-type]  # by name


def test_a_run_in_which_all_went_well_is_good() -> None:
    found = verdict.judge(COURSE, Kill(), evidence())
    assert found.good
    assert verdict.summary(found) == "0 lost, 0 repeats (0 unmarked), 0 parts with a doubt left"


def test_each_kind_of_finding_breaks_the_run() -> None:
    assert [one.kind for one in verdict.judge(COURSE, Kill(), evidence(says={"a": ()})).violations] == [Kind.LOST]
    swept = verdict.judge(COURSE, Kill(), evidence(words=Words({}, (3, 10, 11), {})))
    assert swept.besides == ["1 starts found more open attempts than 10 slots, 11 at the most"]
    bug = verdict.judge(COURSE, Kill(), evidence(words=Words({}, (), {"bug KeyError": 2})))
    assert bug.besides == ["2 times in the log: bug KeyError"]
    assert not verdict.judge(COURSE, Kill(), evidence(besides=["mgated ended with status 70"])).good
    assert not verdict.failed(COURSE, Kill(), TimeoutError("nobody")).good


def test_a_point_that_is_never_passed_makes_the_run_void() -> None:
    tried = {"stop.begun": 3, "accept.before_commit not passed": 3, "stop.begun not passed": 9}
    assert Kill().judge(evidence(deeds=tried), {}) == ["void: accept.before_commit was tried and never passed"]


def test_a_stop_may_leave_no_doubt_and_cause_no_repeat() -> None:
    calm = {"repeats": 0, "repeats marked": 0, "parts in doubt": 0}
    assert Stop().judge(evidence(), calm) == []
    assert len(Stop().judge(evidence(), {**calm, "repeats marked": 1})) == 1
    assert len(Stop().judge(evidence(words=Words({"answers_lost": 2}, (), {})), calm)) == 1
    assert len(Stop().judge(evidence(words=Words({}, (4,), {})), {**calm, "parts in doubt": 4})) == 2


def test_a_clock_run_without_a_timer_is_void_and_a_late_timer_is_told() -> None:
    assert Clock().judge(evidence(), {})[0].startswith("void")
    assert Clock().judge(evidence(deeds={"timers heard": 9, WORST: 49}), {}) == []
    assert Clock().judge(evidence(deeds={"timers heard": 9, WORST: 900, OUR_LAG: 150}), {}) == []
    late = Clock().judge(evidence(deeds={"timers heard": 9, WORST: 900, OUR_LAG: 100}), {})
    assert late == ["a timer was 900 ms off its time, and ours 100 ms"]


def test_a_line_that_keeps_octets_makes_the_operator_read_late(tmp_path: Path) -> None:
    late = msgspec.structs.replace(SEEN, at=184.0)
    assert [one.kind for one in verdict.judge(COURSE, Kill(), evidence(rows=[late])).violations] == [Kind.LATE]
    late = msgspec.structs.replace(SEEN, at=184.0, validity="000000000001000R")
    assert verdict.judge(COURSE._replace(delay=3.0), Kill(), evidence(rows=[late])).good


def test_a_kept_folder_is_judged_again_and_a_torn_ledger_is_noticed(tmp_path: Path) -> None:
    book = ToldLedger(tmp_path / "told.ledger")
    book.add(TOLD)
    book.close()
    ledger = Ledger(tmp_path / "smsc.ledger")
    ledger.add(SEEN)
    ledger.close()
    verdict.keep(verdict.judge(COURSE, Kill(), evidence()), COURSE, evidence(), tmp_path)
    assert verdict.again(tmp_path, {"kill": Kill()}).good
    (tmp_path / "smsc.ledger").write_bytes(b"")
    again = verdict.again(tmp_path, {"kill": Kill()})
    assert [one.kind for one in again.violations] == [Kind.MISSING]


def test_the_whole_of_many_chapters_keeps_every_finding_and_can_be_shown(tmp_path: Path) -> None:
    good = verdict.judge(COURSE, Kill(), evidence(deeds={"killed at a random moment": 2}))
    bad = verdict.judge(COURSE, Kill(), evidence(says={}, besides=["[red]x"]))
    whole = verdict.total([good, bad])
    assert (whole.rounds, len(whole.violations), whole.besides) == (2, 1, ["[red]x"])
    assert json.loads(msgspec.json.encode(verdict.as_json(whole)))["good"] is False
    with (tmp_path / "out").open("w") as file:
        verdict.show(whole, Console(file=file, width=100))
    text = (tmp_path / "out").read_text()
    assert "VIOLATION [red]x" in text
    assert "LOST a: otp, told m1" in text
    assert "killed at a random moment │     2" in text


def test_the_log_is_read_for_what_must_never_stand_there(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(
        '{"at":"x","level":"warning","event":"spool_swept","count":7}\n'
        '{"event":"alarm_raised","alarm":"disk_low"}\n'
        '{"event":"alarm_raised","alarm":"impossible_change"}\n'
        '{"event":"bug","error":"KeyError","detail":"in the spool","frames":["a.py:1 f","b.py:2 g"]}\n'
        'Traceback (most recent call last):\n{"event":"cut by a ki'
    )
    words = read_words(log)
    assert (words.swept, words.events["alarm_raised"]) == ((7,), 2)
    assert words.bad == {
        "alarm_raised impossible_change": 1,
        "bug KeyError in the spool b.py:2 g": 1,
        "a traceback outside the log": 1,
    }


def test_a_number_or_text_in_plain_is_found_wherever_it_lies(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "clean").write_bytes(b"sealed")
    log = tmp_path / "log"
    log.write_text("+37529*****01")
    assert leaks(tmp_path / "spool", log) == []
    (tmp_path / "spool" / "wal").write_bytes(b"..375291110001..")
    assert leaks(tmp_path / "spool", log) == [tmp_path / "spool" / "wal"]
