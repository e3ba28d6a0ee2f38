"""[webhooks.NAME]: what is read, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from mgate.config import ConfigError, differences, read, taken_up
from tests.unit.config.test_reading import ACCOUNT

TLS = '[tls.crm]\nauthority = "a.pem"\ncertificate = "c.pem"\nkey_file = "c.key"\n[tls.bare]\nauthority = "a.pem"\n'
HOOK = """
[webhooks.crm]
client = "local"
url = "https://crm.bank.example/sms-events"
tls = "crm"
secret_file = "keys/crm.secret"
"""


def write(folder: Path, hook: str) -> Path:
    path = folder / "mgate.toml"
    path.write_text(ACCOUNT + TLS + hook)
    return path


def test_a_webhook_is_read_with_its_defaults(tmp_path: Path) -> None:
    (hook,) = read(write(tmp_path, HOOK)).webhooks
    assert (hook.name, hook.client, hook.tls) == ("crm", "local", "crm")
    assert hook.secret_file == tmp_path / "keys/crm.secret"
    assert (hook.batch, hook.limit, hook.retry_for) == (500, 10.0, 3 * 86_400.0)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("https://", "http://", "url: "),
        ("https://crm", "https://user:secret@crm", "url: "),
        ("/sms-events", "/sms#events", "url: "),
        ("/sms-events", "/sms events", "url: "),
        ("crm.bank.example", "", "url: "),
        ('"local"', '"nobody"', 'client: "nobody" is no client; there are: "local"'),
        ('tls = "crm"', 'tls = "other"', "tls: there is no section [tls.other]"),
        ('tls = "crm"', 'tls = "bare"', "tls: [tls.bare] has no certificate"),
        ('tls = "crm"', 'tls = "crm"\nretry_for = "30m"', "retry_for: "),
        ('tls = "crm"', 'tls = "crm"\nretry_for = "30d"\n[spool]\njournal_days = 8', "is longer than events are kept"),
        ('tls = "crm"', 'tls = "crm"\nbatch = 5001', "batch: "),
        ("secret_file", "secret", "secret: is not a setting; did you mean secret_file?"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    wrong = HOOK.replace(old, new, 1)
    if "[spool]" in new:
        wrong = HOOK.replace('tls = "crm"', 'tls = "crm"\nretry_for = "30d"') + "[spool]\njournal_days = 8\n"
    with pytest.raises(ConfigError) as caught:
        read(write(tmp_path, wrong))
    assert said in "\n".join(str(mistake) for mistake in caught.value.mistakes)


@pytest.mark.parametrize(
    "url", ["https://crm:8443", "https://10.0.0.5/", "https://[fd00::5]:8443/a/b?c=d&e=%20", "https://a.example?x=1"]
)
def test_urls_that_are_taken(tmp_path: Path, url: str) -> None:
    (hook,) = read(write(tmp_path, HOOK.replace("https://crm.bank.example/sms-events", url))).webhooks
    assert hook.url == url


def test_a_running_daemon_takes_up_every_change(tmp_path: Path) -> None:
    running = read(write(tmp_path, HOOK))
    wanted = read(write(tmp_path, HOOK.replace("sms-events", "other") + HOOK.replace("[webhooks.crm]", "[webhooks.b]")))
    changes = differences(running, wanted)
    assert {str(change).rpartition(": ")[2] for change in changes} == {"at once"}
    assert taken_up(running, wanted).webhooks == wanted.webhooks
