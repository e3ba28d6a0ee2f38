"""How mgatectl speaks to the daemon: HTTP/1.1 over the admin socket, with nothing but the standard library."""

from __future__ import annotations

import errno
import http.client
import socket
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from mgate.control.views import ErrorView

ANSWER_WITHIN: Final = 30.0
"""Seconds after which a daemon that says nothing is taken for hung."""

_T = TypeVar("_T")


class NotReachable(Exception):
    """There is no daemon at the socket, or it stopped answering. The sentence says what to do."""


class Refused(Exception):
    """The daemon said no.

    Attributes:
        status: the HTTP status.
        error: what it said, in the form of every refusal.
    """

    def __init__(self, status: int, error: ErrorView) -> None:
        where = f"{error.field}: " if error.field else ""
        super().__init__(f"{where}{error.detail} ({error.error})")
        self.status = status
        self.error = error


class _UnixConnection(http.client.HTTPConnection):
    """An HTTP connection whose address is a path."""

    def __init__(self, path: Path) -> None:
        super().__init__("mgate", timeout=ANSWER_WITHIN)
        self._path = path

    def connect(self) -> None:
        self.sock = _connect(self._path)


class Daemon:
    """The daemon behind one admin socket; keeps one connection and opens it anew where it was closed.

    Every method raises `NotReachable` and `Refused`.
    """

    def __init__(self, admin: Path) -> None:
        self._admin = admin
        self._connection = _UnixConnection(admin)

    def get(self, path: str, answer: type[_T], **query: str) -> _T:
        """Ask; ``answer`` is the type that is expected. Empty values of the query are left out."""
        asked = urlencode({name: value for name, value in query.items() if value})
        return self._call("GET", f"{path}?{asked}" if asked else path, answer)

    def post(self, path: str, answer: type[_T], body: object = None) -> _T:
        """Ask for something to be done."""
        return self._call("POST", path, answer, body)

    def delete(self, path: str, answer: type[_T]) -> _T:
        """Ask for something to end."""
        return self._call("DELETE", path, answer)

    def batch(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        """Send the lines to the batch door and yield its result lines, in order, while sending goes on."""
        return self.stream("/v1/messages:batch", lines)

    def stream(self, path: str, lines: Iterable[bytes]) -> Iterator[bytes]:
        """As ``batch``, to another door that takes lines and gives lines."""
        return self.upload(path, (line + b"\n" for line in lines))

    def upload(self, path: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Send a body piece by piece and yield the lines of the answer, while sending goes on.

        ``pieces`` is read on a thread of its own, because a client that sends all before it reads would be dropped.
        """
        with self._told():
            wire = _connect(self._admin)
        # A client's rate is kept by not reading: neither side may be hurried.
        wire.settimeout(None)
        sender = _Sender(wire, path, pieces)
        with wire:
            sender.start()
            try:
                with self._told():
                    yield from _result_lines(wire)
            except NotReachable:
                sender.stop()
                if sender.failure is not None:
                    raise sender.failure from None
                raise
            finally:
                sender.stop()

    def close(self) -> None:
        """Leave the connection."""
        self._connection.close()

    def _call(self, method: str, path: str, answer: type[_T], body: object = None) -> _T:
        content = b"" if body is None else msgspec.json.encode(body)
        headers = {"Content-Type": "application/json"} if content else {}
        with self._told():
            try:
                self._connection.request(method, path, content, headers)
                response = self._connection.getresponse()
                received = response.read()
            except (OSError, http.client.HTTPException):
                self._connection.close()
                raise
        if response.status >= 400:
            raise _refusal(response.status, received)
        try:
            return msgspec.json.decode(received, type=answer)
        except msgspec.DecodeError as error:
            raise NotReachable(f"{self._admin}: the daemon speaks another version of the API: {error}") from error

    def _told(self) -> _Told:
        return _Told(self._admin)


class _Told:
    """Turns what a socket may throw into a sentence for the operator."""

    def __init__(self, admin: Path) -> None:
        self._admin = admin

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError | http.client.HTTPException):
            raise NotReachable(f"{self._admin}: {_why(error)}") from error


class _WireBroke(Exception):
    """The socket failed, not the lines that were to be sent: those may come from a file that fails by itself."""


class _Sender(threading.Thread):
    """Sends the body of a batch, chunk by chunk."""

    def __init__(self, wire: socket.socket, path: str, pieces: Iterable[bytes]) -> None:
        super().__init__(name="batch", daemon=True)
        self._wire = wire
        self._path = path
        self._pieces = pieces
        self.failure: Exception | None = None

    def run(self) -> None:
        try:
            self._put(
                b"POST %b HTTP/1.1\r\nHost: mgate\r\nConnection: close\r\n"
                b"Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n" % self._path.encode("ascii")
            )
            for piece in filter(None, self._pieces):
                self._put(b"%x\r\n%b\r\n" % (len(piece), piece))
            self._put(b"0\r\n\r\n")
        except _WireBroke:
            # The reading side hears of it too, and knows better why.
            return
        except Exception as failure:  # noqa: BLE001  # told on the other thread, which raises it
            self.failure = failure
            self._end()

    def stop(self) -> None:
        """End the sending, whether it is done or not."""
        if self.is_alive():
            self._end()
            self.join(ANSWER_WITHIN)

    def _put(self, data: bytes) -> None:
        try:
            self._wire.sendall(data)
        except OSError as error:
            raise _WireBroke from error

    def _end(self) -> None:
        try:
            self._wire.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the daemon was quicker


def _result_lines(wire: socket.socket) -> Iterator[bytes]:
    with http.client.HTTPResponse(wire, method="POST") as response:
        response.begin()
        if response.status != 200:
            raise _refusal(response.status, response.read())
        rest = b""
        while data := response.read1(65_536):
            *lines, rest = (rest + data).split(b"\n")
            yield from lines
        if rest:
            raise http.client.IncompleteRead(rest)


def segment(text: str) -> str:
    """A text as one segment of a path."""
    return quote(text, safe=":")


def _connect(path: Path) -> socket.socket:
    wire = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        wire.settimeout(ANSWER_WITHIN)
        wire.connect(str(path))
    except OSError:
        wire.close()
        raise
    return wire


def _refusal(status: int, body: bytes) -> Refused:
    try:
        return Refused(status, msgspec.json.decode(body, type=ErrorView))
    except msgspec.DecodeError:
        return Refused(status, ErrorView("http", "", f"the daemon answered with HTTP status {status}"))


def _why(error: OSError | http.client.HTTPException) -> str:
    number = error.errno if isinstance(error, OSError) else None
    if number in {errno.ENOENT, errno.ECONNREFUSED}:
        return "the daemon is not running here: start mgated, or name another configuration with --config"
    if number in {errno.EACCES, errno.EPERM}:
        return "you may not use this socket: ask to be put into the group that [admin] names, or run this as its owner"
    if isinstance(error, TimeoutError):
        return f"the daemon has said nothing for {ANSWER_WITHIN:.0f} s: look at its log"
    return "the connection to the daemon broke; what was taken is in the spool: ask again when mgated runs"
