"""The settings of the guards: what may stand there, what is told when it is wrong, and the file of holidays."""

from datetime import date
from pathlib import Path

import pytest

from mgate.config.changes import When, differences, taken_up
from mgate.config.guards import holidays_of
from mgate.config.mistakes import ConfigError
from mgate.config.reading import read, settings
from mgate.policy.guards.counting import Limit

ACCOUNT = """
[sms.op-a]
host = "smsc.example"
port = 2775
system_id = "examplebank"
password_file = "password"
plain_tcp = "a test"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "mgate.toml"
    path.write_text(ACCOUNT + text)
    return path


def mistakes(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as found:
        read(written(folder, text))
    return [str(each).removeprefix(f"{folder}/mgate.toml: ") for each in found.value.mistakes]


def test_the_defaults_are_safe(tmp_path: Path) -> None:
    guards = read(written(tmp_path, "")).guards
    assert (guards.cards, guards.tricks, guards.pumping, guards.duty_numbers) == ("refuse", "refuse", "block", ())
    assert (guards.marketing.hours, guards.marketing.days[-1]) == ("09:00-20:00", "sat")
    assert guards.marketing.frequency == (Limit(2, 86_400.0), Limit(4, 7 * 86_400.0))
    assert (guards.otp.different, guards.transaction.different, guards.service.identical) == (10, 20, 6)
    assert not guards.otp.links


def test_every_setting_is_shown_as_the_file_writes_it(tmp_path: Path) -> None:
    text = """
[guards]
countries = ["BY", "UZ"]
zones = ["RU=Europe/Moscow"]
pumping_block = "2h"
[guards.marketing]
hours = ""
frequency = ["1/12h", "16/31d"]
links = ["*.bank.example"]
[texts]
service = "be"
"""
    shown = {(each.section, each.key): each.value for each in settings(read(written(tmp_path, text)))}
    assert shown["guards", "countries"] == ["BY", "UZ"]
    assert shown["guards", "holidays"] == ""
    assert shown["guards", "pumping_block"] == "2h"
    assert shown["guards.marketing", "frequency"] == ["1/12h", "16/31d"]
    assert shown["guards.marketing", "links"] == ["*.bank.example"]
    assert shown["guards.otp", "links"] == []
    assert shown["texts", "service"] == "be"


@pytest.mark.parametrize("word", ["otp", "fraud", "transaction"])
def test_a_class_that_never_waits_has_no_hours(tmp_path: Path, word: str) -> None:
    assert mistakes(tmp_path, f'[guards.{word}]\nhours = "09:00-20:00"\n')[0].startswith(
        f"[guards.{word}] hours: is not a setting"
    )


@pytest.mark.parametrize(
    ("text", "begin"),
    [
        ('countries = ["XY"]', "[guards] countries: there is no country XY"),
        ('zones = ["RU=Europe/Atlantis"]', "[guards] zones: Europe/Atlantis is no time zone"),
        ('zones = ["XY=Europe/Moscow"]', "[guards] zones: there is no country XY"),
        ('holidays = "absent"', "[guards] holidays: "),
        ('duty_numbers = ["291110001"]', "[guards] duty_numbers: "),
        ('[guards.marketing]\nhours = "20:00-09:00"', "[guards.marketing] hours: "),
        ('[guards.marketing]\nfrequency = ["61/1d"]', "[guards.marketing] frequency: "),
        ('[guards.marketing]\nfrequency = ["1/30m"]', "[guards.marketing] frequency: "),
        ("[guards.otp]\ndifferent = 61", "[guards.otp] different: 61 is not allowed"),
        ('[guards.otp]\nlinks = ["https://bank.example"]', "[guards.otp] links: "),
        ("[guards.opt]\n", "[guards] opt: is not a setting; did you mean otp?"),
        ('[texts]\notp = "xx"', "[texts] otp: "),
    ],
)
def test_what_is_wrong_is_told_by_its_place(tmp_path: Path, text: str, begin: str) -> None:
    section = "" if text.startswith("[") else "[guards]\n"
    assert mistakes(tmp_path, section + text)[0].startswith(begin)


def test_the_file_of_holidays(tmp_path: Path) -> None:
    file = tmp_path / "holidays"
    file.write_text("# of the state\n2027-01-01  # New Year\n\n2027-03-08\n")
    config = read(written(tmp_path, '[guards]\nholidays = "holidays"\n'))
    assert holidays_of(config.guards) == {date(2027, 1, 1), date(2027, 3, 8)}
    file.write_text("2027-01-01\n8 March\n")
    assert "line 2 is no date" in mistakes(tmp_path, '[guards]\nholidays = "holidays"\n')[0]


def test_everything_but_the_room_is_taken_up_at_once(tmp_path: Path) -> None:
    running = read(written(tmp_path, ""))
    wanted = read(
        written(tmp_path, '[guards]\nnumbers = 5000\ncards = "allow"\n[guards.service]\nhours = "09:00-21:00"\n')
    )
    found = {(each.section, each.key): each.when for each in differences(running, wanted)}
    assert found == {
        ("guards", "numbers"): When.RESTART,
        ("guards", "cards"): When.AT_ONCE,
        ("guards.service", "hours"): When.AT_ONCE,
    }
    taken = taken_up(running, wanted).guards
    assert (taken.numbers, taken.cards, taken.service.hours) == (1_000_000, "allow", "09:00-21:00")
