"""The log: every event and every field that a line may have, and the writing of it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from enum import Enum, IntEnum
from typing import Final, TypedDict, Unpack

import msgspec

from mgate.model.address import mask
from mgate.model.message import show_id


class Level(IntEnum):
    """How much an event matters. An ERROR wants a person."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


class Event(Enum):
    """Everything that can be logged: the word in the line, and its level."""

    STARTED = "started", Level.INFO
    READY = "ready", Level.INFO
    STOPPING = "stopping", Level.INFO
    STOPPED = "stopped", Level.INFO
    START_REFUSED = "start_refused", Level.ERROR
    ALARM_RAISED = "alarm_raised", Level.ERROR
    ALARM_CLEARED = "alarm_cleared", Level.INFO
    LOOP_LAGGED = "loop_lagged", Level.WARNING
    CLOCK_STEPPED = "clock_stepped", Level.WARNING
    LOOP_HUNG = "loop_hung", Level.ERROR
    CONFIG_REFUSED = "config_refused", Level.ERROR
    CONFIG_CHANGED = "config_changed", Level.INFO
    CONFIG_READ = "config_read", Level.INFO
    LOG_LINES_LOST = "log_lines_lost", Level.WARNING
    BUG = "bug", Level.ERROR
    FOREIGN_WARNING = "foreign_warning", Level.WARNING
    FOREIGN_ERROR = "foreign_error", Level.ERROR

    SPOOL_SWEPT = "spool_swept", Level.WARNING
    COMMIT_FAILED = "commit_failed", Level.ERROR
    RECORD_QUARANTINED = "record_quarantined", Level.ERROR
    KEYRING_MENDED = "keyring_mended", Level.WARNING
    HISTORY_DROPPED = "history_dropped", Level.INFO

    SOCKET_OPENED = "socket_opened", Level.INFO
    SOCKET_CLOSED = "socket_closed", Level.INFO
    CLIENT_CAME = "client_came", Level.INFO
    CLIENT_DISMISSED = "client_dismissed", Level.WARNING
    TLS_REFUSED = "tls_refused", Level.WARNING
    TLS_FILES_WRONG = "tls_files_wrong", Level.ERROR
    TLS_FILES_READ = "tls_files_read", Level.INFO
    CERTIFICATE_ENDS = "certificate_ends", Level.WARNING
    CERTIFICATE_ENDED = "certificate_ended", Level.ERROR
    CRL_STALE = "crl_stale", Level.ERROR

    BIND_CONNECTING = "bind_connecting", Level.DEBUG
    BIND_OPENED = "bind_opened", Level.INFO
    BIND_CLOSED = "bind_closed", Level.WARNING
    BIND_ENDED = "bind_ended", Level.INFO
    BIND_REFUSED = "bind_refused", Level.ERROR
    BIND_PAUSED = "bind_paused", Level.WARNING
    BIND_RESUMED = "bind_resumed", Level.INFO
    BIND_THROTTLED = "bind_throttled", Level.WARNING
    BIND_SUSPECT = "bind_suspect", Level.WARNING
    BIND_TRUSTED = "bind_trusted", Level.INFO
    RECEIPTS_MISSING = "receipts_missing", Level.ERROR
    RECEIPTS_BACK = "receipts_back", Level.INFO
    OPERATOR_CALLED = "operator_called", Level.INFO
    ROUTE_EMPTIED = "route_emptied", Level.WARNING
    SENDER_ENDS = "sender_ends", Level.WARNING
    ACCOUNT_CAME = "account_came", Level.INFO
    ACCOUNT_GONE = "account_gone", Level.INFO
    ROUTE_POOR = "route_poor", Level.ERROR
    ROUTE_WELL = "route_well", Level.INFO
    OPERATOR_BROKE_PROTOCOL = "operator_broke_protocol", Level.ERROR
    ANSWERS_LOST = "answers_lost", Level.WARNING

    SOURCE_FAILED = "source_failed", Level.ERROR
    SOURCE_WELL = "source_well", Level.INFO
    SOURCE_HELD = "source_held", Level.WARNING
    SOURCE_GOES_ON = "source_goes_on", Level.INFO
    SOURCE_PAUSED = "source_paused", Level.WARNING
    SOURCE_RESUMED = "source_resumed", Level.INFO
    SOURCE_ROW_STUCK = "source_row_stuck", Level.ERROR

    WRITEBACK_FAILED = "writeback_failed", Level.WARNING
    WRITEBACK_WELL = "writeback_well", Level.INFO
    WRITEBACK_REFUSED = "writeback_refused", Level.ERROR
    WEBHOOK_FAILED = "webhook_failed", Level.WARNING
    WEBHOOK_WELL = "webhook_well", Level.INFO
    WEBHOOK_DEAD = "webhook_dead", Level.ERROR
    WEBHOOK_REPLAYED = "webhook_replayed", Level.INFO
    EVENTS_LOST = "events_lost", Level.ERROR

    DROP_CLAIMED = "drop_claimed", Level.INFO
    DROP_TAKEN = "drop_taken", Level.INFO
    DROP_REFUSED = "drop_refused", Level.WARNING
    DROP_FINAL = "drop_final", Level.INFO
    DROP_FAILED = "drop_failed", Level.ERROR
    DROP_WELL = "drop_well", Level.INFO

    RECKONED = "reckoned", Level.INFO
    RECKONING_FAILED = "reckoning_failed", Level.ERROR

    GUARD_REFUSED = "guard_refused", Level.WARNING
    RANGE_PUMPED = "range_pumped", Level.ERROR
    GUARDS_NOT_KEPT = "guards_not_kept", Level.WARNING

    ADMIN_ACT = "admin_act", Level.INFO
    MESSAGE_CANCELLED = "message_cancelled", Level.INFO

    def __init__(self, word: str, level: Level) -> None:
        self.word = word
        self.level = level


