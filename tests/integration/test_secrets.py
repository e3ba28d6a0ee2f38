"""Nothing is told: a run full of errors, and then every octet that is left of it is searched.

Texts, numbers, references, operators' ids, keys and passwords must stand nowhere but sealed, in any of their forms, in
any file of the instance, in any log line, metric or answer.
"""

from __future__ import annotations

import base64
import http.client
import json
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mgate.config import read
from mgate.model.message import IdSource
from mgate.peers.smsc.ledger import Delivered
from mgate.peers.smsc.ledger import read as read_ledger
from mgate.seal.errors import SealError, Tampered
from mgate.seal.keyfile import KeyFile
from mgate.seal.keyring import Keyring
from mgate.seal.record import Sealer
from mgate.seal.tags import Tags
from mgate.spool.history import HistoryReader
from mgate.spool.sealing import Blocks, Sealing
from mgate.spool.words import Envelope
from tests.integration.instance import CALM, PASSWORD, House, ask, batch, message, until

FIRST_ID = 7_700_112_233_445_566
WORDS = ("quartzfinch", "кварцевый", "482913-778", "金絲雀")
META = "saffronledger"
GROUP = "umbralogin"
REF = "ivoryref"
INBOUND = "velvetreply"
NUMBERS = [f"3752911177{n:02d}" for n in range(40)]
HOSTILE = f"""
[ids]
start = {FIRST_ID}
response = "hex"
[receipts]
delay = [0.02, 0.2]
before_response = 0.2
[errors]
prefixes = {{ "{NUMBERS[7]}" = "ESME_RINVDSTADR", "{NUMBERS[8]}" = "ESME_RSUBMITFAIL" }}
[garbage]
outbind = true
every = 3
bytes_after = 25
[inbound]
every = 0.2
numbers = ["{NUMBERS[30]}"]
text = "{INBOUND}"
"""
FAULTY = """
from mgate.intake.push import PushApi
from mgate.spool.reader import SqliteReader

def broken(self, request):
    raise ValueError(f"invalid literal: {request.query('ref')!r} at +37529" + "1117739")

def also_broken(self, now):
    raise KeyError("quartzfinch +375291117739")

PushApi._find = broken
SqliteReader.counts = also_broken
from mgate.daemon.main import main
main()
"""

BROKEN_WORK = """
from mgate.spool.store import SqliteStore

def broken(self, verbs, now):
    if any(type(verb).__name__ == "Accept" for verb in verbs):
        raise ValueError("quartzfinch +375291117739")
    return work(self, verbs, now)

work, SqliteStore.work = SqliteStore.work, broken
from mgate.daemon.main import main
main()
"""

BROKEN_FLUSH = """
from mgate.spool.store import SqliteStore

def broken(self):
    if self._bucket % 1024:
        raise ValueError("quartzfinch +375291117739")
    return flush(self)

flush, SqliteStore.flush = SqliteStore.flush, broken
from mgate.daemon.main import main
main()
"""


class Told:
    """Everything that was answered, to be searched at the end."""

    def __init__(self) -> None:
        self.octets = bytearray()

    def add(self, said: object) -> None:
        self.octets += (said if isinstance(said, bytes) else json.dumps(said, ensure_ascii=False).encode()) + b"\n"


def text(n: int) -> str:
    return f"{WORDS[n % len(WORDS)]} number {n} of the bank"


def secret(n: int, traffic: str = "service", **fields: Any) -> dict[str, Any]:
    """A message that is all canary."""
    given = {"to": f"+{NUMBERS[n]}", "text": text(n), "meta": {"account": META}, "group": f"{GROUP}{n}"}
    return message(f"{REF}-{n}", traffic) | given | fields


def forms(word: str) -> Iterator[bytes]:
    """A word as it may stand in a file or an answer."""
    for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
        yield word.encode(encoding)
    yield json.dumps(word)[1:-1].encode()
    yield word.encode().hex().encode()
    yield base64.b64encode(word.encode())[:-4]


