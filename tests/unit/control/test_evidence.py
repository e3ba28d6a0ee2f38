"""Evidence of a message: what is signed, who may ask for it, and what mgatectl does with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mgate.config import read
from mgate.control.evidence import KIND, Witness, check_document, document
from mgate.control.evidence_door import EvidenceHatch
from mgate.model.message import MessageId, show_id
from mgate.model.ports import NoAnswer
from mgate.net.exchange import Head, Request
from mgate.net.peers import Peer
from mgate.net.routing import Found, Route, Routes
from mgate.seal.keyfile import KeyFile
from mgate.seal.keyring import Keyring
from mgate.seal.signature import NotSigned, Signer, pem
from mgate.telemetry import Log
from tests.unit.control.conftest import Shell
from tests.unit.control.door import Door, a_view
from tests.unit.control.test_server import KNOWN, NoLine, OneDesk

NUMBER = "+375291110001"
MADE = "2026-11-22T06:00:00.000Z"
WITNESS = Witness("mgate", "5f0c1de2a94b77305f0c1de2a94b7730", "0.1.0")


@pytest.fixture
def signer(shell: Shell) -> Signer:
    assert shell.config.exists() or shell.init().exit_code == 0
    config = read(shell.config)
    return Signer(Keyring.open(config.keys.ring, KeyFile(config.keys.kek_file).read()))


# ---- the document --------------------------------------------------------------------------------------------------


def test_a_dispute_finds_times_ids_receipts_and_events_in_it_and_no_number(signer: Signer) -> None:
    lines = document(a_view(1, "r1", NUMBER), WITNESS, MADE, signer).splitlines()
    head, *rest = [json.loads(line) for line in lines[:-1]]
    assert (head["instance"], head["database"], head["made_at"]) == ("mgate", WITNESS.database, MADE)
    assert (head["class"], head["to"], head["accepted_at"]) == ("otp", "+37529*****01", "2026-11-22T05:10:08.000Z")
    assert "the octets of receipts" in head["not_kept"]
    second = [line["attempt"] for line in rest if "attempt" in line][1]
    assert (second["route"], second["operator_id"], second["repeat"]) == ("sms:op-a", "4A7F", True)
    assert (second["receipt_at"], second["reason"]) == ("2026-11-22T05:10:25.000Z", "DELIVRD err:000")
    assert [line["event"]["event"] for line in rest if "event" in line] == ["accepted", "uncertain", "delivered"]
    assert NUMBER not in "".join(lines)


def test_not_one_word_of_it_can_be_changed(signer: Signer, tmp_path: Path) -> None:
    whole = document(a_view(1, "r1", NUMBER), WITNESS, MADE, signer)
    path = tmp_path / "e"
    path.write_text(whole)
    assert check_document(path, signer.public).message == a_view(1, "r1", NUMBER).id
    for was, becomes in (("05:10:25", "05:10:15"), ("4A7F", "4A70"), ("delivered", "expired")):
        path.write_text(whole.replace(was, becomes))
        with pytest.raises(NotSigned):
            check_document(path, signer.public)


def test_no_other_signed_file_passes_for_evidence(
    signer: Signer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mgate.control.evidence.KIND", "reckoning 1")
    path = tmp_path / "e"
    path.write_text(document(a_view(1, "r1", NUMBER), WITNESS, MADE, signer))
    monkeypatch.setattr("mgate.control.evidence.KIND", KIND)
    with pytest.raises(NotSigned):
        check_document(path, signer.public)


# ---- the door ------------------------------------------------------------------------------------------------------


class BusyDesk(OneDesk):
    """A spool that cannot answer."""

    def show(self, client: str, message: MessageId, answer: Callable[..., None]) -> None:
        answer(NoAnswer.LATER)


def ask(desk: OneDesk, signer: Signer, target: str, lines: list[dict[str, object]]) -> tuple[int, dict[str, object]]:
    log = Log(lambda line: lines.append(json.loads(line)))
    found = Routes(EvidenceHatch(desk, signer, WITNESS, lambda: 1_795_327_200.0, log).routes()).find(
        b"GET", target.encode()
    )
    assert isinstance(found, Found)
    assert isinstance(found.route, Route)
    request = Request(
        NoLine(), Head(found.route.answer, "GET", target.encode(), b"", found.params), Peer(1000, 1000, 7)
    )
    found.route.answer(request)
    assert request.answer is not None
    answered, _, body = request.answer.partition(b"\r\n\r\n")
    return int(answered.split()[1]), json.loads(body)


def test_who_asked_for_evidence_of_which_message_is_logged(signer: Signer) -> None:
    lines: list[dict[str, object]] = []
    status, answer = ask(OneDesk(), signer, f"/v1/messages/{show_id(KNOWN)}/evidence", lines)
    assert (status, lines[0]["detail"], lines[0]["uid"]) == (200, "evidence", 1000)
    assert json.loads(str(answer["document"]).splitlines()[0])["made_at"] == MADE


@pytest.mark.parametrize(
    ("desk", "message", "expected", "error"),
    [
        (OneDesk, "m0000000000001", 404, "unknown_message"),
        (OneDesk, "17", 422, "bad_value"),
        (BusyDesk, show_id(KNOWN), 503, "busy"),
    ],
)
def test_what_there_is_no_evidence_of_says_why(
    signer: Signer, desk: type[OneDesk], message: str, expected: int, error: str
) -> None:
    lines: list[dict[str, object]] = []
    status, answer = ask(desk(), signer, f"/v1/messages/{message}/evidence", lines)
    assert (status, answer["error"], lines) == (expected, error, [])


# ---- mgatectl ------------------------------------------------------------------------------------------------------


def test_mgatectl_writes_it_and_anybody_with_the_key_verifies_it(shell: Shell, door: Door, signer: Signer) -> None:
    view = a_view(1, "r1", NUMBER)
    door.evidence[view.id], door.public_key = document(view, WITNESS, MADE, signer), pem(signer.public)
    out, key = shell.folder / "e.ndjson", shell.write("key.pem", pem(signer.public))
    made = shell.run("message", "evidence", view.id, "--to", str(out))
    assert (made.exit_code, made.stdout) == (0, f"{out}: {view.id}, sent, signed by mgate\n")
    door.asked.clear()
    verified = shell.run("message", "evidence", "verify", str(out), "--key", key)
    assert (verified.exit_code, "signed by mgate at" in verified.stdout, door.asked) == (0, True, [])
    out.write_text(out.read_text().replace("4A7F", "4A70"))
    wrong = shell.run("message", "evidence", "verify", str(out))
    assert (wrong.exit_code, "it was changed after it was signed" in wrong.stderr) == (1, True)


@pytest.mark.parametrize(
    "words", [("m0000000000001",), ("17", "--to", "x"), ("verify",), ("verify", "x", "--to", "y"), ("m1", "x")]
)
def test_half_a_wish_is_a_mistake_of_usage(shell: Shell, words: tuple[str, ...]) -> None:
    assert shell.run("message", "evidence", *words).exit_code == 2
