"""mgatectl certificates: what it shows, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from mgate.control import talk
from mgate.control.certificate_views import CertificateRow, CertificatesView
from mgate.control.cli import main
from tests.unit.control.conftest import Shell


def row(days_left: float, subject: str = "gateway.bank.example") -> CertificateRow:
    """A certificate of ours."""
    return CertificateRow(
        "bank", "ours", subject, "Example Bank Issuing", ("dns:gateway.bank.example",), "sha256:00",
        "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z", days_left, "tls/our.pem", "",
    )  # fmt: skip


Run = Callable[..., Result]


@pytest.fixture
def run(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run it on a daemon that answers this."""
    assert shell.init().exit_code == 0

    def run(view: CertificatesView, *more: str) -> Result:
        monkeypatch.setattr(talk.Daemon, "get", lambda _self, path, kind, **query: view)
        words = ["certificates", "--config", str(shell.config), *more]
        return CliRunner().invoke(main, words, env={"COLUMNS": "200"})

    return run


def test_it_shows_what_ends_when(run: Run) -> None:
    result = run(CertificatesView((row(12.5), row(200.0, "Example Bank Root")), ()))
    assert result.exit_code == 0
    assert result.stdout.index("12.5") < result.stdout.index("Example Bank Root")


def test_what_has_ended_fails_it(run: Run) -> None:
    assert run(CertificatesView((row(-0.5),), ())).exit_code == 1


def test_a_wrong_file_fails_it_and_is_named(run: Run) -> None:
    result = run(CertificatesView((row(12.5),), ("[tls.bank] key_file: is not the key",)))
    assert result.exit_code == 1
    assert "[tls.bank] key_file: is not the key" in result.stderr


def test_programs_get_an_object(run: Run) -> None:
    shown = json.loads(run(CertificatesView((row(12.5),), ()), "--json").stdout)
    assert shown["certificates"][0]["days_left"] == 12.5


def test_without_tls_it_says_so(run: Run) -> None:
    result = run(CertificatesView((), ()))
    assert (result.exit_code, "no TLS is configured" in result.stderr) == (0, True)
