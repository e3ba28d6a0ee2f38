"""SIGHUP and mgatectl reload: what changed is taken up, what did not is let be, and a mistake changes nothing."""

from __future__ import annotations

import json
import re
import signal
import socket
from typing import Any

from mgate.peers.smsc.ledger import Happened, read
from tests.integration.instance import CALM, LIMIT, House, ask, message, until


def rewrite(house: House, pattern: str, by: str) -> None:
    """Change the one line of the configuration that begins so."""
    text, count = re.subn(rf"(?m)^{pattern}.*$", by, house.config.read_text())
    assert count == 1, pattern
    house.config.write_text(text)


def hup(house: House) -> None:
    """SIGHUP, and wait until it was obeyed or refused."""
    before = len(house.events("config_read", "config_refused"))
    house.daemon.signal(signal.SIGHUP)
    until(lambda: len(house.events("config_read", "config_refused")) > before, "the configuration is read again")


def binds_made(house: House) -> int:
    """How many binds the operator has accepted."""
    return sum(isinstance(row, Happened) and row.event == "bound" for row in read(house.operator.ledger))


def changes(house: House) -> list[str]:
    return [line["detail"] for line in house.events("config_changed")]


def bind_of(house: House, index: int = 0) -> dict[str, Any]:
    return next(bind for bind in house.binds() if bind["bind"] == index)


def alarms(house: House) -> list[str]:
    """As mgatectl shows them."""
    run = house.mgatectl("status", "--json")
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)["alarms"]
    assert isinstance(found, list)
    return found


# ---- what stays ------------------------------------------------------------------------------------------------------


def test_a_file_that_says_the_same_changes_nothing(house: House) -> None:
    house.begin()
    hup(house)
    assert not changes(house)
    assert house.events("config_read")[0]["count"] == 0
    assert house.push("on").status == 202
    assert binds_made(house) == 1


def test_a_file_with_mistakes_changes_nothing_and_says_all_of_them(house: House) -> None:
    house.begin(rate=50)
    rewrite(house, "rate", "rate = -1\nwindw = 3")
    with house.config.open("a") as file:
        file.write('[log]\nlevel = "loud"\n')
    hup(house)
    told = " ".join(line["detail"] for line in house.events("config_refused"))
    for word in ("rate", "windw", "level"):
        assert word in told
    run = house.mgatectl("reload")
    assert run.returncode == 1
    for word in ("rate", "windw", "level"):
        assert word in run.stderr
    assert not changes(house)
    assert bind_of(house)["rate"] == 50
    assert house.push("on").status == 202
    assert binds_made(house) == 1
    # mgatectl still finds the daemon, which says that its file was refused, until one is taken up.
    assert alarms(house) == ["config_refused"]
    mended = house.config.read_text().replace("rate = -1\nwindw = 3", "rate = 50").replace("loud", "info")
    house.config.write_text(mended)
    assert house.mgatectl("reload", "--dry-run").returncode == 0
    assert alarms(house) == ["config_refused"]
    assert house.mgatectl("reload").returncode == 0
    assert alarms(house) == []


def test_a_file_of_an_identity_or_a_webhook_that_cannot_be_used_changes_nothing(house: House) -> None:
    house.begin(rate=50)
    rewrite(house, "rate", "rate = 60")
    (house.path / "keys" / "short").write_text("short\n")
    with house.config.open("a") as file:
        file.write('[tls.core]\nauthority = "tls/none.pem"\n')
        file.write('certificate = "tls/none.pem"\nkey_file = "tls/none.key"\n')
        file.write('[webhooks.core]\nurl = "https://bank.example/"\ntls = "core"\n')
        file.write('secret_file = "keys/short"\nclient = "local"\n')
    run = house.mgatectl("reload")
    assert run.returncode == 1
    assert "[tls.core] authority" in run.stderr
    assert "none.pem: cannot be read" in run.stderr
    assert "[webhooks.core] secret_file" in run.stderr
    assert "nothing was changed" in run.stderr
    assert not changes(house)
    assert bind_of(house)["rate"] == 50


def test_what_this_machine_lacks_is_a_mistake_too(house: House) -> None:
    house.begin(rate=50)
    rewrite(house, "rate", "rate = 60")
    with house.config.open("a") as file:
        file.write('[push.clients.core]\ngroup = "no-such-group"\n')
    (house.path / "keys" / "op-a.password").unlink()
    run = house.mgatectl("reload")
    assert run.returncode == 1
    assert "[push.clients.core] group" in run.stderr
    assert "[sms.op-a] password_file" in run.stderr
    assert "nothing was changed" in run.stderr
    assert bind_of(house)["rate"] == 50


def test_what_needs_a_restart_is_named_and_the_rest_is_taken_up(house: House) -> None:
    house.begin(rate=50)
    rewrite(house, "rate", "rate = 60")
    with house.config.open("a") as file:
        file.write('[instance]\nname = "other"\n')
    run = house.mgatectl("reload", "--json")
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    assert told["applied"]
    assert [(each["section"], each["key"], each["when"]) for each in told["changes"]] == [
        ("instance", "name", "needs a restart"),
        ("sms.op-a", "rate", "at once"),
    ]
    status = ask(house.admin_socket, "GET", "/v1/status").body
    assert (status["instance"], status["binds"][0]["rate"]) == ("mgate", 60)
    again = json.loads(house.mgatectl("reload", "--json").stdout)
    assert [each["key"] for each in again["changes"]] == ["name"]


