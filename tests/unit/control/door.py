"""A small real daemon's door: HTTP/1.1 over a UNIX socket, in a thread, with the paths that mgatectl asks."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

import msgspec

from mgate.control.views import (
    BindsView,
    BindView,
    FeedsView,
    FeedView,
    LaneView,
    QueueRow,
    QueueView,
    ReloadView,
    StatusView,
)
from mgate.model.message import MessageId, show_id
from mgate.model.view import AttemptView, EventView, MessageView

BEGIN = "2026-11-22T05:10:08.000Z"


def a_view(number: int, ref: str, to: str, state: str = "sent") -> MessageView:
    """A message as the daemon shows it; what it was given stands in it masked."""
    return MessageView(
        id=show_id(MessageId(1_795_324_208_062 << 20 | number)), ref=ref, client="local", traffic="otp",
        to=f"{to[:6]}*****{to[-2:]}", sender="Bank", state=state, reason="", parts=1, accepted_at=BEGIN, not_before="",
        expires_at="2026-11-22T05:13:08.000Z", ended_at="", may_have_been_sent=True, in_history=False, tags=(),
        part_states=(),
        attempts=(
            AttemptView(1, 1, "sms:op-a", 0, "in_doubt", "2026-11-22T05:10:08.100Z", "2026-11-22T05:10:18.100Z",
                        reason="response_timeout"),
            AttemptView(1, 2, "sms:op-a", 1, "delivered", "2026-11-22T05:10:23.200Z", "2026-11-22T05:10:23.300Z",
                        "2026-11-22T05:10:25.000Z", "DELIVRD err:000", repeat=True, operator_id="4A7F"),
        ),
        events=(
            EventView(1, "accepted", BEGIN),
            EventView(2, "uncertain", "2026-11-22T05:10:18.100Z", "response_timeout", may_have_been_sent=True),
            EventView(3, "delivered", "2026-11-22T05:10:25.000Z", may_have_been_sent=True),
        ),
    )  # fmt: skip


class Door(socketserver.ThreadingUnixStreamServer):
    """The daemon that is not there. What was asked stands in ``asked``; a test sets how it behaves.

    Attributes:
        polls: how often a message is asked for before it is delivered.
        break_after: a batch is cut off after so many results; 0: never.
    """

    daemon_threads = True
    block_on_close = True

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), _Answers)
        self.asked: list[str] = []
        self.pushed: list[dict[str, object]] = []
        self.messages: dict[str, MessageView] = {}
        self.paused: set[int] = set()
        self.polls = 0
        self.reload = ReloadView("mgate.toml", True, (), (), ())
        self.feeds: tuple[FeedView, ...] = (FeedView("local", "crm", "5f0c1de2a94b7730-2a", 7, BEGIN),)
        self.ways: dict[str, list[object]] = {"sources": [], "drops": [], "webhooks": []}
        self.replay = 1, 1
        self.break_after = 0
        self.evidence: dict[str, str] = {}
        self.public_key = ""
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away in the middle is what some tests want."""

    def push(self, line: bytes, number: int) -> dict[str, object]:
        """Take one message as the batch door does."""
        asked = json.loads(line)
        self.pushed.append(asked)
        known = next((view for view in self.messages.values() if view.ref == asked["ref"]), None)
        if known is not None:
            taken = {"ref": known.ref, "id": known.id, "state": known.state, "parts": 1, "duplicate": True}
            return {"line": number, **taken}
        if len(asked["to"]) < 10:
            error = {"error": "number_not_possible", "field": "to", "detail": "no mobile number has so many digits"}
            return {"line": number, "ref": asked["ref"], **error}
        view = a_view(len(self.messages), asked["ref"], asked["to"])
        self.messages[view.id] = view
        return {"line": number, "ref": view.ref, "id": view.id, "state": "accepted", "parts": 1}

    def show(self, message: str) -> MessageView | None:
        """One message; delivered when it was asked for often enough."""
        view = self.messages.get(message)
        if view is not None and sum(message in asked for asked in self.asked) > self.polls:
            view = msgspec.structs.replace(view, state="delivered")
        return view

    def binds(self) -> BindsView:
        """Two binds."""
        return BindsView(
            tuple(
                BindView("sms:op-a", index, "paused" if index in self.paused else "bound", BEGIN, "[::1]:2775", 10, 3,
                         0, "[red]nonsense", 70, 65)
                for index in (0, 1)
            )
        )  # fmt: skip

    def status(self) -> StatusView:
        """A daemon with something of everything."""
        lanes = (LaneView("sms:op-a", 1, 4, 75.0), LaneView("sms:op-a", 4, 0, 0.0))
        binds = self.binds().binds
        return StatusView(
            "0.1.0", "mgate", "running", 90_061.0, 9, 5, 1, 0.1, 5 << 20, 1 << 40, ("disk_low",), lanes, binds
        )


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Door

    def address_string(self) -> str:
        return "local"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name there
        return

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        self.server.asked.append(f"GET {self.path}")
        match url.path.split("/")[2:]:
            case ["status"]:
                self._say(200, self.server.status())
            case ["queue"]:
                row = QueueRow("sms:op-a", "otp", 1, "local", 4, 0, 1, 2, 0, 75.0)
                self._say(200, QueueView((row,)))
            case ["feeds"]:
                self._say(200, FeedsView(self.server.feeds))
            case ["binds"]:
                self._say(200, self.server.binds())
            case ["sources" | "drops" | "webhooks" as kind]:
                self._say(200, {kind: self.server.ways[kind]})
            case ["version"]:
                self._say(200, {"version": "0.1.0", "python": "3.11.2"})
            case ["messages"]:
                ref = parse_qs(url.query).get("ref", [""])[0]
                found = [view for view in self.server.messages.values() if not ref or view.ref == ref]
                self._say(200, {"messages": found})
            case ["messages", message, "evidence"] if message in self.server.evidence:
                self._say(200, {"document": self.server.evidence[message]})
            case ["public-key"]:
                self._say(200, {"public_key": self.server.public_key})
            case ["messages", message]:
                view = self.server.show(message)
                self._say(200, view) if view else self._refuse(404, "unknown_message", "there is no such message")
            case _:
                self._refuse(404, "unknown_path", "nothing is served at this path")

    def do_DELETE(self) -> None:
        message = self.path.rpartition("/")[2]
        if message in self.server.messages:
            self._refuse(409, "left", "the operator has taken it")
        else:
            self._say(200, {"id": message, "state": "cancelled"})

    def do_POST(self) -> None:
        self.server.asked.append(f"POST {self.path}")
        if self.path == "/v1/messages:batch":
            self._batch()
        elif self.path == "/v1/messages":
            result = self.server.push(self.rfile.read(int(self.headers["Content-Length"])), 1)
            self._say(422 if "error" in result else 202, result)
        elif self.path.startswith("/v1/webhooks/crm:replay"):
            events, runs = self.server.replay
            self._say(200, {"name": "crm", "dry_run": False, "runs": runs, "events": events, "begun": True})
        elif self.path.startswith("/v1/reload"):
            self._say(200, self.server.reload)
        elif self.path.startswith("/v1/binds/sms:op-a"):
            self.server.paused = {0, 1} if self.path.endswith("a:pause") else set()
            self._say(200, self.server.binds())
        else:
            self._refuse(404, "unknown_bind", "there is no such bind; known: sms:op-a/0, sms:op-a/1")

    def _batch(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number, line in enumerate(self._lines(), 1):
            result = msgspec.json.encode(self.server.push(line, number)) + b"\n"
            self.wfile.write(b"%x\r\n%b\r\n" % (len(result), result))
            if number == self.server.break_after:
                self.close_connection = True
                return
        self.wfile.write(b"0\r\n\r\n")
        self.close_connection = True

    def _lines(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size).removesuffix(b"\n")
            self.rfile.readline()

    def _say(self, status: int, answer: object) -> None:
        body = msgspec.json.encode(answer)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _refuse(self, status: int, error: str, detail: str) -> None:
        self._say(status, {"error": error, "field": "", "detail": detail})