def refused(house: House, told: Told) -> None:
    """Every kind of bad push, with canaries in it."""
    bad: list[object] = [
        b'{"ref": "' + REF.encode() + b'", "text": "quartzfinch',
        b'{"quartzfinch +' + NUMBERS[9].encode() + b'": 1}',
        secret(9, "urgent"), secret(9, to=NUMBERS[9]), secret(9, to=f"+{NUMBERS[9]}{NUMBERS[9]}"),
        secret(9, valid_for="quartzfinch"), secret(9, tags=["quartzfinch!"]), secret(9, sender="quartzfinch long"),
        secret(9, meta={"a": META * 100}), secret(9, not_before="quartzfinch"), secret(9, text="quartzfinch\0"),
        secret(9) | {"quartzfinch 1": 1}, secret(9) | {f"x{NUMBERS[9]}": 1}, secret(9, ref=[f"{REF}"]),
    ]  # fmt: skip
    for body in bad:
        answer = ask(house.push_socket, "POST", "/v1/messages", body)
        assert 400 <= answer.status < 500, (body, answer)
        told.add({key: value for key, value in answer.body.items() if key != "ref"})
    for line in batch(house.push_socket, bad):
        told.add({key: value for key, value in line.items() if key != "ref"})
    for target in (f"/v1/messages/+{NUMBERS[9]}", "/quartzfinch", "/v1/messages?quartzfinch=1"):
        told.add(ask(house.push_socket, "GET", target).body)
    for target in (f"/v1/messages?number={NUMBERS[9]}", f"/v1/messages/{NUMBERS[9]}"):
        told.add(ask(house.admin_socket, "GET", target).body)
    for raw in (b"quartzfinch\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nquartzfinch +%s\r\n\r\n" % NUMBERS[9].encode()):
        with socket.socket(socket.AF_UNIX) as one:
            one.settimeout(10)
            one.connect(str(house.push_socket))
            one.sendall(raw)
            one.shutdown(socket.SHUT_WR)
            while answered := one.recv(65536):
                told.add(answered)


def kek_and_ring(house: House) -> tuple[bytes, Keyring]:
    config = read(house.config)
    kek = KeyFile(config.keys.kek_file)
    return config.keys.kek_file.read_bytes().strip(), Keyring.open(config.keys.ring, kek.read())


def operator_ids(house: House) -> set[str]:
    """The names that the operator gave, in hexadecimal, of messages whose receipts it sent."""
    rows = [row for row in read_ledger(house.operator.ledger) if isinstance(row, Delivered) and row.state != "MO"]
    return {row.id for row in rows}


def search(house: House, told: Told) -> list[str]:
    """Every place where a secret stands that must not."""
    encoded, _ = kek_and_ring(house)
    config = read(house.config)
    excused = {config.keys.kek_file: {"kek"}, config.sms[0].password_file: {"password"}}
    ids = operator_ids(house)
    needles = {"kek": [encoded, base64.b64decode(encoded)], "password": [*forms(PASSWORD)]}
    words = [*WORDS, META, GROUP, REF, INBOUND, *NUMBERS, *(f"+{number}" for number in NUMBERS)]
    needles |= {word: [*forms(word)] for word in words}
    needles |= {f"id {name}": [name.encode(), str(int(name, 16)).encode()] for name in ids}
    assert len(ids) > 5
    places = {path: path.read_bytes() for path in house.path.rglob("*") if path.is_file()}
    places |= {daemon.words: daemon.words.read_bytes() for daemon in house.daemons}
    places[Path("answers")] = bytes(told.octets)
    # The reserve is 64 MiB of zeros: no secret stands there, and a search for each takes half a minute.
    places = {path: octets for path, octets in places.items() if octets.strip(b"\0")}
    return [
        f"{name} in {path}"
        for path, octets in places.items()
        for name, hidden in needles.items()
        if name not in excused.get(path, ()) and any(one in octets for one in hidden)
    ]


