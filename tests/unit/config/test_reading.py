"""The configuration: what is read, what is refused, and how it is said."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgate.config import ConfigError, Loopback, Setting, UnixSocket, changed, find_config, read, settings
from mgate.config import tree as tree_of
from mgate.config.countries import COUNTRIES
from mgate.config.kinds import Span, read_size, read_span, show_size, show_span
from mgate.config.sections import kinds_of
from mgate.policy.classes import RULES

SHIPPED = Path(__file__).parents[3] / "etc" / "mgate.toml"

ACCOUNT = """
[sms.op-a]
host = "127.0.0.1"
port = 2775
system_id = "examplebank"
password_file = "keys/op-a.password"
plain_tcp = "the line to the operator is an IPsec tunnel"
"""


def write(folder: Path, text: str, account: str = ACCOUNT) -> Path:
    path = folder / "mgate.toml"
    path.write_text(text + account)
    return path


def mistakes(folder: Path, text: str, account: str = ACCOUNT) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(write(folder, text, account))
    return [str(mistake).removeprefix(f"{folder}/") for mistake in caught.value.mistakes]


def test_an_account_alone_is_a_whole_configuration(tmp_path: Path) -> None:
    config = read(write(tmp_path, ""))
    assert config.sms[0].route == "sms:op-a"
    assert config.sms[0].password_file == tmp_path / "keys/op-a.password"
    assert config.keys.kek_file == tmp_path / "keys/kek"
    assert config.metrics.listen == UnixSocket(tmp_path / "run/metrics.sock")
    assert config.local.socket == tmp_path / "run/push.sock"
    assert config.local.mode == 0o660
    assert config.spool.min_free == 256 << 20


def test_values_are_read_in_their_units(tmp_path: Path) -> None:
    config = read(
        write(
            tmp_path,
            '[spool]\nmin_free = "4GiB"\n[retention]\notp = "20d"\n[metrics]\nlisten = "[::1]:9464"\n'
            '[push.clients.core]\nmode = "0600"\nclasses = ["otp"]\nsenders = ["Bank", "+375291110001"]\n'
            'default_sender = "Bank"\ndefault_country = "BY"\nrate = 50\n',
            ACCOUNT + 'enquire_link = "2m"\nsource_ton = 5\n',
        )
    )
    assert config.spool.min_free == 4 << 30
    assert config.retention.otp == 20 * 86_400.0
    assert config.metrics.listen == Loopback("::1", 9464)
    assert config.sms[0].enquire_link == 120.0
    assert (config.sms[0].source_ton, config.sms[0].source_npi) == (5, None)
    local, core = config.push.clients
    assert (local.name, core.name) == ("local", "core")
    assert core.socket == tmp_path / "run/push-core.sock"
    assert (core.mode, core.classes, core.senders) == (0o600, ("otp",), ("Bank", "+375291110001"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[spol]\n", "mgate.toml: [spol]: is not a section; did you mean spool?"),
        ("[x]\n", "mgate.toml: [x]: is not a section; known here: instance, keys"),
        ("[spool]\nmin_fre = 1\n", "mgate.toml: [spool] min_fre: is not a setting; did you mean min_free?"),
        ("[push.clients.core]\nsender = 'A'\n", "[push.clients.core] sender: is not a setting; did you mean senders?"),
        ("[push]\nclint = 1\n", "[push] clint: is not a setting; did you mean clients?"),
        ("[spool]\nmin_free = 5\n", '[spool] min_free: 5 is not allowed; allowed: a size from "16MiB" to "1TiB"'),
        (
            "[spool]\nreference_days = 7\n",
            "[spool] reference_days: 7 is not allowed; allowed: a whole number from 8 to",
        ),
        ("[spool]\njournal_days = true\n", "[spool] journal_days: true is not allowed"),
        ('[retention]\notp = "30"\n', '[retention] otp: "30" is not allowed; allowed: a length of time from "1d"'),
        (
            '[retention]\notp = "18d"\n',
            '[retention] otp: "18d" is less than "19d": reference_days of [spool] and 11 days',
        ),
        ('[retention]\nnotices = "30d"\n', "[retention] notices: is not a setting; did you mean notice?"),
        ('[admin]\nmode = "0666"\n', '[admin] mode: "0666" is not allowed; allowed: an octal mode'),
        ("[admin]\nmode = 432\n", "[admin] mode: 432 is not allowed"),
        (
            '[metrics]\nlisten = "0.0.0.0:9464"\n',
            '[metrics] listen: "0.0.0.0:9464" is not allowed; allowed: the path of',
        ),
        ('[metrics]\nlisten = "10.0.0.1:9464"\n', "[metrics] listen: "),
        ('[metrics]\nlisten = "127.0.0.1:0"\n', "[metrics] listen: "),
        ('[metrics]\nlisten = "127.0.0.1:70000"\n', "[metrics] listen: "),
        ('[metrics]\nlisten = "localhost:9464"\n', "[metrics] listen: "),
        ('[log]\nlevel = "chatty"\n', '[log] level: "chatty" is not allowed; allowed: one of "debug", "info"'),
        (
            '[push.clients.core]\nclasses = ["otpp"]\n',
            "[push.clients.core] classes: ['otpp'] is not allowed; allowed: a list",
        ),
        ("[push.clients.core]\nclasses = []\n", "[push.clients.core] classes: [] is not allowed"),
        ('[push.clients.core]\nsenders = ["TwelveLetters"]\n', "[push.clients.core] senders: "),
        ('[push.clients.core]\ndefault_country = "Belarus"\n', "[push.clients.core] default_country: "),
        (
            '[push.clients.core]\nsenders = ["A"]\ndefault_sender = "B"\n',
            'default_sender: "B" is not among its senders',
        ),
        ("[push.clients.Core]\n", "[push.clients.Core]: is not a name; allowed: 1 to 32 small letters"),
        (
            "[push]\nclients = 1\n",
            "[push.clients]: is not a section: write [push.clients] on a line of its own",
        ),
        ('[instance]\nname = "Two Words"\n', '[instance] name: "Two Words" is not allowed; allowed: 1 to 32'),
        ('[admin]\nsocket = "run/push.sock"\n', "run/push.sock is the socket of [push.clients.local] too"),
        ('[push]\nfolder = "' + "x" * 120 + '"\n', "[push.clients.local]: the path of its socket is over 107 bytes"),
        ("keys = 1\n", "mgate.toml: [keys]: is not a section: write [keys] on a line of its own"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_what_is_allowed(tmp_path: Path, text: str, said: str) -> None:
    found = mistakes(tmp_path, text)
    assert len(found) == 1
    assert said in found[0]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("port = 2775", "", "[sms.op-a] port: is missing; allowed: a whole number from 1 to 65535"),
        ("port = 2775", "port = 0", "[sms.op-a] port: 0 is not allowed"),
        ('plain_tcp = "the', 'plain_tcp = " "\nsystem_type = "the', "[sms.op-a] plain_tcp: "),
        (
            "port = 2775",
            "port = 2775\nwindow = 0",
            "[sms.op-a] window: 0 is not allowed; allowed: a whole number from 1 to 1000",
        ),
        (
            "port = 2775",
            "port = 2775\nbinds = 33",
            "[sms.op-a] binds: 33 is not allowed; allowed: a whole number from 1 to 32",
        ),
        ("port = 2775", "port = 2775\nrate = 10001", "[sms.op-a] rate: 10001 is not allowed"),
        (
            "port = 2775",
            'port = 2775\nreconnect_max = "1s"\nreconnect_min = "2s"',
            "reconnect_max: is below reconnect_min",
        ),
        ("port = 2775", 'port = 2775\nprice = "0.014"', "currency: is missing: a price has a currency"),
        ("port = 2775", 'port = 2775\ncurrency = "BYN"', "price: is missing: a price has a currency"),
        ("port = 2775", "port = 2775\nprice = 0.014", "price: 0.014 is not allowed; allowed: a decimal number"),
        ("port = 2775", 'port = 2775\nprice = "0,014"', 'price: "0,014" is not allowed; allowed: a decimal number'),
        ("port = 2775", 'port = 2775\ncurrency = "byn"', 'currency: "byn" is not allowed; allowed: the three capital'),
        ("system_id", "system_ids", "[sms.op-a] system_ids: is not a setting; did you mean system_id?"),
        ("[sms.op-a]", "[sms.OP]", "[sms.OP]: is not a name"),
    ],
)
def test_a_mistake_in_the_account_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    changed_account = ACCOUNT.replace(old, new, 1)
    assert changed_account != ACCOUNT
    assert said in "\n".join(mistakes(tmp_path, "", changed_account))


def test_there_is_an_account_and_there_may_be_several(tmp_path: Path) -> None:
    assert mistakes(tmp_path, "", "") == ["mgate.toml: [sms.NAME]: is missing: an operator account, such as [sms.op-a]"]
    assert mistakes(tmp_path, "", "[sms]\n") == ["mgate.toml: [sms]: has no account"]
    two = read(write(tmp_path, "", ACCOUNT + ACCOUNT.replace("op-a", "op-b")))
    assert [account.route for account in two.sms] == ["sms:op-a", "sms:op-b"]


def test_all_mistakes_are_told_at_once_and_each_names_file_and_key(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        '[instance]\nname = ""\n[spool]\njournal_days = 0\nreference_days = 0\n[log]\nlevel = 3\n'
        "[push.clients.core]\nrate = -1\n",
        ACCOUNT.replace("2775", "99999"),
    )
    assert len(found) == 6
    for key in (
        "[instance] name",
        "[spool] reference_days",
        "[spool] journal_days",
        "[log] level",
        "[sms.op-a] port",
        "core] rate",
    ):
        assert sum(key in line for line in found) == 1
    for line in found:
        assert re.match(r"mgate\.toml: \[[a-z.-]+\] [a-z_]+: .+ allowed: .+", line)


def test_a_password_written_where_its_file_belongs_is_not_repeated(tmp_path: Path) -> None:
    account = ACCOUNT.replace('password_file = "keys/op-a.password"', 'password = "hunter-2"\npassword_file = 482913')
    found = "\n".join(mistakes(tmp_path, "", account))
    assert "did you mean password_file?" in found
    assert "hunter" not in found
    assert "482913" not in found


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[spool\n", "is not TOML: "),
        (b"\xff\xfe", "is not UTF-8 text"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_mistake(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "mgate.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=re.escape(f"{path}: {said}")):
        read(path)


def test_an_instance_can_be_moved_because_paths_begin_at_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "")
    monkeypatch.chdir(tmp_path)
    config = read(Path("mgate.toml"))
    assert config.spool.path == tmp_path / "spool/spool.db"
    assert all(not str(setting.value).startswith("/") for setting in settings(config))


def test_an_absolute_path_stays_what_it_is(tmp_path: Path) -> None:
    config = read(write(tmp_path, '[push]\nfolder = "/run/mgate"\n'))
    assert config.local.socket == Path("/run/mgate/push.sock")
    assert Setting("push", "folder", "/run/mgate", "run") in changed(config)


def test_changed_shows_what_differs_from_the_defaults_and_what_has_none(tmp_path: Path) -> None:
    config = read(write(tmp_path, '[log]\nlevel = "debug"\n[retention]\notp = "720h"\n', ACCOUNT + "window = 11\n"))
    assert [(setting.section, setting.key) for setting in changed(config)] == [
        ("sms.op-a", "host"),
        ("sms.op-a", "port"),
        ("sms.op-a", "system_id"),
        ("sms.op-a", "password_file"),
        ("sms.op-a", "plain_tcp"),
        ("sms.op-a", "window"),
        ("log", "level"),
    ]
    assert changed(config)[-1] == Setting("log", "level", "debug", "info")


def test_the_option_comes_before_the_environment_and_that_before_the_system() -> None:
    assert find_config("a.toml", {"MGATE_CONFIG": "b.toml"}) == Path("a.toml")
    assert find_config(None, {"MGATE_CONFIG": "b.toml"}) == Path("b.toml")
    assert find_config(None, {}) == Path("/etc/mgate/mgate.toml")


def test_the_countries_are_those_whose_numbers_can_be_read() -> None:
    assert COUNTRIES == phonenumbers.SUPPORTED_REGIONS


def test_retention_has_a_setting_for_every_group_of_the_classes() -> None:
    assert set(kinds_of(tree_of.Retention)) == {rules.group for rules in RULES.values()}


# ---- the file that is shipped --------------------------------------------------------------------------------------


def shipped_with_every_default_said() -> str:
    return re.sub(r"^#(\w+ = |\[)", r"\1", SHIPPED.read_text(), flags=re.MULTILINE)


def test_the_shipped_file_is_a_configuration_that_changes_nothing() -> None:
    assert {setting.section for setting in changed(read(SHIPPED))} == {"sms.op-a"}


def test_the_shipped_file_shows_every_setting_with_its_default(tmp_path: Path) -> None:
    config = read(write(tmp_path, "", shipped_with_every_default_said()))
    shown = tomllib.loads(shipped_with_every_default_said())
    for setting in settings(config):
        table: dict[str, object] = shown
        for step in setting.section.split("."):
            inner = table[step]
            assert isinstance(inner, dict)
            table = inner
        assert setting.key in table, f"[{setting.section}] {setting.key} is not in etc/mgate.toml"
        # An identity without files would be no example, nor an account that nobody says why it has no TLS.
        if setting.default is not None and setting.key not in ("certificate", "key_file", "plain_tcp"):
            assert setting.value == setting.default, f"[{setting.section}] {setting.key}"


# ---- lengths of time and sizes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30.0), ("15m", 900.0), ("72h", 259_200.0), ("30d", 2_592_000.0), ("0s", 0.0)]
)
def test_a_length_of_time_is_read(text: str, seconds: float) -> None:
    assert read_span(text) == seconds


@pytest.mark.parametrize("text", ["30", "s", "-1s", "1.5h", "30 s", "٣s", "1w", "", 30, None, "0123s"])
def test_what_has_no_unit_is_no_length_of_time(text: object) -> None:
    assert read_span(text) is None
    assert read_size(text) is None


@given(st.integers(0, 10**9 - 1))
def test_a_length_of_time_shown_is_read_back(seconds: int) -> None:
    assert read_span(show_span(seconds)) == seconds


@given(st.integers(1, 10**9 - 1))
def test_a_size_shown_is_read_back(octets: int) -> None:
    assert read_size(show_size(octets)) == octets


def test_the_limits_of_every_span_are_lengths_of_time_themselves() -> None:
    sections = [
        value for value in vars(tree_of).values() if isinstance(value, type) and value.__module__ == tree_of.__name__
    ]
    spans = [kind for section in sections for kind in kinds_of(section).values() if isinstance(kind, Span)]
    assert len(spans) >= 8
    for span in spans:
        assert read_span(span.low) is not None
        assert read_span(span.high) is not None


def test_the_settings_that_the_operations_page_shows_are_settings(tmp_path: Path) -> None:
    page = (SHIPPED.parents[1] / "docs" / "operations.md").read_text()
    (block,) = re.findall(r"^```toml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    config = read(write(tmp_path, block))
    assert config.admin.socket == Path("/run/mgate/admin.sock")
    assert config.local.socket == Path("/run/mgate/push.sock")
