"""Certificates that end, lists that go stale, and files that change, by a clock that only the test moves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock

from mgate.daemon.certificates import LOOK, Certificates, threshold
from mgate.daemon.identities import Identities
from mgate.net.tls import CertificateView, Role
from mgate.telemetry import Log, Telemetry
from tests import pki
from tests.conformance.tls import Bank, bank

__all__ = ["bank"]

_DAY = 86_400.0


class House:
    """The identities of a bank, looked at; the wall is ours."""

    def __init__(self, bank: Bank) -> None:
        self.clock = Clock()
        self.lines: list[dict[str, Any]] = []
        self.telemetry = Telemetry("0", {}, [])
        self.start = pki.now().timestamp()
        log = Log(lambda line: self.lines.append(json.loads(line)))
        identities = Identities((bank.tls(),), self.clock, self.wall, self.telemetry.tls, log, bank.folder)
        self.certificates = Certificates(identities, self.clock, self.wall, self.telemetry, log)

    def wall(self) -> float:
        return self.start + self.clock.seconds()

    def pass_days(self, days: float) -> None:
        self.clock.advance(days * _DAY)

    def told(self, event: str, **fields: object) -> list[str]:
        """The details of these events, and forget all lines."""
        found = [
            line["detail"]
            for line in self.lines
            if line["event"] == event and all(line.get(key) == value for key, value in fields.items())
        ]
        self.lines.clear()
        return found


@pytest.fixture
def house(bank: Bank) -> Iterator[House]:
    lists = [each.crl(ends=pki.now() + 3650 * pki.DAY) for each in (bank.root, bank.issuing)]
    pki.put(bank.crl, b"".join(lists))
    bank.issuing.issue("gateway.bank.example", ends=pki.now() + 400 * pki.DAY).write(bank.folder, "ours")
    built = House(bank)
    built.certificates.start()
    yield built
    built.certificates.stop()


@pytest.mark.parametrize(
    ("life", "left", "passed"),
    [
        (400, 61, None), (400, 60, 60), (400, 46, 60), (400, 45, 45), (400, 13, 14), (400, 1, 1), (400, 0, 0),
        (400, -5, 0), (90, 60, None), (90, 45, 45), (7, 6.5, None), (7, 1, 1), (1, 0.5, None), (1, -0.1, 0),
    ],
)  # fmt: skip
def test_a_threshold_counts_within_the_last_half_of_a_life(life: float, left: float, passed: int | None) -> None:
    view = CertificateView("bank", Role.OURS, "s", "i", (), "", (left - life) * _DAY, left * _DAY, "here")
    assert threshold(view, 0.0) == passed


def test_a_list_that_does_not_say_its_end_passes_none() -> None:
    assert threshold(CertificateView("bank", Role.CRL, "s", "i", (), "", 0.0, None, "here"), 1e12) is None


def test_each_threshold_is_told_once(house: House) -> None:
    told: list[object] = []
    for _ in range(410):
        house.pass_days(1)
        told += [
            line["count"]
            for line in house.lines
            if line["event"] == "certificate_ends" and line["state"] == "ours" and "gateway" in line["detail"]
        ]
        house.lines.clear()
    assert told == [60, 45, 30, 14, 7, 1]


def test_the_end_itself_is_an_error_and_the_last_week_an_alarm(house: House) -> None:
    house.pass_days(392)
    assert house.telemetry.alarms() == ()
    house.pass_days(1.5)
    assert house.telemetry.alarms() == ("certificate_ends",)
    house.pass_days(7)
    [told] = house.told("certificate_ended", state="ours")
    assert told.startswith('our certificate "gateway.bank.example" (')


def test_a_renewed_certificate_is_taken_up_within_a_minute_and_clears_the_alarm(house: House, bank: Bank) -> None:
    house.pass_days(395)
    assert house.telemetry.alarms() == ("certificate_ends",)
    bank.issuing.issue("gateway.bank.example", ends=pki.now() + 900 * pki.DAY).write(bank.folder, "ours")
    house.clock.advance(LOOK)
    assert house.telemetry.alarms() == ()


def test_how_many_days_are_left_is_a_number_for_each_role(house: House) -> None:
    rendered = house.telemetry.render().decode()
    assert 'mgate_certificate_days_left{identity="bank",role="ours"} 400.0' in rendered
    assert 'mgate_certificate_days_left{identity="bank",role="crl"} 3650.0' in rendered


def test_wrong_files_are_told_once_with_an_alarm_and_their_mending_too(house: House, bank: Bank) -> None:
    good = bank.files.key.read_bytes()
    pki.put(bank.files.key, pki.key_pem(pki.new_key()), 0o400)
    house.clock.advance(LOOK)
    house.clock.advance(LOOK)
    [told] = house.told("tls_files_wrong")
    assert told.endswith("the old files stay in use")
    assert house.telemetry.alarms() == ("tls_files",)
    assert house.certificates.view().problems != ()
    pki.put(bank.files.key, good, 0o400)
    house.clock.advance(LOOK)
    assert house.told("tls_files_read") == ["the files are right again"]
    assert house.telemetry.alarms() == ()


def test_a_stale_list_is_a_loud_alarm(house: House, bank: Bank) -> None:
    ends = pki.now() + timedelta(hours=1)
    pki.put(bank.crl, bank.root.crl(ends=ends) + bank.issuing.crl())
    house.clock.advance(LOOK)
    assert "crl_stale" not in house.telemetry.alarms()
    house.clock.advance(3600)
    assert "crl_stale" in house.telemetry.alarms()
    [told] = house.told("crl_stale")
    assert "its authority's peers are refused" in told


def test_the_view_begins_with_what_ends_first(house: House) -> None:
    rows = house.certificates.view().certificates
    assert [row.ends for row in rows] == sorted(row.ends for row in rows)
    assert (rows[0].role, rows[0].subject, rows[0].days_left) == ("ours", "gateway.bank.example", 400.0)
    assert Path(rows[0].where).name == "ours.pem"