def stories(house: House) -> dict[str, Envelope]:
    """What history holds, opened with the instance's own keys, by ref."""
    _, ring = kek_and_ring(house)
    sealer = Sealer(ring, ring.database)
    sealing = Sealing(ring, sealer, Tags(ring), IdSource(), str)
    found = {}
    for period in ring.periods:
        path = house.path / "spool" / "history" / f"period-{period.number:08d}.db"
        if not path.exists():
            continue
        with closing(sqlite3.connect(path)) as file:
            names = [name for (name,) in file.execute("SELECT DISTINCT message FROM tag")]
        reader = HistoryReader(path.parent, Blocks(sealer), _never)
        for name in names:
            one = reader.by_id(name, [period.number])
            assert one is not None
            try:
                envelope = sealing.envelope(one.rows[0], one.envelope)
            except Tampered:
                continue  # one that a test damaged in the spool; it moved as it was
            found[envelope.ref] = envelope
    return found


def _never(path: Path, error: sqlite3.Error | SealError) -> None:
    raise AssertionError(f"{path}: {error}")


def sealed_texts(house: House) -> list[bytes]:
    """The sealed texts of live otp messages, as they stand in the spool."""
    with closing(sqlite3.connect(house.path / "spool" / "spool.db")) as spool:
        return [bytes(body) for (body,) in spool.execute("SELECT sealed FROM body")]


def test_after_a_run_full_of_errors_no_secret_stands_anywhere(house: House) -> None:
    told = Told()
    # A wrong password first: it is refused, and must not be told.
    house.operator.start(HOSTILE.replace("[ids]", '[binds]\nrefuse_status = "ESME_RINVPASWD"\nrefuse_times = 1\n[ids]'))
    house.make('bad_password_wait = "1s"\nresponse_limit = "2s"\nreconnect_max = "1s"\n')
    house.start()
    until(lambda: house.events("bind_refused"), "the bind is refused")
    house.wait_bound()
    refused(house, told)

    # Good ones of every kind, refused numbers, a life that ends unsent.
    classes = ("otp", "fraud", "transaction", "service", "marketing")
    names = {n: house.pushed(f"{REF}-{n}", classes[n % 5], **_fields(n)) for n in range(10)}
    told.add(house.push(f"{REF}-1", "fraud", **(_fields(1) | {"text": "quartzfinch other"})).body)
    for name in names.values():
        house.wait_state(name, "delivered", "undelivered", "uncertain")
    assert house.state(names[7]) == house.state(names[8]) == "undelivered"
    house.pause()
    lapsed = house.pushed(f"{REF}-10", "otp", **(_fields(10) | {"valid_for": 1}))
    house.wait_state(lapsed, "expired")

    # Killed with messages in the spool; then one sealed record is damaged.
    last = {n: house.pushed(f"{REF}-{n}", "service", **_fields(n)) for n in (11, 12)}
    house.daemon.kill()
    with closing(sqlite3.connect(house.path / "spool" / "spool.db", isolation_level=None)) as spool:
        ((key, sealed),) = spool.execute("SELECT id, envelope FROM message ORDER BY id DESC LIMIT 1")
        spool.execute("UPDATE message SET envelope = ? WHERE id = ?", (damaged(sealed), key))
    house.start()
    house.wait_state(last[11], "delivered", "undelivered", "uncertain")
    until(lambda: house.events("record_quarantined"), "the damaged record is told")
    for target in (f"/v1/messages/{last[12]}", f"/v1/messages?ref={REF}-12"):
        told.add(ask(house.push_socket, "GET", target).body)
    until(lambda: len(house.events("operator_broke_protocol")) > 2, "the operator's garbage is told")
    for path in ("/metrics", "/health"):
        told.add(ask(house.metrics_socket, "GET", path).body)
    for path in ("/v1/status", "/v1/binds", "/v1/queue", "/v1/config"):
        told.add(ask(house.admin_socket, "GET", path).body)
    for name in (lapsed, last[11]):
        until(lambda name=name: house.show(name)["in_history"], "it is in history")  # type: ignore[misc]  # bound now
    house.stop()
    assert len(house.events("record_quarantined")) <= 3
    assert search(house, told) == []
    kept = stories(house)
    assert kept[f"{REF}-3"].text == text(3)
    for n in (0, 5, 10):
        assert not kept[f"{REF}-{n}"].text


