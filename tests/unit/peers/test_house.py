"""What bench and torture do around the house: processes and questions."""

import http.server
import json
import socketserver
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mgate.peers.house import Asker, HouseError, Instance, Running, Smsc, fdatasync_ms
from mgate.peers.torture.stage import SCRIPT


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
