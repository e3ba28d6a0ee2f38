"""Builds of mgate that are broken on purpose, each in one way: `python -m mgate.peers.torture.broken NAME --config F`.

The product is as delivered; a patch of one name is laid over it before the house is built, and the daemon runs. It is
the only module of the peers that knows the product's code, and it runs only inside a daemon of its own. The patches are
laid when the reactor is installed, because the modules that they change import it.
"""

import sqlite3
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

import msgspec

from mgate.channels.smpp.events import Token, Turn
from mgate.model.message import Outgoing, State, TrafficClass
from mgate.model.outcome import NotWritten, Outcome, Uncertain

LAG: Final = 0.05
"""Seconds by which what was told too early is done too late."""


def launcher(name: str) -> tuple[str, ...]:
    """The interpreter's arguments that run the build of this name."""
    return ("-m", __name__, name)


def _later(call: Callable[[], None]) -> None:
    from twisted.internet import reactor  # noqa: PLC0415  # exists only now

    reactor.callLater(LAG, call)


# ---- the patches ---------------------------------------------------------------------------------------------------


def acknowledged_before_commit() -> None:
    """A push is answered when it is asked for, and kept a moment later."""
    from mgate.spool import front, verbs  # noqa: PLC0415  # after the reactor

    real = front.Front.accept

    def accept(
        self: front.Front, messages: Sequence[verbs.NewMessage], done: Callable[[front.AcceptAnswer], None], *,
        urgent: bool,
    ) -> None:  # fmt: skip
        bare = [msgspec.structs.replace(message, slots=()) for message in messages]
        done([verbs.Kept(message.id, message.parts, False, State.READY, False) for message in messages])
        _later(lambda: real(self, bare, lambda _answer: None, urgent=urgent))

    front.Front.accept = accept  # type: ignore[method-assign]  # broken on purpose


def receipt_answered_before_commit() -> None:
    """A deliver_sm is answered when it is read, and kept a moment later."""
    from mgate.model.entry import Entry  # noqa: PLC0415  # after the reactor
    from mgate.spool import front  # noqa: PLC0415  # after the reactor

    real = front.Front.receive

    def receive(self: front.Front, entries: Sequence[Entry], done: Callable[[bool], None]) -> None:
        done(True)
        _later(lambda: real(self, entries, lambda _kept: None))

    front.Front.receive = receive  # type: ignore[method-assign]  # broken on purpose


def slot_freed_early() -> None:
    """A slot takes the next part as soon as its own is leased, so that the window bounds nothing.

    To free it when the answer is read, before the commit, would not be seen from outside any more: outcomes and leases
    share one queue, so no lease can reach the disk before the outcome that freed its slot.
    """
    from mgate.dispatch.slots import Slots  # noqa: PLC0415  # after the reactor

    Slots.room = lambda _self, binds, *_, **__: 1000 if binds else 0  # type: ignore[method-assign]  # broken on purpose
    Slots._room_on = lambda *_: 1000  # type: ignore[method-assign]  # noqa: SLF001  # the same


def synchronous_normal() -> None:
    """Commits are not synced, as SQLite does with synchronous=NORMAL in WAL mode."""

    class Hasty(sqlite3.Connection):
        def execute(self, sql: str, *given: object) -> sqlite3.Cursor:
            if "synchronous" in sql.lower():
                sql = "PRAGMA synchronous = NORMAL"
            return super().execute(sql, *given)  # type: ignore[arg-type]  # handed through

    real = sqlite3.connect

    def connect(*given: object, **named: object) -> sqlite3.Connection:
        return real(*given, **{**named, "factory": Hasty})  # type: ignore[call-overload,no-any-return]  # handed through

    sqlite3.connect = connect  # type: ignore[assignment]  # broken on purpose


def repeated_from_the_wrong_state() -> None:
    """What was open when the daemon died is sent again at once, of any class and without a mark, as if never leased."""
    from mgate.spool import ledger, lifecycle  # noqa: PLC0415  # after the reactor
    from mgate.spool.rows import Row  # noqa: PLC0415  # beside them

    real = lifecycle.advance

    def advance(state: State, event: lifecycle.Event) -> State:
        if state is State.LEASED and event is lifecycle.Event.LOSE_REPLY:
            return State.READY
        return real(state, event)

    ledger.advance = advance  # type: ignore[attr-defined]  # it only imports it

    doubt = ledger.Ledger.doubt

    def due_at_once(
        self: ledger.Ledger, row: Row, *, link_alive: bool, reason: str, routes: Sequence[str] = ()
    ) -> None:  # fmt: skip
        doubt(self, row, link_alive=link_alive, reason=reason, routes=routes)
        row.due = row.due or self.now  # what is never repeated has no moment for it

    ledger.Ledger.doubt = due_at_once  # type: ignore[method-assign]  # broken on purpose


def marketing_repeated() -> None:
    """The class that is never repeated has the rules of otp."""
    from mgate.policy.classes import RULES  # noqa: PLC0415  # beside the others

    RULES[TrafficClass.MARKETING] = RULES[TrafficClass.OTP]


def lost_link_returned() -> None:
    """What a lost link left unanswered is taken for not written, and leaves again without a mark."""
    from mgate.channels.smpp.channel import SmppChannel  # noqa: PLC0415  # after the reactor

    real = SmppChannel.ended

    def ended(self: SmppChannel, results: Sequence[tuple[Outgoing, Outcome]]) -> None:
        real(self, [(out, NotWritten("link_lost") if isinstance(one, Uncertain) else one) for out, one in results])

    SmppChannel.ended = ended  # type: ignore[method-assign]  # broken on purpose