def _fields(n: int) -> dict[str, Any]:
    made = secret(n)
    return {name: made[name] for name in ("to", "text", "meta", "group")}


def damaged(sealed: bytes) -> bytes:
    return sealed[:-1] + bytes([sealed[-1] ^ 1])


def test_a_damaged_record_is_told_once_and_stands_in_nobodys_way(house: House) -> None:
    house.operator.start(CALM)
    house.make()
    house.start()
    house.pause()
    names = [house.pushed(f"{REF}-{n}", "service", **_fields(n)) for n in range(4)]
    house.stop()
    with closing(sqlite3.connect(house.path / "spool" / "spool.db", isolation_level=None)) as spool:
        for key, sealed in spool.execute("SELECT id, envelope FROM message ORDER BY id LIMIT 2").fetchall():
            spool.execute("UPDATE message SET envelope = ? WHERE id = ?", (damaged(sealed), key))
    house.start()
    for name in names[2:]:
        until(lambda name=name: _in_history(house, name), "it is in history")  # type: ignore[misc]  # bound now
    # One after the other, so that the keeper makes a round for each.
    for n in range(10, 16):
        name = house.pushed(f"{REF}-{n}", "service", **_fields(n))
        until(lambda name=name: _in_history(house, name), "it is in history")  # type: ignore[misc]  # bound now
    told = [line["message"] for line in house.events("record_quarantined")]
    # Once when it should have left, once when it should have moved.
    assert max(told.count(name) for name in names[:2]) <= 2
    assert set(told) == set(names[:2])
    assert "record_quarantined" in ask(house.metrics_socket, "GET", "/health").body["alarms"]
    house.stop()


def _in_history(house: House, name: str) -> bool:
    answer = ask(house.admin_socket, "GET", f"/v1/messages/{name}")
    return answer.status == 200 and bool(answer.body["in_history"])


def test_the_text_of_a_delivered_otp_is_gone_from_every_page_and_one_that_waits_is_not(house: House) -> None:
    house.begin(CALM)
    house.pause()
    names = [house.pushed(f"{REF}-{n}", "otp", **_fields(n)) for n in range(5)]
    bodies = until(lambda: sealed_texts(house), "they are in the spool")
    assert len(bodies) == 5
    house.resume()
    for name in names:
        house.wait_state(name, "delivered")
    house.pause()
    house.pushed(f"{REF}-20", "otp", **_fields(20))
    house.stop()
    octets = b"".join(path.read_bytes() for path in house.path.rglob("*") if path.is_file())
    assert not [body for body in bodies if body[30:94] in octets]
    (waiting,) = sealed_texts(house)
    assert waiting[30:94] in octets


def test_the_text_of_a_delivered_otp_is_gone_from_the_log_of_a_quiet_spool_too(house: House) -> None:
    house.begin(CALM)
    house.pause()
    name = house.pushed(f"{REF}-0", "otp", **_fields(0))
    (body,) = until(lambda: sealed_texts(house), "it is in the spool")
    house.resume()
    house.wait_state(name, "delivered")

    def gone() -> bool:
        return not [path for path in house.path.rglob("*") if path.is_file() and body[30:94] in path.read_bytes()]

    until(gone, "no page of it is left")
    house.push("goes on")
    house.stop()


