"""The npm package `smpp` as an oracle: a node process that answers questions about octets."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PEERS = Path(__file__).resolve().parent


class NodeOracle:
    """Asks the node process, one line a question."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def _ask(self, **question: object) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer

    def pack(self, command: str, **fields: object) -> bytes:
        sent = {name: {"hex": value.hex()} if isinstance(value, bytes) else value for name, value in fields.items()}
        return bytes.fromhex(self._ask(pack=command, fields=sent)["hex"])

    def parse(self, pdu: bytes) -> tuple[str, dict[str, Any]]:
        answer = self._ask(parse=pdu.hex())
        fields = {
            name: bytes.fromhex(value["hex"]) if isinstance(value, dict) else value
            for name, value in answer["fields"].items()
        }
        return answer["command"], fields

    def gsm(self, text: str) -> bytes:
        return bytes.fromhex(self._ask(gsm=text)["hex"])

    def ungsm(self, octets: bytes) -> str:
        return str(self._ask(ungsm=octets.hex())["text"])

    def fits_gsm(self, text: str) -> bool:
        return bool(self._ask(fits=text)["gsm"])


def running() -> Iterator[NodeOracle]:
    """Starts node, yields the oracle, ends node."""
    program = shutil.which("node")
    assert program, "node is missing: install it (Debian: apt-get install nodejs npm), or run tools/check, which does"
    assert (PEERS / "node_modules" / "smpp").is_dir(), f"the npm package smpp is missing: run `npm ci` in {PEERS}"
    with subprocess.Popen(
        [program, str(PEERS / "oracle.js")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield NodeOracle(process)
        assert process.stdin is not None
        process.stdin.close()
        process.wait(10)
