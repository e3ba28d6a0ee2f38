"""Death at a named point, for `tools/torture` alone.

``MGATE_CRASH_AT=name:count`` makes the daemon kill itself (SIGKILL) when it passes the point ``name`` for the
``count``-th time; with ``name:count:stop`` it stands still there (SIGSTOP), so that others can be killed meanwhile. The
points lie between what is written to the disk and what is said to the world, where a death does the most harm. Nothing
here is loaded unless the variable is set; then the methods are wrapped before the house is built, so that without it no
path, hot or cold, knows of them.
"""

from __future__ import annotations

import importlib
import inspect
import os
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final, NamedTuple

VARIABLE: Final = "MGATE_CRASH_AT"

_SUBMIT_SM: Final = 0x00000004
_DELIVER_SM_RESP: Final = 0x80000005


class Point(NamedTuple):
    """Where to die: before a method is entered, or after it has returned; of a coroutine, before and after its work.

    Attributes:
        module, owner, name: of the method; ``owner`` is empty for a function of the module.
        after: after it; else before.
        verb: only a flush of work that holds a verb of this name which is not empty.
        command: only a call whose first argument holds a PDU of this command id; ``after``: and of which some was sent.
        filled: only a call that has returned something that is not empty.
    """

    module: str
    owner: str
    name: str
    after: bool
    verb: str = ""
    command: int = -1
    filled: bool = False


_STORE: Final = ("mgate.spool.store", "SqliteStore")
_LINK: Final = ("mgate.channels.smpp.link", "Link")
_CHANNEL: Final = ("mgate.channels.smpp.channel", "SmppChannel")
_TO_OPERATOR: Final = ("twisted.internet.tcp", "Client", "writeSomeData")
_POLLER: Final = ("mgate.intake.polling", "Poller")
_WRITE_BACK: Final = ("mgate.feeds.writeback", "WriteBack")
_TO_CLIENT: Final = ("twisted.internet.unix", "Server", "writeSomeData")

POINTS: Final[dict[str, Point]] = {
    "keyring.before_copy": Point("mgate.seal.keyring", "", "write_copy", False),
    "keyring.after_copy": Point("mgate.seal.keyring", "", "write_copy", True),
    "start.before_sweep": Point(*_STORE, "sweep", False),
    "start.after_sweep": Point(*_STORE, "sweep", True),
    "start.before_bind": Point(*_CHANNEL, "start", False),
    "start.after_connect": Point(*_LINK, "connectionMade", True),
    "accept.before_commit": Point(*_STORE, "flush", False, "Accept"),
    "accept.after_commit": Point(*_STORE, "flush", True, "Accept"),
    "answer.before_write": Point(*_TO_CLIENT, False),
    "answer.after_write": Point(*_TO_CLIENT, True),
    "lease.before_commit": Point(*_STORE, "flush", False, "Lease"),
    "lease.after_commit": Point(*_STORE, "flush", True, "Lease"),
    "submit.before_render": Point(*_CHANNEL, "submit", False),
    "submit.before_write": Point(*_TO_OPERATOR, False, command=_SUBMIT_SM),
    "submit.after_write": Point(*_TO_OPERATOR, True, command=_SUBMIT_SM),
    "response.before_read": Point(*_LINK, "dataReceived", False),
    "response.after_read": Point(*_LINK, "dataReceived", True),
    "end.before_commit": Point(*_STORE, "flush", False, "Ends"),
    "end.after_commit": Point(*_STORE, "flush", True, "Ends"),
    "receipt.before_commit": Point(*_STORE, "flush", False, "Hear"),
    "receipt.after_commit": Point(*_STORE, "flush", True, "Hear"),
    "receipt.before_answer": Point(*_TO_OPERATOR, False, command=_DELIVER_SM_RESP),
    "receipt.after_answer": Point(*_TO_OPERATOR, True, command=_DELIVER_SM_RESP),
    "wake.before_commit": Point(*_STORE, "flush", False, "Wake"),
    "wake.after_commit": Point(*_STORE, "flush", True, "Wake"),
    "history.before_put": Point("mgate.spool.history", "HistoryWriter", "put", False),
    "history.after_put": Point("mgate.spool.history", "HistoryWriter", "put", True),
    "forget.before_commit": Point(*_STORE, "flush", False, "Forget"),
    "forget.after_commit": Point(*_STORE, "flush", True, "Forget"),
    "checkpoint.before": Point("mgate.spool.checkpoint", "Checkpointer", "step", False),
    "checkpoint.after": Point("mgate.spool.checkpoint", "Checkpointer", "step", True),
    "source.before_claim": Point("mgate.intake.line", "Line", "claim", False),
    "source.after_claim": Point("mgate.intake.line", "Line", "claim", True, filled=True),
    "source.before_mark": Point(*_POLLER, "_mark", False),
    "source.after_mark": Point(*_POLLER, "_mark", True),
    "source.before_result": Point(*_WRITE_BACK, "_write", False),
    "source.after_result": Point(*_WRITE_BACK, "_write", True),
    "stop.begun": Point("mgate.daemon.life", "Life", "stop", True),
    "stop.drained": Point(*_CHANNEL, "stop", False),
    "stop.unbound": Point("mgate.spool.service", "Writer", "stop", False),
    "stop.closed": Point(*_STORE, "close", True),
}


