"""The guards' memory on the disk, and what people are told of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

import msgspec
import pytest
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock

from mgate.config import Config, read
from mgate.daemon.guards import EVERY, FILE, GuardRoom
from mgate.intake.codes import BY_WORD
from mgate.model.address import Msisdn
from mgate.model.entry import Submission
from mgate.model.message import Secret, TrafficClass
from mgate.model.ports import Refusal
from mgate.telemetry import Alarm, Log, Telemetry

NOW = 1_800_000_000.0
DAY = 86_400.0
NUMBER = "+375291110001"
CONFIG = """
[spool]
path = "spool.db"
[guards]
numbers = 1000
[guards.otp]
different = 0
identical = 0
[guards.transaction]
different = 2
[sms.op-a]
host = "smsc.example"
port = 2775
system_id = "examplebank"
password_file = "password"
plain_tcp = "a test"
"""


class Room:
    """A room by this configuration, its log, and a clock that tests move."""

    def __init__(self, folder: Path, key: int = 7, more: str = "", now: float = NOW) -> None:
        path = folder / "mgate.toml"
        path.write_text(CONFIG.replace("numbers = 1000", f"numbers = 1000\n{more}"))
        self.config: Config = read(path)
        self.lines: list[bytes] = []
        self.clock, self.began = Clock(), now
        self.telemetry = Telemetry("0", {}, BY_WORD)
        self.room = GuardRoom(
            self.config, lambda e164: int(e164) * 0x9E37_79B9_7F4A_7C15 + key & (1 << 64) - 1,
            cast("IReactorTime", self.clock), lambda: self.began + self.clock.seconds(), self.telemetry,
            Log(self.lines.append),
        )  # fmt: skip

    def judge(self, ref: str, traffic: TrafficClass = TrafficClass.TRANSACTION, to: str = NUMBER) -> str:
        one = Submission(
            "core",
            ref,
            Msisdn(to),
            traffic,
            Secret(f"Text {ref}"),
            "EXBANK",
            NOW + 99 * DAY,
            0.0,
            "",
            (),
            b"",
            b"{}",
            -1,
        )
        judged = self.room.guards.judge(one, self.began + self.clock.seconds())
        if isinstance(judged, Refusal):
            self.room._refused(one, judged)
            return judged.code
        return ""

    def said(self, event: str) -> list[dict[str, object]]:
        return [line for line in map(json.loads, self.lines) if line["event"] == event]

    def alarms(self) -> tuple[str, ...]:
        return self.telemetry.health().alarms


def test_what_is_counted_outlives_the_process(tmp_path: Path) -> None:
    before = Room(tmp_path)
    assert [before.judge(str(n)) for n in range(3)] == ["", "", "flood"]
    before.room.stop()
    after = Room(tmp_path)
    assert after.judge("9") == "flood"
    assert not after.said("guards_not_kept")
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_it_is_written_every_five_minutes_and_not_only_at_the_end(tmp_path: Path) -> None:
    before = Room(tmp_path)
    before.room.start()
    before.judge("1")
    before.judge("2")
    before.clock.advance(EVERY)
    assert before.room._writing is not None
    before.room._writing.join()
    assert Room(tmp_path).judge("3") == "flood"
    before.room.stop()


def test_a_file_that_is_damaged_is_not_believed(tmp_path: Path) -> None:
    before = Room(tmp_path)
    before.judge("1")
    before.judge("2")
    before.room.stop()
    file = tmp_path / FILE
    octets = bytearray(file.read_bytes())
    octets[len(octets) // 2] ^= 1
    file.write_bytes(octets)
    after = Room(tmp_path)
    assert after.judge("3") == ""
    assert "damaged" in str(after.said("guards_not_kept")[0]["reason"])


def test_a_file_of_another_keyring_is_not_believed(tmp_path: Path) -> None:
    Room(tmp_path).room.stop()
    assert "another keyring" in str(Room(tmp_path, key=8).said("guards_not_kept")[0]["reason"])


def test_a_disk_that_takes_nothing_stops_nothing(tmp_path: Path) -> None:
    one = Room(tmp_path)
    (tmp_path / FILE).mkdir()
    one.room.stop()
    assert one.said("guards_not_kept")


def test_a_file_holds_neither_numbers_nor_texts(tmp_path: Path) -> None:
    one = Room(tmp_path)
    one.judge("482913")
    one.room.stop()
    content = (tmp_path / FILE).read_bytes()
    assert b"29111" not in content
    assert b"482913" not in content


def test_what_was_refused_is_shown_without_the_number_and_logged_once_in_five_minutes(tmp_path: Path) -> None:
    one = Room(tmp_path)
    one.room.start()
    for n in range(9):
        one.judge(str(n))
    shown = one.room.view().refused
    assert [each.ref for each in shown] == ["8", "7", "6", "5", "4", "3", "2"]
    assert (shown[0].to, shown[0].code, shown[0].client) == (Msisdn(NUMBER).mask(), "flood", "core")
    assert len(one.room.refused_to(NUMBER).refused) == 7
    assert one.room.refused_to("+375291110002").refused == ()
    assert len(one.said("guard_refused")) == 1
    one.clock.advance(EVERY)
    assert one.said("guard_refused")[-1]["count"] == 7
    one.room.stop()


def test_a_pumped_range_raises_the_alarm_which_ends_when_it_is_quiet(tmp_path: Path) -> None:
    one = Room(tmp_path)
    one.room.start()
    one.clock.advance(8 * DAY)
    for n in range(101):
        one.judge(str(n), TrafficClass.OTP, f"+3752911{n:05}")
    assert Alarm.SMS_PUMPING.value in one.alarms()
    assert [each.range for each in one.room.view().blocked] == ["+3752911"]
    assert one.said("range_pumped")[0]["count"] == 100
    assert one.room.release("+3752911")
    assert one.room.view().blocked == ()
    one.clock.advance(2 * 3_600)
    assert Alarm.SMS_PUMPING.value not in one.alarms()
    one.room.stop()


def test_other_settings_are_taken_up(tmp_path: Path) -> None:
    one = Room(tmp_path)
    assert one.room.duty_numbers() == ()
    guards = msgspec.structs.replace(one.config.guards, duty_numbers=(NUMBER,), countries=("UZ",))
    one.room.apply(msgspec.structs.replace(one.config, guards=guards))
    assert one.room.duty_numbers() == (NUMBER,)
    assert one.judge("1") == "country_not_allowed"


@pytest.mark.parametrize("size", [1, 4000])
def test_counts_of_another_size_are_left_out_by_name(tmp_path: Path, size: int) -> None:
    Room(tmp_path).room.stop()
    other = Room(tmp_path)
    path = tmp_path / "mgate.toml"
    path.write_text(path.read_text().replace("numbers = 1000", f"numbers = {1000 + size * 1000}"))
    config = read(path)
    other.lines.clear()
    GuardRoom(
        config, lambda e164: int(e164) * 0x9E37_79B9_7F4A_7C15 + 7 & (1 << 64) - 1,
        cast("IReactorTime", other.clock), lambda: NOW, other.telemetry, Log(other.lines.append),
    )  # fmt: skip
    assert "flood/numbers" in str(other.said("guards_not_kept")[0]["reason"])
