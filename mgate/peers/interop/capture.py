"""A run captured from the wire and decoded by Wireshark: every PDU of ours and of the operator's, by a foreign eye.

Hundreds of messages of every alphabet and length, receipts, messages from customers, throttling, refusals,
generic_nack, enquire_link and unbind from both sides. Then tshark must find no malformed packet, and must have seen
every PDU that our operator heard and every deliver_sm_resp that mgate heard of: so nothing was left out.
"""

import asyncio
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from mgate.channels.smpp.pdu import BIND_TRANSCEIVER, DELIVER_SM_RESP, SUBMIT_SM, command_name
from mgate.peers.fingerprint import Fingerprint
from mgate.peers.house import PASSWORD, SYSTEM_ID, HouseError, Instance, Smsc
from mgate.peers.interop.install import Missing
from mgate.peers.push import Plan, Pusher
from mgate.peers.smsc import ledger
from mgate.peers.told import ToldLedger
from mgate.peers.traffic import Maker, Mix

MESSAGES: Final = 400
_MIX: Final = Mix(parts={1: 0.6, 2: 0.25, 3: 0.15})
_SCRIPT: Final = f"""
seed = {{seed}}
order = "shuffled"
enquire_every = 1.0
[account]
system_id = "{SYSTEM_ID}"
password = "{PASSWORD}"
[latency]
submit = [0.0, 0.05]
[receipts]
delay = [0.05, 0.5]
states = {{{{ DELIVRD = 0.8, UNDELIV = 0.1, EXPIRED = 0.1 }}}}
duplicates = 0.05
intermediates = 0.1
before_response = 0.1
[throttling]
queue_full = 0.03
system_error = 0.02
[errors]
shares = {{{{ ESME_RSUBMITFAIL = 0.03 }}}}
[disconnects]
every = 4.0
how = "unbind"
[garbage]
every = 40
kinds = [{{kinds}}]
[inbound]
every = 0.2
text = "Привет 🎂"
"""
KINDS: Final = ("unknown-command", "nack-zero", "stray-response", "alert", "vendor-tlv")
_ODD: Final = 0x7FFFFF00  # from here on are what no operator should send, which its ledger does not have
_QUIET: Final = 6.0  # long enough for an enquire_link of ours
_LIMIT: Final = 90.0


class Seen(NamedTuple):
    """What tshark saw: PDUs by command (but for the odd ones), malformed frames, complaints of weight by words."""

    commands: Mapping[int, int]
    malformed: int
    complaints: Mapping[str, int]


def capture(folder: Path, seed: int, kinds: tuple[str, ...] = KINDS) -> tuple[Seen, Mapping[int, int]]:
    """Run, capture and decode in `folder`; what tshark saw, and what the operator heard by command.

    Raises:
        Missing: tshark is not installed, or may not capture here.
        HouseError: a process of the run did not do what it must.
    """
    for needed in ("tshark", "dumpcap"):
        if not shutil.which(needed):
            raise Missing(f"{needed} is not installed: run tools/interop install capture")
    key = folder / "hash.key"
    key.write_bytes(seed.to_bytes(8, "big"))
    words = ", ".join(f'"{kind}"' for kind in kinds)
    smsc = Smsc(folder, _SCRIPT.format(seed=seed, kinds=words).replace("{{", "{").replace("}}", "}"), key)
    try:
        instance = Instance(folder, smsc.port, window=10, binds=2)
        config = instance.path / "mgate.toml"
        config.write_text(config.read_text().replace("\nbinds = ", '\nenquire_link = "2s"\nbinds = '))
        pcap = folder / "run.pcapng"
        wire = _listen(pcap, smsc.port)
        try:
            _run(instance, folder, seed, smsc)
        finally:
            smsc.stop()
            wire.send_signal(signal.SIGINT)
            wire.wait(20)
    finally:
        smsc.kill()
    rows = Counter(type(row) for row in ledger.read(smsc.ledger))
    bound = sum(isinstance(row, ledger.Happened) and row.event == "bound" for row in ledger.read(smsc.ledger))
    # What our operator said while its client was leaving may not have left; what it heard was surely on the wire.
    heard = {SUBMIT_SM: rows[ledger.Submitted], DELIVER_SM_RESP: rows[ledger.Acknowledged], BIND_TRANSCEIVER: bound}
    return decode(pcap, smsc.port), heard