def arm(wish: str) -> None:
    """Have the daemon die as ``wish`` (``name:count``) says, or stand still (``name:count:stop``).

    Raises:
        ValueError: there is no such point, or the count is none.
    """
    name, _, times = wish.partition(":")
    count, _, how = times.partition(":")
    point = POINTS.get(name)
    if point is None or not count.isdigit() or not int(count) or how not in ("", "stop"):
        raise ValueError(f"{VARIABLE}={wish}: not name:count or name:count:stop of one of {', '.join(POINTS)}")
    left = iter(range(int(count), -1, -1))  # it stands still once, and goes on
    _wrap(point, lambda: (stand_still if how else die)() if next(left, 0) == 1 else None)


def die() -> None:
    """SIGKILL to ourselves; nothing after it runs."""
    os.kill(os.getpid(), signal.SIGKILL)


def stand_still() -> None:
    """SIGSTOP to ourselves; what is after it runs when somebody says SIGCONT."""
    os.kill(os.getpid(), signal.SIGSTOP)


def place(point: Point) -> tuple[object, Callable[..., object]]:
    """The class or module of a point, and what is called there.

    Raises:
        AttributeError, ImportError: the product has changed, and the point must be mended.
    """
    module = importlib.import_module(point.module)
    owner = getattr(module, point.owner) if point.owner else module
    return owner, getattr(owner, point.name)


def _wrap(point: Point, passed: Callable[[], None]) -> None:
    owner, real = place(point)
    worked = _listen_to_work(owner) if point.verb else []

    def before(given: tuple[object, ...]) -> bool:
        concerned = _concerns(point, given, worked)
        worked.clear()
        if concerned and not point.after:
            passed()
        return concerned and point.after

    def after(result: object) -> None:
        if (point.command < 0 or (isinstance(result, int) and result > 0)) and (result or not point.filled):
            passed()

    def wrapped(*given: object, **named: object) -> object:
        concerned = before(given)
        result = real(*given, **named)
        if concerned:
            after(result)
        return result

    async def awaited(*given: object, **named: object) -> object:
        concerned = before(given)
        work = real(*given, **named)
        result = await work if isinstance(work, Awaitable) else work
        if concerned:
            after(result)
        return result

    setattr(owner, point.name, awaited if inspect.iscoroutinefunction(real) else wrapped)


def _listen_to_work(store: object) -> list[object]:
    """The verbs that the store has worked on since its last flush, kept up to date."""
    real: Callable[..., object] = getattr(store, "work")  # noqa: B009  # whatever the store is
    worked: list[object] = []

    def work(self: object, verbs: Sequence[object], now: int) -> object:
        worked.extend(verbs)
        return real(self, verbs, now)

    setattr(store, "work", work)  # noqa: B010  # the same
    return worked


def _concerns(point: Point, given: tuple[object, ...], worked: Sequence[object]) -> bool:
    if point.verb:
        return any(type(verb).__name__ == point.verb and _filled(verb) for verb in worked)
    if point.command >= 0:
        octets = given[1]
        return isinstance(octets, bytes | bytearray | memoryview) and point.command in _commands(bytes(octets))
    return True


def _filled(verb: object) -> bool:
    """Whether a verb bears anything: an empty one is only a question whether all before it is on the disk."""
    fields = [getattr(verb, field) for field in getattr(verb, "__struct_fields__", ())]
    return all(field != () for field in fields)


def _commands(octets: bytes) -> Iterator[int]:
    """The command ids of the PDUs that begin in these octets (SMPP 3.4 section 3.2)."""
    at = 0
    while at + 8 <= len(octets):
        yield int.from_bytes(octets[at + 4 : at + 8], "big")
        at += max(int.from_bytes(octets[at : at + 4], "big"), 16)
