"""The twelve misuses of TLS against the gate, on real ports: no octet of HTTP for any of them, in either direction."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.asyncioreactor import AsyncioSelectorReactor

from mgate.config import Push, PushClient
from mgate.config.mtls import Address, PushMtls
from mgate.daemon.gate import Gate
from mgate.net.exchange import Request
from mgate.net.http import Listener as HttpListener
from mgate.net.routing import Route, Routes
from mgate.net.tls import Identity, Seen, Word
from mgate.telemetry import Log, Telemetry
from tests.conformance.tls import HEARD, Bank, Listen, Listener, ListenerClaims, bank

__all__ = ["bank"]


class TestTheGate(ListenerClaims):
    @pytest.fixture
    def listen(self, bank: Bank, tmp_path: Path) -> Iterator[Listen]:
        opened: list[Gate] = []
        loop = cast("AsyncioSelectorReactor", reactor)

        async def open_for(names: Sequence[str]) -> Listener:
            words: list[Word] = []
            asked: list[Request] = []
            port = free_port()
            mtls = PushMtls(listen=(Address("127.0.0.1", port),), tls="bank")
            client = PushClient(name="core", socket=tmp_path / "core.sock", certificates=tuple(names))

            def told(seen: Seen) -> None:
                words.append(seen.refusal.word)

            def answer(request: Request) -> None:
                asked.append(request)
                request.reply(200, HEARD)

            http = HttpListener(Routes([Route("GET", "/", answer)]), loop)
            identity = Identity(bank.tls(), loop, time.time, told)
            push = Push(mtls=mtls, clients=(client,))
            numbers, log = Telemetry("0", {}, ()).tls, Log(lambda line: None)
            gate = Gate(push, lambda: {"core": http}, {"bank": identity}.get, loop, numbers, log)
            gate.open()
            opened.append(gate)
            # A connection that was made has been counted by its listener, whether it asked anything or not.
            return Listener(
                port, words, lambda: bool(asked or http.connections), b"GET / HTTP/1.1\r\nHost: m\r\n\r\n", HEARD
            )

        yield open_for
        for gate in opened:
            for closing in gate.stop_listening():
                pytest_twisted.blockon(closing)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
