"""A bare SMPP client that only makes load, to measure the operator alone.

It keeps a window of submits outstanding and answers every deliver_sm. A number that says how fast the house is means
nothing unless the operator is known to be faster.
"""

import asyncio
import time
from typing import NamedTuple

from mgate.channels.smpp.pdu import (
    BIND_TRANSCEIVER,
    BIND_TRANSCEIVER_RESP,
    DELIVER_SM,
    HEADER,
    SUBMIT_SM,
    SUBMIT_SM_RESP,
    Address,
    Framer,
    SubmitTemplate,
    pack_bind,
    pack_deliver_sm_resp,
    pack_message_reference,
)

SHARE_OF_WINDOW = 4


class Load(NamedTuple):
    """How much was done: submits answered, receipts acknowledged, and in how many seconds."""

    submits: int
    receipts: int
    seconds: float


class Esme(asyncio.Protocol):
    """One session. `done` is set when `messages` submits are answered and, if wanted, as many receipts have come."""

    def __init__(self, system_id: str, password: str, messages: int, window: int, receipts: bool) -> None:
        self._bind = pack_bind(BIND_TRANSCEIVER, 1, system_id, password)
        self._messages = messages
        self._window = window
        self._wanted = messages if receipts else 0
        self._framer = Framer()
        self._template = SubmitTemplate(Address(5, 0, "Example"))
        self._sent = 0
        self.answered = 0
        self.receipts = 0
        self.done = asyncio.Event()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Bind at once."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
            transport.write(self._bind)

    def data_received(self, data: bytes) -> None:
        """Count answers, answer receipts, refill the window: one write a read."""
        out: list[bytes] = []
        for frame in self._framer.feed(data):
            if frame.command == SUBMIT_SM_RESP:
                self.answered += 1
            elif frame.command == DELIVER_SM:
                self.receipts += 1
                out.append(pack_deliver_sm_resp(frame.sequence))
            elif frame.command == BIND_TRANSCEIVER_RESP and frame.status:
                self.done.set()
        # Refilled in portions, as a client with batches does; one PDU a read would measure the kernel.
        if self._sent - self.answered <= self._window - self._window // SHARE_OF_WINDOW:
            self._refill(out)
        if out and self._transport is not None:
            self._transport.write(b"".join(out))
        if self.answered >= self._messages and self.receipts >= self._wanted:
            self.done.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more will come."""
        self.done.set()

    def _refill(self, out: list[bytes]) -> None:
        while self._sent < self._messages and self._sent - self.answered < self._window:
            self._sent += 1
            number = b"3752911%05d" % (self._sent % 100000)
            text = b"Code 482913 for payment %08d at Example Bank. Tell it to nobody." % self._sent
            body = self._template.body(number, b"000000000300000R", text, pack_message_reference(self._sent & 0xFFFF))
            out.append(HEADER.pack(16 + len(body), SUBMIT_SM, 0, self._sent + 1) + body)


async def load(
    host: str, port: int, system_id: str, password: str, *, messages: int, window: int, receipts: bool
) -> Load:  # fmt: skip
    """Submit so many messages over one session; what was done when all were answered or the session ended."""
    began = time.perf_counter()
    esme = Esme(system_id, password, messages, window, receipts)
    transport, _ = await asyncio.get_running_loop().create_connection(lambda: esme, host, port)
    await esme.done.wait()
    transport.close()
    return Load(esme.answered, esme.receipts, time.perf_counter() - began)