def test_a_rehearsal_tells_and_does_nothing(house: House) -> None:
    house.begin(rate=50)
    rewrite(house, "rate", "rate = 60")
    run = house.mgatectl("reload", "--dry-run")
    assert run.returncode == 0
    assert re.search(r"sms\.op-a +rate +50 +60 +at once", run.stdout)
    assert bind_of(house)["rate"] == 50
    assert not changes(house)


# ---- operators -------------------------------------------------------------------------------------------------------


def test_another_rate_and_window_hold_at_once_and_the_bind_stays_bound(house: House) -> None:
    house.begin(rate=2, window=2)
    names = [house.pushed(f"m{n}") for n in range(40)]
    until(house.operator.submits, "they leave")
    rewrite(house, "rate", "rate = 200")
    rewrite(house, "window", "window = 20")
    hup(house)
    # At the old rate they would take 20 s.
    for name in names:
        house.wait_state(name, "delivered", limit=10.0)
    shown = bind_of(house)
    assert (shown["rate"], shown["window"], shown["state"]) == (200, 20, "bound")
    assert binds_made(house) == 1


def test_more_binds_come_and_go_beside_those_that_are_there(house: House) -> None:
    house.begin("[latency]\nsubmit = 0.2\n[receipts]\ndelay = 0.1\n", window=5)
    rewrite(house, "binds", "binds = 3")
    hup(house)
    until(lambda: [bind["state"] for bind in house.binds()] == ["bound"] * 3, "two more are bound")
    metrics = ask(house.metrics_socket, "GET", "/metrics").body["text"]
    assert 'mgate_bind_open{bind="2",route="sms:op-a"} 1.0' in metrics
    names = [house.pushed(f"m{n}") for n in range(60)]
    until(lambda: bind_of(house, 2)["submits"], "the third is used")
    rewrite(house, "binds", "binds = 1")
    hup(house)
    for name in names:
        house.wait_state(name, "delivered")
    until(lambda: len(house.binds()) == 1, "two are gone")
    assert bind_of(house)["state"] == "bound"
    assert not house.events("answers_lost")
    assert len(house.operator.submits()) == 60
    assert binds_made(house) == 3
    rewrite(house, "binds", "binds = 2")
    hup(house)
    until(lambda: [bind["state"] for bind in house.binds()] == ["bound"] * 2, "one comes back")
    house.stop()


def test_another_password_signs_on_anew_and_leaves_nothing_in_doubt(house: House) -> None:
    house.begin("[latency]\nsubmit = 0.3\n[receipts]\ndelay = 0.1\n", window=5)
    names = [house.pushed(f"m{n}") for n in range(30)]
    until(house.operator.submits, "they leave")
    password = house.path / "keys" / "op-a.password"
    password.chmod(0o600)
    password.write_text("pw-other\n")
    rehearsed = house.mgatectl("reload", "--dry-run")
    assert "another password" in rehearsed.stdout
    assert "pw-other" not in rehearsed.stdout + house.daemon.said()
    hup(house)
    until(lambda: bind_of(house)["state"] == "refused", "the operator does not know it")
    password.write_text("pw-9d41c\n")
    # bad_password_wait is 5 minutes; a new password is not made to wait for it.
    hup(house)
    house.wait_bound()
    for name in names:
        house.wait_state(name, "delivered")
    assert not house.events("answers_lost")
    assert len(house.operator.submits()) == 30
    assert house.push("on").status == 202


def test_an_operator_that_has_moved_is_followed_with_the_window_run_empty_first(house: House) -> None:
    house.begin("[latency]\nsubmit = 0.3\n[receipts]\ndelay = 0.1\n")
    name = house.pushed("before")
    until(house.operator.submits, "it is out")
    house.operator.port, old = _other_port(house), house.operator.port
    first = house.operator.process
    house.operator.start(CALM)
    assert first is not None
    house.others.append(first)
    rewrite(house, "port", f"port = {house.operator.port}")
    hup(house)
    house.wait_state(name, "sent", "delivered", "no_receipt")
    until(lambda: bind_of(house)["peer"].endswith(str(house.operator.port)), "it is followed")
    house.wait_bound()
    assert old != house.operator.port
    house.wait_state(house.pushed("after"), "delivered")
    assert not house.events("answers_lost")


def _other_port(house: House) -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = int(one.getsockname()[1])
    assert port != house.operator.port
    return port


# ---- clients ---------------------------------------------------------------------------------------------------------