def test_the_text_of_an_otp_that_the_operator_refused_is_gone_too_when_it_is_in_history(house: House) -> None:
    house.begin(f'{CALM}[errors]\nprefixes = {{ "{NUMBERS[7]}" = "ESME_RINVDSTADR" }}\n')
    name = house.pushed(f"{REF}-7", "otp", **(_fields(7) | {"valid_for": 2}))
    house.wait_state(name, "undelivered")
    until(lambda: house.show(name)["in_history"], "it is in history")
    house.stop()
    assert not stories(house)[f"{REF}-7"].text


def test_a_bug_is_told_by_its_kind_and_its_place_and_never_by_what_it_was_given(house: House) -> None:
    house.bugs_allowed = True
    house.make()
    house.start(command=("-c", FAULTY))
    with pytest.raises((OSError, http.client.HTTPException, AssertionError)):  # however the connection ends
        _answered(house, f"/v1/messages?ref={REF}")
    with socket.socket(socket.AF_UNIX) as one:
        one.connect(str(house.admin_socket))
        one.sendall(b"GET /v1/queue HTTP/1.1\r\nHost: mgate\r\n\r\n")
        until(lambda: len(house.events("bug")) >= 2, "both bugs are told")
    assert house.push("still here").status == 202
    kinds = {line["error"] for line in house.events("bug")}
    assert kinds == {"ValueError", "KeyError"}
    assert all(line["frames"] for line in house.events("bug"))
    house.stop()
    said = house.daemon.words.read_bytes()
    assert not [form for word in (REF, "quartzfinch", NUMBERS[39]) for form in forms(word) if form in said]


def test_a_bug_met_by_a_push_refuses_it_and_is_told_no_otherwise(house: House) -> None:
    house.bugs_allowed = True
    house.make()
    house.start(command=("-c", BROKEN_WORK))
    answer = house.push(f"{REF}-1", **_fields(1))
    assert answer.status == 503
    (line,) = house.events("bug")
    assert (line["error"], bool(line["frames"])) == ("ValueError", True)
    house.stop()
    said = house.daemon.words.read_bytes() + json.dumps(answer.body).encode()
    assert not [form for word in ("quartzfinch", NUMBERS[39]) for form in forms(word) if form in said]
    house.start()
    assert house.push(f"{REF}-1", **_fields(1)).status == 202


def test_a_bug_at_the_disk_ends_the_daemon_and_is_told_no_otherwise(house: House) -> None:
    house.bugs_allowed = True
    house.make()
    house.start(command=("-c", BROKEN_FLUSH))
    with pytest.raises((OSError, http.client.HTTPException)):
        house.push(f"{REF}-1", **_fields(1))
    assert house.daemon.wait() == 74
    (line,) = house.events("bug")
    assert (line["error"], bool(line["frames"])) == ("ValueError", True)
    said = house.daemon.words.read_bytes()
    assert not [form for word in ("quartzfinch", NUMBERS[39]) for form in forms(word) if form in said]
    house.start()
    assert house.push(f"{REF}-1", **_fields(1)).status == 202


def _answered(house: House, target: str) -> None:
    answer = ask(house.push_socket, "GET", target)
    assert answer.status < 500, answer


def test_the_search_finds_what_it_is_looking_for(house: House) -> None:
    house.begin(HOSTILE)
    names = [house.pushed(f"{REF}-{n}", "service", **_fields(n)) for n in range(20) if n not in (7, 8)]
    for name in names:
        house.wait_state(name, "delivered", "uncertain")
    house.stop()
    assert search(house, Told()) == []
    kek, _ = kek_and_ring(house)
    name = next(name for name in operator_ids(house) if name.startswith("1b"))
    leaks = (WORDS[1].encode("utf-16-be"), f"+{NUMBERS[3]}".encode(), name.encode(), kek, PASSWORD.encode())
    for n, word in enumerate(leaks):
        (house.path / "spool" / f"leak{n}").write_bytes(b"..." + word + b"...")
    assert {place.rpartition("/")[2] for place in search(house, Told())} == {f"leak{n}" for n in range(5)}