def deaf_line_trusted() -> None:
    """A late answer asks nothing, so that receipts alone prove a line on which nobody hears us."""
    from mgate.channels.smpp.session import Session  # noqa: PLC0415  # after the reactor

    real = Session._watch  # noqa: SLF001  # broken on purpose

    def watch(self: Session[Token], turn: Turn[Token], now: float) -> None:
        self._doubted = False
        real(self, turn, now)

    Session._watch = watch  # type: ignore[method-assign]  # noqa: SLF001  # broken on purpose


def stopped_without_drain() -> None:
    """SIGTERM waits for no answer."""
    from mgate.dispatch.dispatcher import Dispatcher  # noqa: PLC0415  # after the reactor

    Dispatcher.drain = lambda _self, done, *_, **__: done(False)  # type: ignore[method-assign]  # broken on purpose


def timers_on_the_wall() -> None:
    """Timers follow the wall clock, as Twisted's do when they are left alone."""
    from twisted.internet import reactor  # noqa: PLC0415  # exists only now

    reactor.seconds = time.time  # type: ignore[method-assign]  # broken on purpose


def full_disk_ignored() -> None:
    """No push is refused early, and one that found no room is answered as if it had."""
    from mgate.intake.acceptance import Acceptance  # noqa: PLC0415  # after the reactor
    from mgate.model.entry import Submission  # noqa: PLC0415  # beside it
    from mgate.model.ports import Answer  # noqa: PLC0415  # beside it

    door = Acceptance.accept

    def let_in(
        self: Acceptance, submissions: Sequence[Submission], answer: Callable[[Sequence[Answer]], None]
    ) -> None:  # fmt: skip
        self._why_not = str  # broken on purpose: no reason
        door(self, submissions, answer)

    Acceptance.accept = let_in  # type: ignore[method-assign]  # broken on purpose
    _accepted_without_room()


def _accepted_without_room() -> None:
    """A push that was not kept is answered as if it had been."""
    from mgate.spool import front, verbs  # noqa: PLC0415  # after the reactor

    real = front.Front.accept

    def accept(
        self: front.Front, messages: Sequence[verbs.NewMessage], done: Callable[[front.AcceptAnswer], None], *,
        urgent: bool,
    ) -> None:  # fmt: skip
        def lie(answer: front.AcceptAnswer) -> None:
            if isinstance(answer, verbs.NotKept):
                done([verbs.Kept(message.id, message.parts, False, State.READY, False) for message in messages])
            else:
                done(answer)

        real(self, messages, lie, urgent=urgent)

    front.Front.accept = accept  # type: ignore[method-assign]  # broken on purpose


def errors_swallowed() -> None:
    """A commit that met an I/O error is rolled back, and its pushes are answered as if it had gone well.

    To tell its leases and outcomes as done besides would break the spool's own order, so that the next start may refuse
    it before anybody can be judged.
    """
    from mgate.spool import store  # noqa: PLC0415  # after the reactor
    from mgate.spool.engine import News, StoreBroken, StoreFull  # noqa: PLC0415  # after the reactor

    real = store.SqliteStore.flush

    def flush(self: store.SqliteStore) -> News:
        try:
            return real(self)
        except StoreBroken as error:
            raise StoreFull(str(error)) from error

    store.SqliteStore.flush = flush  # type: ignore[method-assign]  # broken on purpose
    _accepted_without_room()


def marked_before_commit() -> None:
    """Rows of a database are marked as taken when they are claimed, and taken a moment later."""
    import asyncio  # noqa: PLC0415  # after the reactor

    from mgate.intake import polling  # noqa: PLC0415  # after the reactor
    from mgate.model.source import Result, Row, SourceError  # noqa: PLC0415  # beside it

    real = polling.Poller._take  # noqa: SLF001  # broken on purpose

    async def take(self: polling.Poller, rows: Sequence[Row], before: Sequence[asyncio.Task[None]]) -> None:
        told = [Result(key=row.key, version=row.version, sequence=0, state="taken") for row in rows]
        with suppress(SourceError):
            await self._line.ack(told)  # broken on purpose
        await asyncio.sleep(10 * LAG)
        await real(self, rows, before)

    polling.Poller._take = take  # type: ignore[method-assign]  # noqa: SLF001  # broken on purpose


PATCHES: Final[Mapping[str, Callable[[], None]]] = {
    "acknowledged-before-commit": acknowledged_before_commit,
    "receipt-answered-before-commit": receipt_answered_before_commit,
    "slot-freed-early": slot_freed_early,
    "synchronous-normal": synchronous_normal,
    "repeated-from-the-wrong-state": repeated_from_the_wrong_state,
    "marketing-repeated": marketing_repeated,
    "lost-link-returned": lost_link_returned,
    "deaf-line-trusted": deaf_line_trusted,
    "stopped-without-drain": stopped_without_drain,
    "timers-on-the-wall": timers_on_the_wall,
    "full-disk-ignored": full_disk_ignored,
    "errors-swallowed": errors_swallowed,
    "marked-before-commit": marked_before_commit,
}


def main() -> None:
    """Run the daemon with the patch that the first argument names."""
    patch = PATCHES[sys.argv.pop(1)]
    from mgate.daemon import main as daemon  # noqa: PLC0415  # after the name was understood

    install = daemon.install_reactor

    def installed() -> object:
        reactor = install()
        patch()
        return reactor

    daemon.install_reactor = installed  # type: ignore[assignment]  # the one moment that is right for every patch
    daemon.main()


if __name__ == "__main__":
    main()