class Fields(TypedDict, total=False):
    """Everything that an event may carry. ``message`` is an id and is shown as outside; the rest stands as it is.

    ``certificate`` is a fingerprint, never more of it.
    """

    message: int
    route: str
    bind: int
    client: str
    certificate: str
    state: str
    outcome: str
    reason: str
    status: str
    alarm: str
    error: str
    detail: str
    source: str
    frames: list[str]
    path: str
    peer: str
    version: str
    instance: str
    uid: int
    pid: int
    count: int
    octets: int
    seconds: float


_NUMBER_LIKE: Final = re.compile(r"\bsha256:[0-9a-f]{64}\b|\+?[0-9]{9,}", re.ASCII)
"""What may be a phone number; the fingerprint of a certificate is none, whatever digits it has."""
_MAY_HOLD_DIGITS: Final = frozenset({"path", "frames", "certificate"})


class Log:
    """Writes one JSON line an event.

    Args:
        write: takes a line as bytes; an OSError of it is counted, never raised: a full log must stop nothing. The
            first line that can be written again is followed by how many were lost.
        level: events below it are not written.
        now: seconds since 1970.
    """

    def __init__(
        self, write: Callable[[bytes], object], level: Level = Level.INFO, now: Callable[[], float] = time.time
    ) -> None:
        self._write = write
        self._level = level
        self._now = now
        self._encode = msgspec.json.Encoder().encode
        self._lost = 0

    def apply(self, level: Level) -> None:
        """Write no events below this level from now on."""
        self._level = level

    def __call__(self, event: Event, **fields: Unpack[Fields]) -> None:
        """Log an event."""
        if event.level >= self._level and self._put(event, fields) and self._lost:
            lost, self._lost = self._lost, 0
            self._put(Event.LOG_LINES_LOST, {"count": lost})

    def _put(self, event: Event, fields: Fields) -> bool:
        line: dict[str, object] = {"at": _utc(self._now()), "level": event.level.name.lower(), "event": event.word}
        line.update((name, _shown(name, value)) for name, value in fields.items())
        try:
            self._write(self._encode(line) + b"\n")
        except OSError:
            self._lost += 1
            return False
        return True


def scrub(text: str) -> str:
    """A text of foreign origin with every run of digits masked that could be a phone number."""
    return _NUMBER_LIKE.sub(lambda found: found[0] if found[0].startswith("sha256:") else mask(found[0]), text)


def _shown(name: str, value: object) -> object:
    if name == "message" and isinstance(value, int):
        return show_id(value)
    return scrub(value) if isinstance(value, str) and name not in _MAY_HOLD_DIGITS else value


def _utc(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at * 1000) % 1000:03d}Z"
