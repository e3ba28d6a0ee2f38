"""What torture does around the house: processes, questions, the report."""

import http.server
import json
import socketserver
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mgate.peers.audit import Attempt, Findings, Kind, Says, Violation, compare
from mgate.peers.house import Asker, HouseError, Instance, Running, Smsc, fdatasync_ms
from mgate.peers.smsc.ledger import Ledger, Submitted
from mgate.peers.told import Told, ToldLedger
from mgate.peers.torture import SCRIPT, Evidence, _judge, _leaks, report


def test_a_process_is_stopped_in_good_order_and_its_words_are_kept(tmp_path: Path) -> None:
    code = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(3)); print('up', flush=1); time.sleep(60)"
    process = Running("one", ["-c", code], tmp_path)
    while "up" not in process.words.read_text():
        time.sleep(0.01)
    assert process.usage().resident > 1 << 20
    assert process.stop() == 3
    assert not process.alive
    assert "its words are in" in str(process.fault("fell"))
    with pytest.raises(HouseError, match="one is gone"):
        process.usage()


def test_a_killed_process_is_gone_at_once(tmp_path: Path) -> None:
    process = Running("one", ["-c", "import time; time.sleep(60)"], tmp_path)
    process.kill()
    assert not process.alive
    assert process.stop() == -9


def test_an_operator_that_cannot_read_its_script_is_named(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"")
    with pytest.raises(HouseError, match="the nearest is port"):
        Smsc(tmp_path, "prot = 1", tmp_path / "key")


def test_the_script_of_torture_can_be_used(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"")
    smsc = Smsc(tmp_path, SCRIPT.replace("{seed}", "1"), tmp_path / "key")
    assert smsc.port > 0
    assert smsc.stop() == 0


def test_an_instance_that_mgatectl_refuses_is_named(tmp_path: Path) -> None:
    (tmp_path / "instance").mkdir()
    (tmp_path / "instance" / "file").touch()
    with pytest.raises(HouseError, match="init failed"):
        Instance(tmp_path, 2775, window=10, binds=1)


class _Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        ref = self.path.rpartition("=")[2]
        status = {"lost": 404, "broken": 500}.get(ref, 200)
        message = {"id": "m1", "ref": ref, "state": "sent", "class": "otp", "attempts": [{"part": 1, "attempt": 1}]}
        message["attempts"] = [{"part": 1, "attempt": 1, "fate": "accepted", "route": "sms:op-a", "repeat": True}]
        body = json.dumps({"messages": [message]}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "unix"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def asker(tmp_path: Path) -> Iterator[Asker]:
    with socketserver.ThreadingUnixStreamServer(str(tmp_path / "push.sock"), _Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        asker = Asker(tmp_path / "push.sock")
        yield asker
        asker.close()
        server.shutdown()
        thread.join()


def test_mgate_is_asked_by_reference(asker: Asker) -> None:
    (says,) = asker.ask("a")
    assert (says.id, says.ref, says.state) == ("m1", "a", "sent")
    assert (says.attempts[0].fate, says.attempts[0].repeat) == ("accepted", True)
    assert asker.ask("lost") == ()
    with pytest.raises(HouseError, match="answers 500"):
        asker.ask("broken")


def test_the_disk_is_measured(tmp_path: Path) -> None:
    assert 0.0 < fdatasync_ms(tmp_path, 3) < 10_000
    assert list(tmp_path.iterdir()) == []


def evidence(besides: tuple[str, ...] = ()) -> Evidence:
    return Evidence([], [], {"a": (Says("m1", "a", "sent"),)}, [0.5], besides)


def test_a_report_says_whether_all_promises_were_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(evidence(), compare([], [], {}), tmp_path) is True
    assert "0 lost, 0 repeats (0 unmarked)" in capsys.readouterr().out


def test_one_violation_breaks_the_report_and_is_written_down(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    findings = Findings((Violation(Kind.LOST, "a", "otp, told m1 after 2 tries"),), {"violations": 1})
    assert report(evidence(), findings, tmp_path) is False
    assert "LOST a: otp, told m1" in capsys.readouterr().out
    assert json.loads((tmp_path / "report.json").read_bytes())["violations"] == [
        ["LOST", "a", "otp, told m1 after 2 tries"]
    ]
    assert report(evidence(("mgated ended with status 70",)), compare([], [], {}), tmp_path) is False


def test_a_kept_folder_is_judged_again_and_a_torn_ledger_is_noticed(tmp_path: Path) -> None:
    told = Told("a", "otp", "m1", "accepted", False, "", 1, 1.0, 1.0, 180.0, "to", ("text",))
    book = ToldLedger(tmp_path / "told.ledger")
    book.add(told)
    book.close()
    ledger = Ledger(tmp_path / "smsc.ledger")
    ledger.add(Submitted(2.0, "op", 0, False, 1, 1, 1, "to", "text", 0, 0, 0, "000000000100000R", 0, 0, 1))
    ledger.close()
    says = {"a": (Says("m1", "a", "sent", 1, (Attempt(1, 1, "accepted"),)),)}
    report(Evidence([told], [], says, [0.5], ()), compare([], [], {}), tmp_path)
    assert _judge(tmp_path) == 0
    (tmp_path / "smsc.ledger").write_bytes(b"")
    assert _judge(tmp_path) == 1


def test_a_number_or_text_in_plain_is_found_wherever_it_lies(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "clean").write_bytes(b"sealed")
    log = tmp_path / "log"
    log.write_text("+37529*****01")
    assert _leaks(tmp_path / "spool", log) == []
    (tmp_path / "spool" / "wal").write_bytes(b"..375291110001..")
    assert _leaks(tmp_path / "spool", log) == [tmp_path / "spool" / "wal"]
