"""schemathesis over the push API: requests made from the document, answers held to it, over the bridge."""

import asyncio
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from mgate.peers.house import PASSWORD, SYSTEM_ID, Instance, Smsc
from mgate.peers.interop.bridge import bridge
from mgate.peers.interop.install import program
from mgate.peers.places import Place, Port, with_tls

_SCRIPT: Final = f'[account]\nsystem_id = "{SYSTEM_ID}"\npassword = "{PASSWORD}"\n'
_CLIENT: Final = "[push.clients.local]"
DOCUMENT: Final = Path("docs/openapi.json")
PEERS: Final = Path("tests/peers")
RULES: Final = PEERS / "schemathesis.toml"


def schema(folder: Path, seed: int, examples: int, more: Sequence[str] = (), *, tls: bool = False) -> int:
    """Run it against a real daemon, by its socket or over mutual TLS; its exit status, 0 when nothing was found.

    Raises:
        Missing: schemathesis is not installed.
        HouseError: a process of ours did not do what it must, or the daemon did not live to the end.
    """
    tool = program("schema", "schemathesis")
    key = folder / "hash.key"
    key.write_bytes(b"schema")
    smsc = Smsc(folder, _SCRIPT, key)
    try:
        instance = Instance(folder, smsc.port, window=10, binds=1)
        config = instance.path / "mgate.toml"
        config.write_text(config.read_text().replace(_CLIENT, f'{_CLIENT}\ndefault_sender = "ExampleBank"'))
        port = with_tls(folder, instance) if tls else None
        daemon = instance.start()
        try:
            instance.wait_ready(daemon)
            command = [str(tool), "--config-file", str(RULES.absolute()), "run", str(DOCUMENT.absolute())]
            command += ["--seed", str(seed), "--max-examples", str(examples), *more]
            status = asyncio.run(_ask(port or instance.push_socket, command, folder))
            if daemon.stop():
                raise daemon.fault("did not end well after the trial")
        finally:
            if daemon.alive:
                daemon.kill()
    finally:
        smsc.stop()
    return status


async def _ask(place: Place, command: Sequence[str], folder: Path) -> int:
    if isinstance(place, Port):
        shown = ["--tls-verify", str(place.authority), "--request-cert", str(place.certificate)]
        url = f"https://{place.name}:{place.port}"
        return await _run([*command, *shown, "--request-cert-key", str(place.key), "--url", url], folder)
    async with bridge(place) as port:
        return await _run([*command, "--url", f"http://127.0.0.1:{port}"], folder)


async def _run(command: Sequence[str], folder: Path) -> int:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=subprocess.DEVNULL,
        cwd=folder,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "schemathesis_hooks", "PYTHONPATH": str(PEERS.absolute())},
    )
    try:
        return await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