def test_clients_come_change_and_go_while_others_stay(house: House) -> None:
    house.begin()
    text = house.config.read_text()
    core = house.path / "run" / "push-core.sock"
    house.config.write_text(f'{text}\n[push.clients.core]\nclasses = ["otp"]\nmode = "0600"\n')
    hup(house)
    assert core.stat().st_mode & 0o777 == 0o600
    assert ask(core, "POST", "/v1/messages", message("c1", "otp")).status == 202
    assert ask(core, "POST", "/v1/messages", message("c2", "service")).status == 403
    house.config.write_text(f'{text}\n[push.clients.core]\nclasses = ["service"]\nmode = "0660"\n')
    hup(house)
    assert core.stat().st_mode & 0o777 == 0o660
    assert ask(core, "POST", "/v1/messages", message("c3", "service")).status == 202
    assert ask(core, "POST", "/v1/messages", message("c4", "otp")).status == 403
    house.config.write_text(text)
    hup(house)
    until(lambda: not core.exists(), "its socket is gone")
    assert house.push("local").status == 202
    house.config.write_text(f"{text}\n[push.clients.core]\nrate = 1\n")
    hup(house)
    assert ask(core, "POST", "/v1/messages", message("c5")).status == 202
    assert ask(core, "POST", "/v1/messages", message("c6")).status == 429
    assert binds_made(house) == 1
    house.stop()
    house.start()
    assert ask(core, "POST", "/v1/messages", message("c7")).status == 202


def test_an_open_batch_goes_on_by_the_new_rules(house: House) -> None:
    house.begin()
    with socket.socket(socket.AF_UNIX) as wire:
        wire.settimeout(LIMIT)
        wire.connect(str(house.push_socket))
        wire.sendall(
            b"POST /v1/messages:batch HTTP/1.1\r\nHost: mgate\r\nConnection: close\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        answers = wire.makefile("rb")

        def say(ref: str) -> dict[str, Any]:
            line = json.dumps(message(ref, "service")).encode() + b"\n"
            wire.sendall(b"%x\r\n%b\r\n" % (len(line), line))
            while not (read := answers.readline()).startswith(b"{"):
                assert read, "the batch was broken off"
            return dict(json.loads(read))

        assert "id" in say("b1")
        rewrite(house, r"\[push\.clients\.local\]", '[push.clients.local]\nclasses = ["otp"]')
        hup(house)
        assert say("b2")["error"] == "class_not_allowed"


def test_a_socket_that_cannot_be_opened_is_told_and_holds_up_nothing_else(house: House) -> None:
    house.begin(rate=50)
    (house.path / "run" / "push-core.sock").write_text("in the way")
    rewrite(house, "rate", "rate = 60")
    with house.config.open("a") as file:
        file.write("[push.clients.core]\n[push.clients.other]\n")
    run = house.mgatectl("reload")
    assert run.returncode == 1
    assert "is in the way" in run.stderr
    assert bind_of(house)["rate"] == 60
    assert ask(house.path / "run" / "push-other.sock", "POST", "/v1/messages", message("o1")).status == 202
    # What was in the way is taken away, and the file is read again.
    (house.path / "run" / "push-core.sock").unlink()
    hup(house)
    assert ask(house.path / "run" / "push-core.sock", "POST", "/v1/messages", message("c1")).status == 202


# ---- the rest --------------------------------------------------------------------------------------------------------


def test_log_level_limits_and_retention_are_taken_up(house: House) -> None:
    house.begin()
    with house.config.open("a") as file:
        file.write('[log]\nlevel = "error"\n[retention]\notp = "40d"\n')
        file.write('[spool]\nreference_days = 20\nmin_free = "1TiB"\n')
    house.daemon.signal(signal.SIGHUP)
    until(lambda: house.push(f"r{len(house.events('alarm_raised'))}").status == 503, "the disk is too small for it")
    running = json.loads(house.mgatectl("config", "show", "--running", "--changed", "--json").stdout)
    shown = {(each["section"], each["key"]): each["value"] for each in running["settings"]}
    assert shown["log", "level"] == "error"
    assert shown["retention", "otp"] == "40d"
    assert shown["spool", "reference_days"] == 20


def test_the_services_keeper_hears_reloading_with_its_moment_and_then_ready(house: House) -> None:
    path = house.folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as keeper:
        keeper.bind(str(path))
        keeper.settimeout(LIMIT)
        house.make()
        house.start({"NOTIFY_SOCKET": str(path)})
        house.daemon.signal(signal.SIGHUP)
        heard: list[str] = []
        while sum("READY=1" in word for word in heard) < 2:
            heard.append(keeper.recv(4096).decode())
    told = [word for word in heard if "WATCHDOG" not in word]
    assert [word.partition("\n")[0] for word in told] == ["READY=1", "RELOADING=1", "READY=1"]
    assert re.search(r"\nMONOTONIC_USEC=[0-9]+$", told[1])


def test_a_hang_up_during_the_start_does_not_end_it(house: House) -> None:
    house.make()
    daemon = house.launch()
    until(lambda: '"event":"started"' in daemon.said(), "it begins")
    daemon.signal(signal.SIGHUP)
    until(lambda: '"event":"ready"' in daemon.said() or not daemon.alive, "the daemon is ready")
    assert daemon.alive
