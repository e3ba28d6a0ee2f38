"""Hostile operators, one at a time beside a healthy one: the daemon, two accounts, and what the healthy one feels.

Codes go by the healthy account one after the other, marketing by the hostile one. Judged from outside: every code is
submitted, once, and soon after its push; of the marketing nothing is submitted twice, and nothing is forgotten.
"""

from __future__ import annotations

import argparse
import http.client
import json
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from rich.console import Console

from mgate.peers.fingerprint import Fingerprint
from mgate.peers.house import PASSWORD, SYSTEM_ID, Asker, HouseError, Instance, Running, Smsc
from mgate.peers.smsc.ledger import Submitted, read

SCRIPTS: Final = Path(__file__).resolve().parents[3] / "etc" / "smsc" / "hostile"
P99_LIMIT: Final = 0.050
_CALM: Final = f'[account]\nsystem_id = "{SYSTEM_ID}"\npassword = "{PASSWORD}"\n'
_EVERY: Final = 0.02
_SETTLED: Final = 15.0


class Felt(NamedTuple):
    """One trial.

    Attributes:
        p99: seconds from a push of a code to its submit, which all but one in a hundred need at most.
        missing: codes that were not submitted; ``doubled``: messages of either account that were taken twice.
        forgotten: marketing that the daemon does not know any more; ``tried``: submits that the hostile one saw.
    """

    script: str
    codes: int
    p99: float
    missing: int
    doubled: int
    forgotten: int
    tried: int

    @property
    def kept(self) -> bool:
        """Whether nothing was lost or sent twice; of time it says nothing."""
        return not (self.missing or self.doubled or self.forgotten)


def trial(script: Path, folder: Path, seconds: float) -> Felt:
    """Play one hostile operator. HouseError when the house does not stand."""
    key = folder / "key"
    key.write_bytes(b"of a trial")
    places = [folder / "good", folder / "bad"]
    for place in places:
        place.mkdir()
    running: list[Running] = []
    try:
        good = Smsc(places[0], _CALM, key)
        running.append(good)
        bad = Smsc(places[1], script.read_text(encoding="utf-8"), key)
        running.append(bad)
        instance = Instance(folder, good.port, window=20, binds=2)
        instance.settle(_second(bad.port, folder / "password"))
        daemon = instance.start()
        running.append(daemon)
        instance.wait_ready(daemon)
        pushed = _push(instance, seconds)
        _until(lambda: len(_taken(good.ledger)) >= len(pushed.codes), _SETTLED)
        forgotten = _forgotten(instance, pushed.marketing)
        daemon.stop()
    finally:
        for process in reversed(running):
            process.kill()
    return _judge(script.stem, pushed, (good.ledger, bad.ledger), Fingerprint.from_file(key), forgotten)


class _Pushed(NamedTuple):
    codes: dict[str, float]
    marketing: list[str]


def _second(port: int, password: Path) -> str:
    return f"""
[sms.bad]
host = "127.0.0.1"
port = {port}
system_id = "{SYSTEM_ID}"
password_file = "{password}"
plain_tcp = "a trial on one machine"
binds = 2
bad_password_wait = "5s"

[routes.codes]
classes = ["otp"]
accounts = ["op-a"]
priority = 1

[routes.rest]
accounts = ["bad"]
"""


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("mgate", timeout=10)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _push(instance: Instance, seconds: float) -> _Pushed:
    """Codes at an even pace, and a marketing message with each."""
    connection, pushed = _Unix(instance.push_socket), _Pushed({}, [])
    began = time.monotonic()
    for n in range(round(seconds / _EVERY)):
        time.sleep(max(0.0, began + n * _EVERY - time.monotonic()))
        at = time.time()
        _say(connection, f"code-{n}", "otp", f"Code {n:06d}", f"+3752911{n:05d}")
        pushed.codes[f"Code {n:06d}"] = at
        _say(connection, f"news-{n}", "marketing", f"News {n:06d}", f"+3752912{n:05d}")
        pushed.marketing.append(f"news-{n}")
    connection.close()
    return pushed


def _say(connection: _Unix, ref: str, traffic: str, text: str, to: str) -> None:
    message = {"ref": ref, "class": traffic, "text": text, "to": to, "sender": "EXBANK"}
    connection.request("POST", "/v1/messages", json.dumps(message), {"Content-Type": "application/json"})
    response = connection.getresponse()
    body = response.read()
    if response.status != http.client.ACCEPTED:
        raise HouseError(f"mgated answers {response.status} to a push: {body[:500]!r}")


def _taken(ledger: Path) -> list[Submitted]:
    return [row for row in read(ledger) if isinstance(row, Submitted) and not row.status]


def _forgotten(instance: Instance, refs: Sequence[str]) -> int:
    asker = Asker(instance.push_socket)
    unknown = sum(not asker.ask(ref) for ref in refs)
    asker.close()
    return unknown


def _judge(name: str, pushed: _Pushed, ledgers: Sequence[Path], prints: Fingerprint, forgotten: int) -> Felt:
    good, bad = (_taken(ledger) for ledger in ledgers)
    first: dict[str, float] = {}
    for row in good:
        first.setdefault(row.text, row.at)
    waits = sorted(
        first[mark] - at for text, at in pushed.codes.items() if (mark := prints.text(text)) in first
    )  # fmt: skip
    doubled = sum(count - 1 for rows in (good, bad) for count in Counter(row.text for row in rows).values())
    p99 = waits[min(len(waits) * 99 // 100, len(waits) - 1)] if waits else float("inf")
    tried = sum(isinstance(row, Submitted) for row in read(ledgers[1]))
    return Felt(name, len(pushed.codes), p99, len(pushed.codes) - len(waits), doubled, forgotten, tried)


def _until(question: Callable[[], bool], limit: float) -> None:
    deadline = time.monotonic() + limit
    while not question() and time.monotonic() < deadline:
        time.sleep(0.05)


def main(words: Sequence[str]) -> int:
    """`tools/torture hostile`: 0 when every trial kept its promises and its time, else 1."""
    parser = argparse.ArgumentParser("torture hostile", description="Hostile operators beside a healthy one.")
    parser.add_argument("names", nargs="*", help="names of etc/smsc/hostile; all without any")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each is played (10)")
    given = parser.parse_args(words)
    paths = [SCRIPTS / f"{name}.toml" for name in given.names] or sorted(SCRIPTS.glob("*.toml"))
    console, bad = Console(soft_wrap=True, highlight=False), 0
    for path in paths:
        with tempfile.TemporaryDirectory(prefix="mgh-") as folder:
            felt = trial(path, Path(folder), given.seconds)
        good = felt.kept and felt.p99 <= P99_LIMIT
        bad += not good
        console.print(
            f"{'ok    ' if good else 'FAILED'} {felt.script:<28} p99 {felt.p99 * 1000:.0f} ms  missing {felt.missing}"
            f"  doubled {felt.doubled}  forgotten {felt.forgotten}  tried {felt.tried}"
        )
    console.print(f"{len(paths)} operators, {bad} felt beside them")
    return 1 if bad else 0
