"""The log and the numbers: what they say, and what they cannot be made to say."""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from mgate.daemon.ears import Ears
from mgate.model.message import ENDED, MessageId, TrafficClass, show_id
from mgate.policy.classes import LANES
from mgate.spool.engine import Told
from mgate.telemetry import OUTCOMES, RECEIPTS, Alarm, Event, Level, Log, Phase, Spread, Telemetry, scrub


def lines_of(level: Level = Level.INFO) -> tuple[Log, list[dict[str, object]]]:
    lines: list[dict[str, object]] = []
    return Log(lambda line: lines.append(json.loads(line)), level, lambda: 1_795_324_208.0625), lines


def a_telemetry() -> Telemetry:
    return Telemetry("0.1.0", {"sms:op-a": 2}, ("bad_number", "too_many"))


def samples(telemetry: Telemetry) -> dict[tuple[str, tuple[str, ...]], float]:
    """Every sample that a scrape would see: name and label values, by label name, to value."""
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(telemetry.render().decode())
        for sample in family.samples
    }


def test_an_event_is_one_line_of_json_with_its_moment_level_and_fields() -> None:
    log, lines = lines_of()
    log(Event.BIND_OPENED, route="sms:op-a", bind=0)
    assert lines == [
        {"at": "2026-11-22T05:10:08.062Z", "level": "info", "event": "bind_opened", "route": "sms:op-a", "bind": 0}
    ]


def test_an_event_below_the_level_is_not_written() -> None:
    log, lines = lines_of(Level.WARNING)
    log(Event.BIND_OPENED, bind=0)
    log(Event.BIND_CLOSED, bind=0)
    assert [line["event"] for line in lines] == ["bind_closed"]


def test_a_message_is_shown_by_the_id_that_people_know() -> None:
    log, lines = lines_of()
    log(Event.MESSAGE_CANCELLED, message=MessageId(1_795_324_208_062 << 20))
    assert lines[0]["message"] == show_id(1_795_324_208_062 << 20)


def test_a_number_that_slipped_into_a_field_is_masked() -> None:
    log, lines = lines_of()
    log(Event.FOREIGN_ERROR, detail="no route to +375291110001 or 375291110002", peer="127.0.0.1:2775")
    assert lines[0]["detail"] == "no route to +37529*****01 or 375291****02"
    assert lines[0]["peer"] == "127.0.0.1:2775"


@given(st.text(), st.from_regex(r"[1-9][0-9]{8,14}", fullmatch=True), st.text())
def test_no_number_of_nine_digits_or_more_survives_in_a_text(before: str, number: str, after: str) -> None:
    assert number not in scrub(f"{before} {number} {after}")


def test_a_log_that_cannot_be_written_stops_nothing_and_says_later_how_much_was_lost() -> None:
    full = True
    lines: list[dict[str, object]] = []

    def write(line: bytes) -> None:
        if full:
            raise BlockingIOError
        lines.append(json.loads(line))

    log = Log(write)
    log(Event.STARTED)
    log(Event.READY)
    full = False
    log(Event.STOPPING)
    log(Event.STOPPED)
    assert [(line["event"], line.get("count")) for line in lines] == [
        ("stopping", None),
        ("log_lines_lost", 2),
        ("stopped", None),
    ]


def test_every_event_has_a_word_of_its_own() -> None:
    words = [event.word for event in Event]
    assert len(set(words)) == len(words) == len(Event.__members__)


@pytest.mark.parametrize(
    ("kind", "names"), [("(?:Event|Logged)", list(Event.__members__)), ("Alarm", list(Alarm.__members__))]
)
def test_nothing_is_declared_that_nobody_says(kind: str, names: list[str]) -> None:
    rooms = Path(__file__).parents[3] / "mgate"
    said = set(re.findall(rf"\b{kind}\.([A-Z_]+)", "\n".join(path.read_text() for path in rooms.rglob("*.py"))))
    assert set(names) - said == set()


def test_what_a_room_counts_is_what_a_scrape_sees() -> None:
    telemetry = a_telemetry()
    telemetry.push.accepted[TrafficClass.OTP].n += 3
    telemetry.push.refused["bad_number"].n += 1
    telemetry.binds["sms:op-a", 1].submits["accepted"].n += 7
    telemetry.routes["sms:op-a"].receipts["early"].n += 2
    telemetry.lanes["sms:op-a", 4].waiting.n = 50
    seen = samples(telemetry)
    assert seen["mgate_pushes_accepted_total", ("otp",)] == 3
    assert seen["mgate_pushes_refused_total", ("bad_number",)] == 1
    assert seen["mgate_submits_total", ("1", "accepted", "sms:op-a")] == 7
    assert seen["mgate_receipts_total", ("early", "sms:op-a")] == 2
    assert seen["mgate_waiting", ("4", "sms:op-a")] == 50
    assert seen["mgate_build_info", ("0.1.0",)] == 1


