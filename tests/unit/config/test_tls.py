"""[tls.NAME], and the lines that name it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mgate.config import ConfigError, When, differences, read, settings

IDENTITY = '[tls.bank]\nauthority = "tls/authority.pem"\n'
PAIR = 'certificate = "tls/our.pem"\nkey_file = "tls/our.key"\n'
ACCOUNT = """
[sms.op-a]
host = "smsc.example"
port = 3550
system_id = "examplebank"
password_file = "keys/op-a.password"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "mgate.toml"
    path.write_text(text)
    return path


def mistakes(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(write(folder, text))
    return [str(mistake).removeprefix(f"{folder}/mgate.toml: ") for mistake in caught.value.mistakes]


def test_an_identity_needs_no_more_than_whom_it_believes(tmp_path: Path) -> None:
    [identity] = read(write(tmp_path, IDENTITY + ACCOUNT + 'tls = "bank"\n')).tls
    assert identity.authority == tmp_path / "tls/authority.pem"
    assert (identity.certificate, identity.key_file, identity.crl) == (None, None, None)
    assert identity.files == (identity.authority,)
    assert (identity.stale_crl, identity.crl_grace) == ("refuse", 72 * 3600.0)


def test_a_file_that_is_not_there_is_shown_as_an_empty_text(tmp_path: Path) -> None:
    config = read(write(tmp_path, IDENTITY + PAIR + ACCOUNT + 'tls = "bank"\n'))
    shown = {each.key: each.value for each in settings(config) if each.section == "tls.bank"}
    assert shown["certificate"] == "tls/our.pem"
    assert shown["crl"] == ""


@pytest.mark.parametrize("half", PAIR.splitlines())
def test_a_certificate_and_its_key_come_together(tmp_path: Path, half: str) -> None:
    [mistake] = mistakes(tmp_path, IDENTITY + half + ACCOUNT + 'tls = "bank"\n')
    missing = "key_file" if half.startswith("certificate") else "certificate"
    assert mistake == f"[tls.bank] {missing}: is missing: certificate and key_file belong together"


def test_a_line_to_an_operator_has_tls_or_a_reason_to_do_without(tmp_path: Path) -> None:
    [mistake] = mistakes(tmp_path, IDENTITY + ACCOUNT)
    assert mistake.startswith("[sms.op-a] tls: is missing: the NAME of a section [tls.NAME]; or plain_tcp")


def test_a_line_to_an_operator_does_not_have_both(tmp_path: Path) -> None:
    [mistake] = mistakes(tmp_path, IDENTITY + ACCOUNT + 'tls = "bank"\nplain_tcp = "an IPsec tunnel"\n')
    assert mistake.startswith("[sms.op-a] plain_tcp: says why there is no TLS")


def test_a_line_names_an_identity_that_there_is(tmp_path: Path) -> None:
    [mistake] = mistakes(tmp_path, IDENTITY + ACCOUNT + 'tls = "bang"\n')
    assert mistake == '[sms.op-a] tls: there is no section [tls.bang]; those that there are: "bank"'


def test_other_files_hold_from_the_next_connection_and_another_identity_signs_on_anew(tmp_path: Path) -> None:
    before = read(write(tmp_path, IDENTITY + "[tls.other]\nauthority = 'o'\n" + ACCOUNT + 'tls = "bank"\n'))
    after = read(write(tmp_path, IDENTITY + PAIR + "[tls.other]\nauthority = 'o'\n" + ACCOUNT + 'tls = "other"\n'))
    when = {(change.section, change.key): change.when for change in differences(before, after)}
    assert when == {
        ("tls.bank", "certificate"): When.NEXT_CONNECTION,
        ("tls.bank", "key_file"): When.NEXT_CONNECTION,
        ("sms.op-a", "tls"): When.ANEW,
    }
