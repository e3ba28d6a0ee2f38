"""A push socket without a daemon behind it, which can be told to die."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import httptools
import pytest


class PushSocket:
    """Answers pushes from memory, as the documentation of the push socket says. `die_after`: hang up, without a word,
    after so many messages were taken; what was taken stays taken."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.taken: dict[str, dict[str, object]] = {}
        self.repeats = 0
        self.die_after = 0
        self.deaths = 0
        self.busy = 0
        self.breaks_off = 0
        self.answer: Callable[[dict[str, object], int], dict[str, object]] = self._accept

    async def serve(self) -> asyncio.AbstractServer:
        loop = asyncio.get_running_loop()
        return await loop.create_unix_server(lambda: _Connection(self), str(self.path))

    def dies(self) -> bool:
        if self.die_after and len(self.taken) >= self.die_after:
            self.die_after = 0
            self.deaths += 1
            return True
        return False

    def _accept(self, message: dict[str, object], line: int) -> dict[str, object]:
        ref = str(message["ref"])
        told: dict[str, object] = {"ref": ref, "line": line, "id": f"m{ref}", "state": "accepted", "parts": 1}
        if self.busy:
            self.busy -= 1
            return {"ref": ref, "line": line, "error": "busy", "detail": "come again"}
        if ref in self.taken:
            self.repeats += 1
            return {**told, "state": "ready", "duplicate": True}
        self.taken[ref] = message
        return told


class _Connection(asyncio.Protocol):
    def __init__(self, socket: PushSocket) -> None:
        self._socket = socket
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._body = b""
        self._line = 0
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._url, self._body, self._line = url, b"", 0
        if url.endswith(b":batch"):
            self.transport.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body += body
        if self._url.endswith(b":batch"):
            *lines, self._body = self._body.split(b"\n")
            out = b"".join(self._result(line) for line in lines)
            if self._socket.dies():
                self.transport.abort()
            elif out and self._socket.breaks_off:
                self._socket.breaks_off -= 1
                out += b'{"line":%d,"error":"too_slow","detail":"the batch was silent"}\n' % (self._line + 1)
                self.transport.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(out), out))
                self._url = b""
            elif out:
                self.transport.write(b"%x\r\n%s\r\n" % (len(out), out))

    def _result(self, line: bytes) -> bytes:
        self._line += 1
        return json.dumps(self._socket.answer(json.loads(line), self._line)).encode() + b"\n"

    def on_message_complete(self) -> None:
        if self._url.endswith(b":batch"):
            self.transport.write(b"0\r\n\r\n")
            return
        answer = self._socket.answer(json.loads(self._body), 0)
        if self._socket.dies():
            self.transport.abort()
            return
        status = b"503 Busy\r\nRetry-After: 0" if answer.get("error") == "busy" else b"202 Accepted"
        body = json.dumps(answer).encode()
        self.transport.write(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))


@pytest.fixture
def push_socket(tmp_path: Path) -> PushSocket:
    return PushSocket(tmp_path / "push.sock")