def test_every_label_is_there_from_the_first_scrape() -> None:
    seen = samples(a_telemetry())
    assert sum(name == "mgate_submits_total" for name, _ in seen) == 2 * len(OUTCOMES)
    assert sum(name == "mgate_receipts_total" for name, _ in seen) == len(RECEIPTS)
    assert sum(name == "mgate_messages_ended_total" for name, _ in seen) == len(ENDED)
    assert sum(name == "mgate_waiting" for name, _ in seen) == len(LANES)
    assert sum(name == "mgate_alarm" for name, _ in seen) == len(Alarm)


def test_a_label_that_was_not_declared_is_a_bug() -> None:
    with pytest.raises(KeyError):
        a_telemetry().push.refused["375291110001"].n += 1


@given(st.lists(st.floats(0, 100)))
def test_a_spread_filled_in_a_batch_is_the_same_as_one_by_one(values: list[float]) -> None:
    one, batch = Spread((1.0, 5.0, 50.0)), Spread((1.0, 5.0, 50.0))
    for value in values:
        one.add(value)
    batch.add_all(values)
    assert batch.counts == one.counts
    assert batch.total == pytest.approx(one.total)
    assert batch.counts[0] == sum(value <= 1.0 for value in values)


def test_a_spread_is_a_histogram_whose_buckets_add_up() -> None:
    telemetry = a_telemetry()
    telemetry.spool.commit_rows.add_all([1, 2, 3, 600])
    seen = samples(telemetry)
    assert seen["mgate_commit_rows_bucket", ("1.0",)] == 1
    assert seen["mgate_commit_rows_bucket", ("5.0",)] == 3
    assert seen["mgate_commit_rows_bucket", ("500.0",)] == 3
    assert seen["mgate_commit_rows_bucket", ("+Inf",)] == 4
    assert seen["mgate_commit_rows_count", ()] == 4
    assert seen["mgate_commit_rows_sum", ()] == 606


def test_only_a_running_daemon_is_healthy_whatever_alarms_there_are() -> None:
    telemetry = a_telemetry()
    assert telemetry.health().status == 503
    telemetry.phase = Phase.RUNNING
    telemetry.sound(Alarm.NO_BIND_OPEN, raised=True)
    assert telemetry.health().status == 200
    assert telemetry.health().alarms == ("no_bind_open",)
    telemetry.phase = Phase.STOPPING
    assert telemetry.health().status == 503


def test_an_alarm_says_once_that_it_changed() -> None:
    telemetry = a_telemetry()
    assert telemetry.sound(Alarm.DISK_LOW, raised=True)
    assert not telemetry.sound(Alarm.DISK_LOW, raised=True)
    assert samples(telemetry)["mgate_alarm", ("disk_low",)] == 1
    assert telemetry.sound(Alarm.DISK_LOW, raised=False)
    assert telemetry.alarms() == ()


def test_how_far_a_source_is_behind_is_absent_where_nobody_knows_it() -> None:
    telemetry = a_telemetry()
    numbers = telemetry.source_of("core")

    def told() -> dict[str, float]:
        names = ("mgate_source_waiting", "mgate_source_lag_seconds", "mgate_source_clock_difference_seconds")
        return {name: value for (name, _), value in samples(telemetry).items() if name in names}

    assert told() == {}
    numbers.behind(3, 1.5, -0.25)
    assert list(told().values()) == [3.0, 1.5, -0.25]
    numbers.behind(-1, 0.0, -0.25)
    assert told() == {"mgate_source_clock_difference_seconds": -0.25}


# ---- the scrape ----------------------------------------------------------------------------------------------------


def test_a_scrape_of_sixteen_operators_with_four_binds_each_is_cheap() -> None:
    telemetry = Telemetry("0.1.0", {f"sms:operator-{n}": 4 for n in range(16)}, [f"code_{n}" for n in range(60)])
    took, page = [], b""
    for _ in range(20):
        begin = time.process_time()
        page = telemetry.render()
        took.append(time.process_time() - begin)
    assert page.count(b"\n") < 3_000
    traced = sys.gettrace() is not None  # coverage costs three times as much as what it looks at
    assert min(took) < (0.080 if traced else 0.020)


def test_an_answer_is_counted_by_how_long_the_operator_took_for_it_alone() -> None:
    telemetry = a_telemetry()
    ears = Ears(lines_of()[0], telemetry, lambda: 0.0, lambda: None)
    ears.journalled([Told("sms:op-a", "sent", 5_000, TrafficClass.OTP, 30)])
    ears.repeated(2)
    found = samples(telemetry)
    assert found["mgate_answer_seconds_sum", ("sms:op-a",)] == 0.03
    assert found["mgate_sent_seconds_sum", ("sms:op-a",)] == 5.0
    assert found["mgate_repeats_total", ()] == 2
