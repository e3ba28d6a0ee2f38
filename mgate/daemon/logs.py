"""Foreign voices: what Twisted, asyncio, the standard library and the interpreter say goes into our log, scrubbed.

A traceback keeps its frames and the kind of its error; the values of locals never appear. The words of our own errors,
of the system and of SQLite are kept: they name places. Those of any other error are not, because a library may quote
what it was given, and that may be a customer's message.
"""

from __future__ import annotations

import logging
import sqlite3
import sys
import threading
import traceback
from types import TracebackType

from twisted.logger import ILogObserver, LogEvent, LogLevel, globalLogBeginner
from twisted.python.failure import Failure
from zope.interface import implementer

from mgate.telemetry import Event, Log


def listen(log: Log) -> None:
    """Let everything foreign speak through ``log``."""
    # To begin is to end Twisted's own beginning, which prints whole tracebacks beside ours.
    globalLogBeginner.beginLoggingTo([_Twisted(log)], discardBuffer=True, redirectStandardIO=False)
    # What nobody catches is printed with its words by the interpreter, unless it is told not to.
    threading.excepthook = lambda uncaught: bug(log, uncaught.exc_value, "in a thread")
    sys.excepthook = lambda _kind, error, _trace: bug(log, error, "uncaught")
    sys.unraisablehook = lambda uncaught: bug(log, uncaught.exc_value, "in a finalizer")
    root = logging.getLogger()
    root.handlers = [_Standard(log)]
    root.setLevel(logging.WARNING)
    # smpplib dumps whole PDUs, password and text included, at DEBUG.
    logging.getLogger("smpplib").setLevel(logging.CRITICAL)


def bug(log: Log, error: BaseException | None, what: str) -> None:
    """Log an error of ours: its kind and where it came from."""
    words = _words(error)
    detail = f"{what}: {words}" if words else what
    log(Event.BUG, error=type(error).__name__, detail=detail, frames=_frames(error.__traceback__ if error else None))


def _words(error: BaseException | None) -> str:
    ours = type(error).__module__.startswith("mgate.")
    return str(error) if ours or isinstance(error, OSError | sqlite3.Error) else ""


def standing(thread: int) -> list[str]:
    """Where a thread, by its ident, stands now."""
    frame = sys._current_frames().get(thread)  # noqa: SLF001  # nothing else tells of a thread that hangs
    return _places(traceback.extract_stack(frame)) if frame is not None else []


def _frames(trace: TracebackType | None) -> list[str]:
    return _places(traceback.extract_tb(trace))


def _places(found: traceback.StackSummary) -> list[str]:
    return [f"{frame.filename.rpartition('mgate/')[2]}:{frame.lineno} {frame.name}" for frame in found[-8:]]


@implementer(ILogObserver)
class _Twisted:
    def __init__(self, log: Log) -> None:
        self._log = log

    def __call__(self, event: LogEvent) -> None:
        level = event.get("log_level")
        failure = event.get("log_failure")
        if isinstance(failure, Failure):
            error = failure.value
            frames = _frames(None if error is None else error.__traceback__)
            self._log(Event.BUG, error=type(error).__name__, detail=_words(error), frames=frames)
        elif level in (LogLevel.warn, LogLevel.error, LogLevel.critical):
            kind = Event.FOREIGN_WARNING if level is LogLevel.warn else Event.FOREIGN_ERROR
            self._log(kind, source=str(event.get("log_namespace", "")), detail=str(event.get("log_format", "")))


class _Standard(logging.Handler):
    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        kind = Event.FOREIGN_ERROR if record.levelno >= logging.ERROR else Event.FOREIGN_WARNING
        # The format without its arguments: they are what a library was given. asyncio puts them into further lines.
        self._log(kind, source=record.name, detail=str(record.msg).partition("\n")[0])
