"""What the trials with foreign programs stand on: the bridge, the count of what tshark saw, and what is missing."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mgate.channels.smpp.pdu import DELIVER_SM, SUBMIT_SM, Address, pack_deliver_sm
from mgate.peers.interop import install, main
from mgate.peers.interop.bridge import bridge
from mgate.peers.interop.capture import Seen, decode, faults

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bytes]]


def apart(act: Coroutine[object, object, bytes]) -> bytes:
    """Run it where the reactor of the test run does not own the loop."""
    with ThreadPoolExecutor(1) as other:
        return other.submit(asyncio.run, act).result()


def through(folder: Path, talk: Talk) -> bytes:
    """What `talk` says of a conversation over the bridge with a server that answers with what it heard, reversed."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read())[::-1])
        writer.close()
        await writer.wait_closed()

    async def run() -> bytes:
        server = await asyncio.start_unix_server(answer, str(folder / "s"))
        async with server, bridge(folder / "s") as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                return await talk(reader, writer)
            finally:
                writer.close()
                await writer.wait_closed()

    return apart(run())


def test_the_bridge_carries_every_octet_both_ways_and_each_end(tmp_path: Path) -> None:
    sent = bytes(range(256)) * 4000

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(sent)
        writer.write_eof()
        return await reader.read()

    assert through(tmp_path, talk) == sent[::-1]


def test_a_bridge_to_nobody_hangs_up(tmp_path: Path) -> None:
    async def run() -> bytes:
        async with bridge(tmp_path / "nobody") as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                return await reader.read()
            finally:
                writer.close()
                await writer.wait_closed()

    assert apart(run()) == b""


@pytest.mark.parametrize(
    ("seen", "fault"),
    [
        (Seen({SUBMIT_SM: 5}, 0, {}), ""),
        (Seen({SUBMIT_SM: 6}, 0, {}), ""),
        (Seen({SUBMIT_SM: 5}, 1, {}), "1 malformed frames"),
        (Seen({SUBMIT_SM: 4}, 0, {}), "tshark saw 4 submit_sm, the operator heard 5"),
        (Seen({}, 0, {}), "tshark saw 0 submit_sm, the operator heard 5"),
        (Seen({SUBMIT_SM: 5}, 0, {"a bad length": 2}), "2 times: a bad length"),
    ],
)
def test_what_tshark_saw_is_held_against_what_was_heard(seen: Seen, fault: str) -> None:
    assert faults(seen, {SUBMIT_SM: 5}) == ([fault] if fault else [])


def test_a_run_in_which_nothing_was_heard_proves_nothing() -> None:
    assert faults(Seen({}, 0, {}), {SUBMIT_SM: 0})


@pytest.mark.skipif(not (shutil.which("tshark") and shutil.which("text2pcap")), reason="tshark is not installed")
@pytest.mark.parametrize(("cut", "malformed"), [(0, 0), (3, 1)])
def test_tshark_finds_a_pdu_whose_body_ends_before_its_fields_do(tmp_path: Path, cut: int, malformed: int) -> None:
    whole = pack_deliver_sm(1, Address(1, 1, "375291110001"), Address(5, 0, "ExampleBank"), short_message=b"STOP")
    size = len(whole) - cut
    octets = size.to_bytes(4, "big") + whole[4:size]
    (tmp_path / "hex").write_text("0000 " + octets.hex(" ") + "\n")
    command = ["text2pcap", "-q", "-T", "40000,2775", str(tmp_path / "hex"), str(tmp_path / "one.pcap")]
    subprocess.run(command, check=True, capture_output=True)
    seen = decode(tmp_path / "one.pcap", 2775)
    assert seen.malformed == malformed
    assert seen.commands == {DELIVER_SM: 1}


def test_what_is_missing_is_said_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(install, "PLACE", tmp_path)
    monkeypatch.setattr("sys.argv", ["tools/interop", "schema", "--folder", str(tmp_path / "f")])
    assert main.main() == main.CANNOT
    assert "schemathesis is not installed: run tools/interop install schema" in capsys.readouterr().out
