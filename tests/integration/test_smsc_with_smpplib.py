"""The scripted operator, as a process, against a client that nobody here wrote."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import smpplib.client
import smpplib.consts

from mgate.peers.smsc.ledger import Submitted, read

SCRIPT = """
port = 0
[account]
password = "demopass"
[ids]
start = 700
[receipts]
delay = [0.0, 0.05]
"""


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[int]:
    script = tmp_path / "script.toml"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "mgate.peers.smsc.main", str(script), "--ledger", str(tmp_path / "ledger")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline().rpartition(":")[2])
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0


def test_smpplibs_client_binds_submits_and_reads_its_receipts(operator: int, tmp_path: Path) -> None:
    client = smpplib.client.Client("127.0.0.1", operator, timeout=5, allow_unknown_opt_params=True)
    told: list[bytes] = []
    receipts: list[bytes] = []
    client.set_message_sent_handler(lambda pdu: told.append(pdu.message_id))
    client.set_message_received_handler(lambda pdu: receipts.append(pdu.short_message))
    client.connect()
    try:
        client.bind_transceiver(system_id="mgate", password="demopass")
        for code in range(3):
            client.send_message(
                source_addr_ton=smpplib.consts.SMPP_TON_ALNUM, source_addr="Example",
                dest_addr_ton=smpplib.consts.SMPP_TON_INTL, dest_addr_npi=smpplib.consts.SMPP_NPI_ISDN,
                destination_addr="375291110001", short_message=f"Code {code}".encode(), registered_delivery=True,
            )  # fmt: skip
        while len(told) < 3 or len(receipts) < 3:
            client.read_once()
        client.unbind()
    finally:
        client.disconnect()
    assert told == [b"700", b"701", b"702"]
    assert sorted(receipt.split()[0] for receipt in receipts) == [b"id:700", b"id:701", b"id:702"]
    rows = [row for row in read(tmp_path / "ledger") if isinstance(row, Submitted)]
    assert [row.id for row in rows] == ["700", "701", "702"]
    assert len({row.text for row in rows}) == 3
    assert len({row.to for row in rows}) == 1
