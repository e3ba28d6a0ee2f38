"""The spool as the rooms above see it: messages, leases, outcomes and receipts in; answers after the commit.

Everything here runs on the reactor's thread, in batches; records are sealed on the way in and opened on the way out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from mgate.model.entry import Entry, Inbound, Receipt
from mgate.model.message import Outgoing
from mgate.model.outcome import Outcome, Rejected
from mgate.model.ready import Ask, Mark, Ready, Stranded
from mgate.seal.errors import SealError
from mgate.spool.engine import Queued, Reader, Record
from mgate.spool.sealing import Sealing
from mgate.spool.service import Asker, Writer
from mgate.spool.verbs import (
    Accept,
    Ack,
    Acked,
    Bury,
    Cancel,
    Cancelled,
    Clash,
    End,
    Ends,
    Fit,
    Forget,
    Hear,
    KeepInbound,
    Kept,
    Lease,
    Leased,
    Move,
    NewMessage,
    NotKept,
    Result,
    Trim,
    Wake,
    Wish,
    Woken,
)

_T = TypeVar("_T")

LeaseAnswer = Sequence[Outgoing | None] | NotKept
AcceptAnswer = Sequence[Kept | Clash] | NotKept


class Front:
    """The verbs of the spool.

    Args:
        wall: seconds since 1970.
        fits: told how the receipts of an account fitted, for the counters.
        on_damaged: told of a part whose record cannot be opened; the part ends undelivered and the service goes on.
    """

    def __init__(  # built once, by wiring
        self,
        writer: Writer,
        asker: Asker,
        sealing: Sealing,
        wall: Callable[[], float],
        fits: Callable[[str, Sequence[Fit]], None],
        on_damaged: Callable[[int, SealError], None],
    ) -> None:
        self._writer = writer
        self._asker = asker
        self._sealing = sealing
        self._wall = wall
        self._fits = fits
        self._on_damaged = on_damaged

    @property
    def run(self) -> int:
        """How many messages one call of ``accept`` should have at most now."""
        return self._writer.run

    # ---- acceptance ------------------------------------------------------------------------------------------------

    def accept(self, messages: Sequence[NewMessage], done: Callable[[AcceptAnswer], None], *, urgent: bool) -> None:
        """Keep these messages; urgent ones go before what else waits for a commit."""
        rows = sum(message.parts for message in messages)
        self._writer.put(Accept(tuple(messages)), rows, _typed(done), urgent=urgent)

    # ---- the way out -----------------------------------------------------------------------------------------------

    def lease(self, wishes: Sequence[Wish], done: Callable[[LeaseAnswer], None]) -> None:
        """Mark these parts as leaving; answered opened and ready to be written, None for what is not to leave."""

        def marked(result: Result) -> None:
            if isinstance(result, NotKept):
                done(result)
            elif isinstance(result, tuple):
                done(self._open(result, wishes))

        self._writer.put(Lease(tuple(wishes)), len(wishes), marked)

    def _open(self, result: Sequence[object], wishes: Sequence[Wish]) -> list[Outgoing | None]:
        outgoing = self._sealing.outgoing
        opened: list[Outgoing | None] = []
        for leased, wish in zip(result, wishes, strict=True):
            out = None
            if isinstance(leased, Leased):
                try:
                    out = outgoing(leased, wish.slot)
                except SealError as error:
                    self._damaged(leased, error)
            opened.append(out)
        return opened

    def _damaged(self, leased: Leased, error: SealError) -> None:
        """Its slot is given back at once, but its outcome stands in the writer's first line before any later lease."""
        self._on_damaged(leased.part, error)
        end = End(leased.part, leased.attempt, Rejected("damaged_record"), b"", b"")
        self._writer.put(Ends((end,)), 1, _ignore)

    def end(self, results: Sequence[tuple[Outgoing, Outcome]], done: Callable[[int | NotKept], None]) -> None:
        """Write down how these attempts ended; answered when it is on the disk, however long a full disk makes that."""
        ends = tuple(self._sealing.end(out, outcome) for out, outcome in results)
        self._writer.put(Ends(ends), len(ends), _typed(done))

    def ready(self, ask: Ask, done: Callable[[Ready], None]) -> None:
        """What may leave now in one lane."""
        now = int(self._wall() * 1000)
        self._asker.ask(lambda reader: reader.ready(ask, now), done, Ready((), 0.0))

    def stranded(
        self, route: str, lane: int, after: Mark, limit: int, done: Callable[[Sequence[Stranded]], None]
    ) -> None:  # fmt: skip
        """The next parts that wait in a lane, from behind that place on, opened as far as a choice of route needs it.
        What cannot be opened is left out: its lease will tell."""
        now = int(self._wall() * 1000)

        def question(reader: Reader) -> tuple[list[Queued], list[Record]]:
            found = reader.queued(route, lane, after, limit, now)
            return found, reader.records(list({one.mark.part - one.n + 1: None for one in found}))

        def told(answer: tuple[list[Queued], list[Record]]) -> None:
            found, records = answer
            by_head = {record.rows[0].id: record for record in records}
            pairs = ((one.mark, by_head.get(one.mark.part - one.n + 1)) for one in found)
            opened = (self._strand(mark, record) for mark, record in pairs if record is not None)
            done([one for one in opened if one is not None])

        nothing: tuple[list[Queued], list[Record]] = ([], [])
        self._asker.ask(question, told, nothing)

    def _strand(self, mark: Mark, record: Record) -> Stranded | None:
        head = record.rows[0]
        try:
            envelope = self._sealing.envelope(head, record.envelope)
            text = self._sealing.text(head, envelope, record.body)
        except SealError:
            return None
        return Stranded(mark, head.traffic, envelope.to, envelope.sender, envelope.tags, text)

    def routes(self, done: Callable[[Sequence[str]], None]) -> None:
        """The routes on which anything waits."""
        nothing: Sequence[str] = ()
        self._asker.ask(lambda reader: reader.routes(), done, nothing)

    def move(self, move: Move, done: Callable[[int | NotKept], None]) -> None:
        """Take messages to other routes; answered by the number of parts that went."""
        self._writer.put(move, len(move.shifts), _typed(done))

    # ---- what operators send back ----------------------------------------------------------------------------------

    def receive(self, entries: Sequence[Entry], done: Callable[[bool], None]) -> None:
        """See ``model.ports.Receiver``; the entries of one call are of one account."""
        heard = [entry for entry in entries if isinstance(entry, Receipt)]
        receipts = tuple(map(self._sealing.heard, heard))
        now = self._wall()
        inbound = tuple(self._sealing.inbound(entry, now) for entry in entries if isinstance(entry, Inbound))
        open_jobs = [job for job in (receipts, inbound) if job]
        kept: list[bool] = []

        def one(result: Result) -> None:
            if isinstance(result, tuple):
                self._fits(heard[0].account, [fit for fit in result if isinstance(fit, Fit)])
            kept.append(not isinstance(result, NotKept))
            if len(kept) == len(open_jobs):
                done(all(kept))

        if receipts:
            self._writer.put(Hear(receipts), len(receipts), one, urgent=True)
        if inbound:
            self._writer.put(KeepInbound(inbound), len(inbound), one, urgent=True)
        if not open_jobs:
            done(True)

    # ---- wishes and time -------------------------------------------------------------------------------------------

    def cancel(self, message: int, client: str, reason: str, done: Callable[[Cancelled | NotKept], None]) -> None:
        """Cancel what has not left; an empty client is an administrator."""
        self._writer.put(Cancel(message, client, reason), 1, _typed(done), urgent=True)

    def wake(self, limit: int, done: Callable[[Woken | NotKept], None]) -> None:
        """Do what the clock asks for."""
        self._writer.put(Wake(limit), 1, _typed(done))

    def forget(self, messages: Sequence[tuple[int, int]], done: Callable[[int | NotKept], None]) -> None:
        """Take messages out that history has."""
        self._writer.put(Forget(tuple(messages)), len(messages), _typed(done))

    def trim(self, trim: Trim, done: Callable[[int | NotKept], None]) -> None:
        """Drop what is only kept for a while."""
        self._writer.put(trim, trim.limit, _typed(done))

    def acknowledge(self, ack: Ack, done: Callable[[Acked | NotKept], None]) -> None:
        """A feed has what the journal holds up to a cursor."""
        self._writer.put(ack, 1, _typed(done), urgent=True)

    def bury(self, bury: Bury, done: Callable[[int | NotKept], None]) -> None:
        """A feed gives events up, or takes them up again."""
        self._writer.put(bury, 1, _typed(done), urgent=True)

    def tidy(self) -> None:
        """Let the store tidy up when nothing else is to be done."""
        self._writer.tidy()

    def settled(self, done: Callable[[], None]) -> None:
        """Answered when everything put before is on the disk, or was refused."""
        self._writer.put(Ends(()), 0, lambda _result: done())

    def ask(self, question: Callable[[Reader], _T], answer: Callable[[_T], None], otherwise: _T) -> None:
        """Ask the reader anything; ``otherwise`` is the answer when it cannot be answered."""
        self._asker.ask(question, answer, otherwise)


def _typed(done: Callable[[_T], None]) -> Callable[[Result], None]:
    """Each verb has its own kind of result; ``Turn`` pairs them, and the conformance suite proves it."""
    return done  # type: ignore[return-value]  # see above


def _ignore(_result: Result) -> None:
    pass