def _listen(pcap: Path, port: int) -> "subprocess.Popen[bytes]":
    command = ["dumpcap", "-q", "-i", "lo", "-f", f"tcp port {port}", "-w", str(pcap)]
    words = pcap.with_suffix(".words")
    with words.open("wb") as file:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file)  # noqa: S603
    until = time.monotonic() + 10
    while "File:" not in words.read_text():
        if process.poll() is not None or time.monotonic() > until:
            process.kill()
            raise Missing(f"dumpcap may not capture here; it says: {words.read_text().strip()}")
        time.sleep(0.02)
    return process


def _run(instance: Instance, folder: Path, seed: int, smsc: Smsc) -> None:
    """Push all, wait for the receipts and for a while of nothing, end in order."""
    daemon = instance.start()
    book = ToldLedger(folder / "told.ledger")
    try:
        instance.wait_ready(daemon)
        maker = Maker(seed, _MIX, Fingerprint.from_file(folder / "hash.key"))
        asyncio.run(Pusher(Plan(instance.push_socket, MESSAGES), maker, book).run(30.0))
        _settle(smsc)
        time.sleep(_QUIET)
        if daemon.stop():
            raise daemon.fault("did not end well")
    finally:
        book.close()
        if daemon.alive:
            daemon.kill()


def _settle(smsc: Smsc) -> None:
    """Wait until every message that the operator took has had its final receipt acknowledged."""
    until = time.monotonic() + _LIMIT
    while True:
        rows = list(ledger.read(smsc.ledger))
        taken = {row.id for row in rows if isinstance(row, ledger.Submitted) and row.id}
        final = {row.id for row in rows if isinstance(row, ledger.Acknowledged) and row.state not in {"ENROUTE", "MO"}}
        if len(taken) >= MESSAGES and taken <= final:
            return
        if time.monotonic() > until:
            raise HouseError(f"{len(taken - final)} of {len(taken)} messages have no receipt after {_LIMIT:g} s")
        time.sleep(0.2)


def decode(pcap: Path, port: int) -> Seen:
    """Have tshark read the capture."""
    commands: Counter[int] = Counter()
    for line in _tshark(pcap, port, "smpp", "smpp.command_id", "smpp.sequence_number"):
        pdus = zip(*(field.split(",") for field in line.split("\t")), strict=True)
        commands.update(int(command, 16) for command, sequence in pdus if int(sequence, 0) < _ODD)
    complaints = Counter(_tshark(pcap, port, "_ws.expert.severity >= 6291456 and smpp", "_ws.expert.message"))
    return Seen(commands, len(_tshark(pcap, port, "_ws.malformed", "frame.number")), complaints)


def _tshark(pcap: Path, port: int, wanted: str, *fields: str) -> list[str]:
    """A line of these fields for each frame that is wanted."""
    command = ["tshark", "-r", str(pcap), "-d", f"tcp.port=={port},smpp", "-Y", wanted, "-T", "fields"]
    command += [word for field in fields for word in ("-e", field)]
    told = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if told.returncode:
        raise Missing(f"tshark cannot read {pcap}: {told.stderr.strip()[-500:]}")
    return [line for line in told.stdout.splitlines() if line]


def faults(seen: Seen, heard: Mapping[int, int]) -> list[str]:
    """What speaks against us, a sentence each."""
    found = [f"{seen.malformed} malformed frames"] if seen.malformed else []
    found += [f"{count} times: {words}" for words, count in seen.complaints.items()]
    found += [
        f"tshark saw {seen.commands.get(command, 0)} {command_name(command)}, the operator heard {count}"
        for command, count in heard.items()
        if not 0 < count <= seen.commands.get(command, 0)
    ]
    return found
