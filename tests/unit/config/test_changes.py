"""What a running daemon takes up of another configuration, and what waits for a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from mgate.config import Change, Config, When, differences, read, settings, taken_up

ACCOUNT = """
[sms.op-a]
host = "127.0.0.1"
port = 2775
system_id = "examplebank"
password_file = "keys/op-a.password"
plain_tcp = "the line to the operator is an IPsec tunnel"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def config(folder: Path, more: str = "", account: str = "") -> Config:
    path = folder / "mgate.toml"
    path.write_text(f"{more}\n{ACCOUNT}{account}\n")
    return read(path)


def told(folder: Path, more: str = "", account: str = "") -> list[str]:
    return [str(change) for change in differences(config(folder), config(folder, more, account))]


def test_the_same_file_differs_in_nothing(folder: Path) -> None:
    one = config(folder)
    assert differences(one, config(folder)) == []
    assert taken_up(one, config(folder)) == one


def test_a_difference_says_what_was_what_becomes_and_when(folder: Path) -> None:
    changes = differences(config(folder), config(folder, '[log]\nlevel = "debug"', "rate = 30"))
    assert changes == [
        Change("sms.op-a", "rate", 0, 30, When.AT_ONCE),
        Change("log", "level", "info", "debug", When.AT_ONCE),
    ]
    assert str(changes[1]) == '[log] level: "info" -> "debug": at once'


@pytest.mark.parametrize(
    ("section", "line", "when"),
    [
        ("instance", 'name = "other"', When.RESTART),
        ("keys", 'kek_file = "elsewhere"', When.RESTART),
        ("spool", 'path = "elsewhere.db"', When.RESTART),
        ("spool", 'history = "elsewhere"', When.RESTART),
        ("spool", "reference_days = 15", When.AT_ONCE),
        ("spool", 'min_free = "1GiB"', When.AT_ONCE),
        ("spool", 'reserve = "1GiB"', When.AT_ONCE),
        ("spool", 'stalled_after = "5s"', When.AT_ONCE),
        ("retention", 'otp = "60d"', When.NEXT_PERIOD),
        ("push", 'folder = "elsewhere"', When.RESTART),
        ("push", "connections = 9", When.AT_ONCE),
        ("push", 'stuck_after = "9s"', When.NEXT_CONNECTION),
        ("admin", 'socket = "elsewhere.sock"', When.RESTART),
        ("admin", 'mode = "0600"', When.AT_ONCE),
        ("metrics", 'listen = "127.0.0.1:9464"', When.RESTART),
        ("push.clients.local", "rate = 5", When.AT_ONCE),
    ],
)
def test_each_setting_has_its_moment_and_only_what_needs_no_restart_is_taken_up(
    folder: Path, section: str, line: str, when: When
) -> None:
    running, wanted = config(folder), config(folder, f"[{section}]\n{line}")
    (change,) = differences(running, wanted)
    assert (change.section, change.key, change.when) == (section, line.partition(" ")[0], when)
    after = taken_up(running, wanted)
    left = differences(after, wanted)
    assert left == ([change] if when is When.RESTART else [])
    assert settings(after) == settings(running if when is When.RESTART else wanted)


@pytest.mark.parametrize(
    ("key", "line", "when"),
    [
        ("window", "window = 50", When.AT_ONCE),
        ("binds", "binds = 3", When.AT_ONCE),
        ("system_type", 'system_type = "x"', When.ANEW),
        ("response_limit", 'response_limit = "20s"', When.NEXT_CONNECTION),
        ("source_ton", "source_ton = 1", When.AT_ONCE),
    ],
)
def test_what_concerns_signing_on_or_a_connection_is_told_apart(
    folder: Path, key: str, line: str, when: When
) -> None:  # fmt: skip
    (change,) = differences(config(folder), config(folder, account=line))
    assert (change.key, change.when) == (key, when)


def test_clients_come_and_go_while_it_runs(folder: Path) -> None:
    running, wanted = config(folder), config(folder, "[push.clients.core]")
    assert [str(change) for change in differences(running, wanted)] == ["[push.clients.core] is new: at once"]
    assert [str(change) for change in differences(wanted, running)] == ["[push.clients.core] is gone: at once"]
    assert taken_up(running, wanted) == wanted
    assert taken_up(wanted, running) == running


def test_a_client_whose_socket_is_to_stand_in_another_folder_waits_with_it(folder: Path) -> None:
    running, wanted = config(folder), config(folder, '[push]\nfolder = "other"\n[push.clients.core]')
    assert {change.when for change in differences(running, wanted)} == {When.RESTART}
    after = taken_up(running, wanted)
    assert [client.name for client in after.push.clients] == ["local"]
    assert after.local.socket == folder / "run" / "push.sock"


def test_accounts_come_and_go_while_it_runs(folder: Path) -> None:
    running = config(folder)
    path = folder / "mgate.toml"
    path.write_text(ACCOUNT.replace("op-a", "op-b"))
    wanted = read(path)
    assert [str(change) for change in differences(running, wanted)] == [
        "[sms.op-b] is new: at once",
        "[sms.op-a] is gone: at once",
    ]
    assert taken_up(running, wanted).sms == wanted.sms
