"""mgatectl as a user sees it: what it asks the daemon, what it shows, and how it ends."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from mgate.config import read
from mgate.control.drop_views import DropView
from mgate.control.source_views import SourceView
from mgate.control.views import ChangeView, MistakeView, ReloadView
from mgate.control.webhook_views import WebhookView
from mgate.seal.keyfile import KeyFile
from mgate.seal.keyring import Keyring
from tests.unit.control.conftest import Shell
from tests.unit.control.door import Door, a_view

NUMBER = "+375291110001"

# ---- init and configuration ----------------------------------------------------------------------------------------


def test_init_makes_an_instance_that_the_daemon_can_open(shell: Shell) -> None:
    result = shell.init("--window", "20", "--rate", "50", "--binds", "2")
    assert result.exit_code == 0
    assert "mgated --config" in result.stdout
    config = read(shell.config)
    account = config.sms[0]
    assert (account.host, account.port, account.system_id) == ("127.0.0.1", 2775, "examplebank")
    assert (account.window, account.rate, account.binds) == (20, 50, 2)
    assert account.password_file.read_text() == "secret1\n"
    ring = Keyring.open(config.keys.ring, KeyFile(config.keys.kek_file).read())
    assert len(ring.database) == 16


def test_what_init_made_is_its_owners_alone(shell: Shell) -> None:
    shell.init()
    modes = {path.name: path.stat().st_mode & 0o777 for path in (shell.folder / "i").rglob("*")}
    assert modes["kek"] == modes["op-a.password"] == 0o400
    assert modes.pop("run") == (shell.folder / "i").stat().st_mode & 0o777 == 0o751
    assert all(mode & 0o007 == 0 for mode in modes.values())


def test_an_instance_can_be_moved(shell: Shell) -> None:
    shell.init()
    assert str(shell.folder) not in shell.config.read_text()
    moved = (shell.folder / "i").rename(shell.folder / "j")
    assert shell.run("config", "check", "--config", str(moved / "mgate.toml")).exit_code == 0


def test_a_made_instance_names_both_ways_to_an_operator_and_waits_for_a_reason(shell: Shell) -> None:
    shell.init()
    comment = [line for line in shell.config.read_text().splitlines() if line.startswith("# With TLS")]
    assert len(comment) == 1
    assert 'tls = "NAME"' in comment[0]
    assert "no reason given yet" in read(shell.config).sms[0].plain_tcp


def test_init_refuses_a_folder_that_is_not_empty_and_touches_nothing(shell: Shell) -> None:
    (shell.folder / "i").mkdir()
    shell.write("i/diary", "mine")
    result = shell.init()
    assert result.exit_code == 1
    assert "is not empty" in result.stderr
    assert [path.name for path in (shell.folder / "i").iterdir()] == ["diary"]


def test_a_strict_umask_does_not_take_the_clients_way_to_their_sockets(shell: Shell) -> None:
    before = os.umask(0o077)
    try:
        shell.init()
    finally:
        os.umask(before)
    assert {(shell.folder / "i" / name).stat().st_mode & 0o777 for name in (".", "run")} == {0o751}


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--system-id", "a name that is too long", "system_id: "),
        ("--password-file", "/nowhere", "/nowhere: the password cannot be read: No such file"),
        ("--smsc", "ho st:1", "host: "),
        ("--smsc", "host:0", "port: 0 is not allowed"),
    ],
)
def test_a_failed_init_leaves_nothing_behind(shell: Shell, option: str, value: str, said: str) -> None:
    result = shell.init(option, value)
    assert result.exit_code == 1
    assert said in result.stderr
    assert not (shell.folder / "i").exists()


@pytest.mark.parametrize("password", ["", "two\nlines\n", "x" * 65 + "\n", "пароль\n"])
def test_a_password_that_smpp_cannot_carry_is_refused(shell: Shell, password: str) -> None:
    result = shell.init("--password-file", shell.write("bad", password))
    assert result.exit_code == 1
    assert "one line of 1 to 64 ASCII characters" in result.stderr
    assert password.strip() == "" or password.strip() not in result.stderr


def test_config_check_needs_no_daemon_and_says_all_mistakes_with_file_and_key(shell: Shell) -> None:
    shell.init()
    assert shell.run("config", "check").exit_code == 0
    shell.config.write_text(shell.config.read_text().replace("window = 10", "window = 0\nwindov = 1"))
    result = shell.run("config", "check")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert len(lines) == 2
    for line in lines:
        assert re.match(rf"{re.escape(str(shell.config))}: \[sms\.op-a\] windo[vw]: .+", line)
    assert len(shell.json("config", "check", status=1)["mistakes"]) == 2  # type: ignore[arg-type]  # JSON


def test_config_check_sees_that_a_secret_file_is_missing_or_open_to_everybody(shell: Shell) -> None:
    shell.init()
    keys = shell.folder / "i" / "keys"
    (keys / "kek").chmod(0o444)
    (keys / "op-a.password").unlink()
    result = shell.run("config", "check")
    assert result.exit_code == 1
    assert "[keys] kek_file: " in result.stdout
    assert "chmod 0400" in result.stdout
    assert "[sms.op-a] password_file: " in result.stdout
    assert "No such file" in result.stdout


def test_config_check_warns_of_a_port_that_is_open_to_every_network(shell: Shell) -> None:
    shell.init()
    for name in ("authority.pem", "our.pem"):
        shell.write(f"i/{name}", "")
    Path(shell.write("i/our.key", "")).chmod(0o400)
    files = 'authority = "authority.pem"\ncertificate = "our.pem"\nkey_file = "our.key"\n'
    listen = '[push.mtls]\nlisten = ["10.0.0.5:8443", "0.0.0.0:8443"]\ntls = "api"\n'
    client = '[push.clients.core]\ncertificates = ["dns:core.bank.example"]\n'
    shell.config.write_text(f"{shell.config.read_text()}\n[tls.api]\n{files}{listen}{client}")
    result = shell.run("config", "check")
    assert result.exit_code == 0
    assert "warning: [push.mtls] listen: 0.0.0.0:8443 is every network" in result.stderr
    assert "10.0.0.5" not in result.stderr
    # The other: no daemon runs that could look into the files of [tls.api].
    assert len(shell.json("config", "check")["warnings"]) == 2  # type: ignore[arg-type]  # JSON


def test_config_check_sees_that_files_of_an_identity_are_missing_or_open_to_everybody(shell: Shell) -> None:
    shell.init()
    key = Path(shell.write("i/our.key", "a key"))
    key.chmod(0o644)
    section = '\n[tls.bank]\nauthority = "authority.pem"\ncertificate = "keys"\nkey_file = "our.key"\n'
    shell.config.write_text(shell.config.read_text() + section)
    said = shell.run("config", "check").stdout
    assert "[tls.bank] authority: " in said
    assert "No such file" in said
    assert "[tls.bank] certificate: " in said
    assert "keys is not a file" in said
    assert f"[tls.bank] key_file: {key} has mode 0644, open to everybody: chmod 0400" in said


def _with_an_identity(shell: Shell) -> None:
    for name in ("authority.pem", "our.pem", "our.key"):
        Path(shell.write(f"i/{name}", "")).chmod(0o400)
    section = '\n[tls.bank]\nauthority = "authority.pem"\ncertificate = "our.pem"\nkey_file = "our.key"\n'
    shell.config.write_text(shell.config.read_text() + section)


def test_config_check_lets_the_daemon_look_whether_a_key_is_its_certificates(shell: Shell, door: Door) -> None:
    _with_an_identity(shell)
    problem = "[tls.bank] key_file: our.key is not the key of our.pem"
    door.reload = ReloadView(str(shell.config), False, (), (), (problem,))
    result = shell.run("config", "check")
    assert result.exit_code == 1
    assert problem in result.stdout
    assert "no mistakes" not in result.stderr
    assert shell.json("config", "check", status=1)["problems"] == [problem]
    assert set(door.asked) == {"POST /v1/reload?dry_run=1"}
    door.reload = ReloadView(str(shell.config), False, (), (), ())
    assert shell.run("config", "check").stderr == f"{shell.config}: no mistakes\n"


def test_config_check_says_when_nobody_could_look_into_the_files_of_an_identity(shell: Shell) -> None:
    shell.init()
    assert shell.run("config", "check").stderr == f"{shell.config}: no mistakes\n"
    _with_an_identity(shell)
    result = shell.run("config", "check")
    assert result.exit_code == 0
    assert "warning: of the files of [tls.NAME] only names and modes were looked at" in result.stderr


def test_config_check_does_not_believe_a_daemon_of_another_file(shell: Shell, door: Door) -> None:
    _with_an_identity(shell)
    door.reload = ReloadView("/elsewhere/mgate.toml", False, (), (), ("its own",))
    result = shell.run("config", "check")
    assert (result.exit_code, "only names and modes" in result.stderr) == (0, True)


def test_config_show_changed_shows_what_differs(shell: Shell) -> None:
    shell.init("--window", "20")
    shown = shell.run("config", "show", "--changed").stdout
    assert re.search(r"\[sms\.op-a\] +window +20 +10", shown)
    assert "enquire_link" not in shown
    assert "enquire_link" in shell.run("config", "show").stdout


# ---- the daemon ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [("status",), ("queue",), ("bind", "list"), ("message", "show", "m0000000000001"), ("bind", "pause", "x")],
)
def test_without_a_daemon_every_question_ends_with_three_and_what_to_do(shell: Shell, command: tuple[str, ...]) -> None:
    shell.init()
    result = shell.run(*command)
    assert result.exit_code == 3
    assert "admin.sock: the daemon is not running here: start mgated" in result.stderr
    as_json = shell.run(*command, "--json")
    assert as_json.exit_code == 3
    assert json.loads(as_json.stderr)["error"] == "not_reachable"
    assert as_json.stdout == ""


def test_without_a_configuration_the_sentence_names_the_file(shell: Shell) -> None:
    result = shell.run("status")
    assert result.exit_code == 1
    assert f"{shell.config}: cannot be read: No such file or directory" in result.stderr


@pytest.mark.parametrize("mistake", ["rate = -1", "no toml at all", '[sms.op-a\nhost = "x"', "[log]\nlevel = 3"])
def test_a_mistake_in_the_file_does_not_hide_a_daemon_that_runs_well(shell: Shell, door: Door, mistake: str) -> None:
    with shell.config.open("a") as file:
        file.write(f"\n{mistake}\n")
    for command in (("status",), ("queue",), ("feeds",), ("bind", "list"), ("bind", "pause", "sms:op-a")):
        result = shell.run(*command)
        assert result.exit_code == 0, result.stderr
        assert result.stdout
        (warning,) = result.stderr.splitlines()
        assert warning.startswith(f"warning: {shell.config}: ")
        assert "mgatectl config check" in warning
    assert shell.json("status")["alarms"] == ["disk_low"]


def test_a_daemon_can_be_asked_by_its_socket_alone(shell: Shell, door: Door) -> None:
    socket = str(shell.folder / "i" / "run" / "admin.sock")
    shell.config.unlink()
    for place in (("--socket", socket, "status"), ("status", "--socket", socket)):
        result = shell.run(*place)
        assert (result.exit_code, result.stderr) == (0, "")
        assert "disk_low" in result.stdout


def test_status_shows_the_daemon_at_a_glance(shell: Shell, door: Door) -> None:
    shown = shell.run("status").stdout
    for words in (
        "running",
        "1 d 1 h",
        "disk_low",
        "5.0 MiB",
        "sms:op-a/1",
        "[::1]:2775",
        "[red]nonsense",
        "1 min 15 s",
    ):
        assert words in shown
    assert shell.json("status")["alarms"] == ["disk_low"]


def test_status_has_a_line_for_each_database_folder_and_webhook_and_none_where_there_is_none(
    shell: Shell, door: Door
) -> None:
    assert "what of it" not in shell.run("status").stdout
    door.ways = {
        "sources": [
            SourceView("core", "postgresql", "table", "db1:5432/core", "failing", "unreachable", "db1 does not answer",
                       "", 42.0, 3, 4.5, 9, 7, 1, 0, {}, 0, ()),
            SourceView("till", "postgresql", "procedures", "db1:5432/till", "running", "", "", "", -1.0, -1, -1.0, 9, 5,
                       1, 0, {}, 0, ()),
        ],
        "drops": [DropView("payroll", "drops/payroll", "paused", 2, 0, "", 0.0, "", ())],
        "webhooks": [WebhookView("crm", "local", "https://crm.bank.example/", "running", "", False, 8, 1, 0.0)],
    }  # fmt: skip
    lines = [" ".join(line.split()) for line in shell.run("status").stdout.splitlines()]
    for line in (
        "source core failing 3 waiting, 7 taken db1 does not answer",
        "source till running 5 taken",
        "drop payroll paused 2 files waiting",
        "webhook crm running 8 taken, 1 given up",
    ):
        assert line in lines


def test_a_replay_counts_in_the_singular_where_there_is_one(shell: Shell, door: Door) -> None:
    assert "crm: calls again 1 event in 1 run; " in shell.run("webhook", "replay", "crm").stderr
    door.replay = (3, 2)
    assert "crm: calls again 3 events in 2 runs; " in shell.run("webhook", "replay", "crm").stderr


def test_a_failing_webhook_says_when_it_is_called_again(shell: Shell, door: Door) -> None:
    failing = WebhookView(
        "crm", "local", "https://crm.bank.example/", "failing", "HTTP status 500", False, 8, 1, 4.0, 75.0
    )
    door.ways["webhooks"] = [failing]
    assert "HTTP status 500; next try in 1 min 15 s" in shell.run("webhook", "list").stdout
    door.ways["webhooks"] = [msgspec.structs.replace(failing, state="paused")]
    assert "next try" not in shell.run("webhook", "list").stdout


def test_no_feed_at_all_says_how_there_would_be_one(shell: Shell, door: Door) -> None:
    assert shell.run("feeds").stderr == ""
    door.feeds = ()
    assert "no client has read or acknowledged events yet" in shell.run("feeds").stderr
    assert shell.json("feeds")["feeds"] == []


def test_the_feeds_are_shown_by_client(shell: Shell, door: Door) -> None:
    assert re.search(r"local +crm +5f0c1de2a94b7730-2a +7 ", shell.run("feeds").stdout)
    assert shell.json("feeds")["feeds"][0]["behind"] == 7  # type: ignore[index]  # JSON


def test_the_queue_is_shown_by_class_and_client(shell: Shell, door: Door) -> None:
    assert re.search(r"sms:op-a +otp +1 +local +4 +0 +1 +2 +0 +1 min 15 s", shell.run("queue").stdout)
    assert shell.json("queue")["rows"][0]["class"] == "otp"  # type: ignore[index]  # JSON


def test_a_route_is_paused_and_resumed(shell: Shell, door: Door) -> None:
    shown = shell.run("bind", "pause", "sms:op-a").stdout
    assert shown.count("paused") == 2
    shell.run("bind", "resume", "sms:op-a/1")
    assert door.asked == ["POST /v1/binds/sms:op-a:pause", "POST /v1/binds/sms:op-a/1:resume"]


def test_an_unknown_bind_is_refused_with_the_known_ones(shell: Shell, door: Door) -> None:
    result = shell.run("bind", "pause", "sms:op-b/0")
    assert result.exit_code == 1
    assert "known: sms:op-a/0, sms:op-a/1 (unknown_bind)" in result.stderr


def test_a_reload_shows_what_changed_and_when_it_takes_hold(shell: Shell, door: Door) -> None:
    door.reload = ReloadView(
        "mgate.toml",
        True,
        (),
        (
            ChangeView("sms.op-a", "rate", 10, 20, "at once"),
            ChangeView("push.clients.core", "", None, "", "at once"),
            ChangeView("push.clients.old", "", "", None, "at once"),
            ChangeView("push.clients.local", "classes", ["otp"], ["otp", "fraud"], "at once"),
        ),
        (),
    )
    shown = shell.run("reload")
    assert shown.exit_code == 0
    assert re.search(r"sms\.op-a +rate +10 +20 +at once", shown.stdout)
    assert re.search(r"push\.clients\.core +new +at once", shown.stdout)
    assert re.search(r"push\.clients\.old +gone +at once", shown.stdout)
    assert re.search(r"classes +otp +otp, fraud", shown.stdout)
    assert shell.json("reload", "--dry-run")["applied"] is True
    assert door.asked == ["POST /v1/reload", "POST /v1/reload?dry_run=1"]


def test_a_reload_that_finds_nothing_new_says_so(shell: Shell, door: Door) -> None:
    shown = shell.run("reload")
    assert (shown.exit_code, shown.stdout, shown.stderr) == (0, "", "the file says what runs already\n")


def test_a_reload_that_meets_mistakes_names_each_and_ends_with_one(shell: Shell, door: Door) -> None:
    found = (MistakeView("push.clients.core", "group", "there is none"), MistakeView("", "", "is not TOML"))
    door.reload = ReloadView("mgate.toml", False, found, (), ())
    shown = shell.run("reload")
    assert shown.exit_code == 1
    assert shown.stderr.splitlines() == [
        "mgate.toml: [push.clients.core] group: there is none",
        "mgate.toml: is not TOML",
        "nothing was changed",
    ]
    door.reload = ReloadView("mgate.toml", True, (), (), ("run/push-core.sock: is in the way",))
    shown = shell.run("reload")
    assert (shown.exit_code, "is in the way" in shown.stderr) == (1, True)


def test_both_versions_are_shown(shell: Shell, door: Door) -> None:
    assert shell.json("version")["daemon"] == "0.1.0"


# ---- messages ------------------------------------------------------------------------------------------------------


def test_a_message_is_shown_without_its_number(shell: Shell, door: Door) -> None:
    view = a_view(1, "r1", NUMBER)
    door.messages[view.id] = view
    for command in (("show", view.id), ("trace", view.id.upper()), ("find", "--ref", "r1")):
        shown = shell.run("message", *command).stdout
        assert "+37529*****01" in shown
        assert NUMBER not in shown


def test_a_trace_gives_programs_every_step_in_order(shell: Shell, door: Door) -> None:
    view = a_view(1, "r1", NUMBER)
    door.messages[view.id] = view
    steps = shell.json("message", "trace", view.id)["steps"]
    assert [step["what"] for step in steps] == [  # type: ignore[attr-defined]  # JSON
        "taken from client local: class otp, 1 part, to +37529*****01",
        "try 1: leaves on sms:op-a/0",
        "try 1: no answer came; it may have been sent (response_timeout)",
        "nobody knows whether it was sent (response_timeout)",
        "try 2: leaves on sms:op-a/1, once more, because the try before may or may not have been sent",
        "try 2: the operator took it as 4A7F",
        "try 2: a receipt says delivered (DELIVRD err:000)",
        "the message is delivered",
    ]


def test_a_trace_tells_the_story_in_words_by_the_banks_clock(shell: Shell, door: Door) -> None:
    view = a_view(1, "r1", NUMBER)
    door.messages[view.id] = view
    zone = '\n[reckoning]\ntime_zone = "Asia/Tashkent"\n'
    shell.config.write_text(shell.config.read_text() + zone)
    told = shell.run("message", "trace", view.id)
    words = " ".join(told.stdout.split())
    assert "came from local on Sunday 22 November 2026 at 10:10:08, as r1. It left" in words
    assert "Whose matter it is: the operator;" in words
    assert told.stderr == "times are those of Asia/Tashkent\n"
    other = shell.run("message", "trace", view.id, "--time-zone", "Europe/Minsk")
    assert "at 08:10:08, as r1." in " ".join(other.stdout.split())
    assert "try 2: the operator took it as 4A7F" in shell.run("message", "trace", view.id, "--steps").stdout
    assert shell.run("message", "trace", view.id, "--time-zone", "Nowhere").exit_code == 2


def test_a_trace_of_a_number_tells_its_newest_messages_and_never_the_number(shell: Shell, door: Door) -> None:
    for place in range(3):
        view = a_view(place, f"r{place}", NUMBER)
        door.messages[view.id] = view
    told = shell.run("message", "trace", "+375 29 111-00-01", "--most", "2")
    assert door.asked[-2:] == ["GET /v1/messages?number=%2B375291110001&limit=3", "GET /v1/binds"]
    assert (told.stdout.count("A one-time code to +37529*****01"), NUMBER in told.output) == (2, False)
    assert "the newest 2 are told" in told.stderr
    assert len(shell.json("message", "trace", NUMBER)["stories"]) == 3  # type: ignore[arg-type]  # JSON
    door.messages.clear()
    nothing = shell.run("message", "trace", NUMBER)
    assert (nothing.exit_code, "nothing is known of this number" in nothing.stderr) == (1, True)
    assert shell.run("message", "trace", "80291110001").exit_code == 2


def test_nothing_found_is_a_failure_that_says_why(shell: Shell, door: Door) -> None:
    result = shell.run("message", "find", "--number", NUMBER)
    assert result.exit_code == 1
    assert "nothing found" in result.stderr
    assert door.asked == ["GET /v1/messages?number=%2B375291110001"]


@pytest.mark.parametrize(
    "command",
    [
        ("message", "find"),
        ("message", "find", "--ref", "a", "--number", NUMBER),
        ("message", "show", "17"),
        ("send", "--to", NUMBER, "--text", "x", "--class", "spam"),
        ("send", "--to", NUMBER, "--text", "x", "--valid-for", "90"),
        ("push", "x.csv", "--map", "a"),
        ("push", "x.csv", "--map", "a=b"),
        ("init", "x", "--smsc", "host", "--system-id", "a", "--password-file", "p"),
        ("bogus",),
    ],
)
def test_a_wrong_word_is_a_mistake_of_usage(shell: Shell, command: tuple[str, ...]) -> None:
    assert shell.run(*command).exit_code == 2


def test_a_cancellation_says_what_became_of_it(shell: Shell, door: Door) -> None:
    view = a_view(1, "r1", NUMBER)
    door.messages[view.id] = view
    late = shell.run("message", "cancel", view.id)
    assert (late.exit_code, late.stderr) == (1, "mgatectl: the operator has taken it (left)\n")
    assert shell.run("message", "cancel", "m0000000000001").stdout == "m0000000000001 is cancelled\n"


def test_a_text_may_come_by_stdin_so_that_no_process_list_shows_it(shell: Shell, door: Door) -> None:
    result = shell.run("send", "--to", NUMBER, "--class", "otp", "--valid-for", "3m", stdin="Code 482913 – ваш код\n")
    assert result.exit_code == 0
    assert "482913" not in result.output
    sent = door.pushed[0]
    assert re.fullmatch(r"cli-[0-9a-f-]{36}", str(sent.pop("ref")))
    assert sent == {"to": NUMBER, "class": "otp", "text": "Code 482913 – ваш код", "valid_for": 180}


def test_send_can_wait_for_the_end(shell: Shell, door: Door) -> None:
    door.polls = 1
    result = shell.run("send", "--to", NUMBER, "--text", "Hello", "--wait", "--wait-limit", "30s")
    assert result.exit_code == 0
    assert result.stdout.endswith(": delivered\n")
    door.polls = 99
    assert shell.run("send", "--to", NUMBER, "--text", "Hi", "--wait", "--wait-limit", "0s").exit_code == 1


def test_a_refused_message_says_the_field_and_the_code(shell: Shell, door: Door) -> None:
    result = shell.run("send", "--to", "12345", "--text", "Hello")
    assert result.exit_code == 1
    assert result.stderr == "mgatectl: to: no mobile number has so many digits (number_not_possible)\n"


def test_the_command_line_knows_neither_twisted_nor_the_spool() -> None:
    # Measuring coverage would load sqlite3 for its own use.
    bare = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, mgate.control.cli; print(*sys.modules)"],
        cwd=Path(__file__).parents[3], env=bare, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert "mgate.control.talk" in loaded
    for foreign in ("twisted", "sqlite3", "mgate.spool", "mgate.net", "mgate.telemetry"):
        assert foreign not in loaded
