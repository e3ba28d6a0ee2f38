"""An SMPP session without I/O: octets and moments in, events and octets out (SMPP 3.4, sections 2.2 to 2.9 and 7.2).

One session is one connection; after its end make another. Moments are seconds of a clock that never steps back.

*Window.* The session keeps no limit of its own: who submits holds slots, and has as many requests open as it has slots.
Every token handed to `submit` comes back exactly once in an `Ended`.

*Written or not.* A submit counts as written from the moment `take` hands out its octets. What was taken and never
answered is Uncertain; what was never taken is NotWritten. There is nothing in between, so nobody else may guess. Once
the session ends or the peer unbinds, no more submits are handed out.

*Late answers.* A submit that times out leaves a tombstone as long as the session lasts: when its answer comes after
all, it is told as `Late`, for the operator's id is worth having. Its sequence number is not used again before.

*Life.* Every PDU is a sign of life. After `enquire_every` seconds without one an enquire_link goes out, and at once
when a submit times out: only a response shows that we are heard, and receipts may go on coming on a line that swallows
all we say. When `response_limit` passes without any, the link is dead. The limits of bind and unbind run whatever else
comes in.

*Time.* Requests time out in the order in which they were submitted, so one queue and one deadline serve them all.

*Cost.* What comes thousands of times a second is one short branch of `receive`: a plain acceptance and a receipt in the
usual form. Whatever differs in anything goes the long way, which gives the same answer for those two.
"""

from collections import deque
from collections.abc import Sequence
from enum import Enum
from typing import Final, Generic, NamedTuple

from mgate.channels.smpp import pdu
from mgate.channels.smpp.events import (
    Arrival,
    BindRefused,
    Bound,
    Close,
    Event,
    Note,
    Noted,
    Pause,
    Refusal,
    Token,
    Turn,
)
from mgate.channels.smpp.pdu import Frame, Framer, PduError
from mgate.channels.smpp.receipt import no_receipt, usual_receipt
from mgate.channels.smpp.verdicts import slows, verdict
from mgate.config.operators import GENERIC, Profile
from mgate.model.message import Secret
from mgate.model.outcome import Accepted, NotWritten, Outcome, Rejected, Uncertain

_SUBMIT_SM_RESP, _DELIVER_SM = pdu.SUBMIT_SM_RESP, pdu.DELIVER_SM  # the two that come thousands of times a second
_BIND_REFUSALS: Final = {
    pdu.ESME_RALYBND: Refusal.ALREADY_BOUND,
    pdu.ESME_RINVPASWD: Refusal.BAD_CREDENTIALS,
    pdu.ESME_RINVSYSID: Refusal.BAD_CREDENTIALS,
}
_MOST_TOMBSTONES: Final = 10_000
_MOST_EARLY: Final = 1_000  # deliver_sm before the bind is answered; what is beyond is asked for again
_MOST_MALFORMED: Final = 3  # one after the other: then the stream is no longer what it was
_SURELY_AN_ID: Final = 255  # octets of a response's body that `parse_message_id` cannot refuse
_new: Final = tuple.__new__  # half the price of calling a NamedTuple


class SessionState(Enum):
    """Where the session stands. CLOSED is both before `open` and after the end."""

    CLOSED = "closed"
    BINDING = "binding"
    BOUND = "bound"
    UNBINDING = "unbinding"


class Credentials(NamedTuple):
    """What a bind says of us; `command` is its kind."""

    system_id: str
    password: Secret
    system_type: str = ""
    version: int = pdu.VERSION_34
    command: int = pdu.BIND_TRANSCEIVER


class Session(Generic[Token]):
    """One session. After every call write what `take` gives; wake `expire` at `next_deadline`.

    `enquire_every` and `response_limit` are seconds; `profile` says what the operator's statuses mean, and whether its
    receipts may be in the usual form. `first_sequence` is for tests of the wrap.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        enquire_every: float = 30.0,
        response_limit: float = 10.0,
        profile: Profile = GENERIC,
        first_sequence: int = 1,
    ) -> None:
        self._credentials = credentials
        self._enquire_every = enquire_every
        self._response_limit = response_limit
        self._profile = profile
        self._usual = usual_receipt if profile.receipts.dialect == "standard" else no_receipt
        self._state = SessionState.CLOSED
        self._opened = False
        self._submits_leave = False
        self.framer = Framer()
        self._next = first_sequence
        self._waiting: dict[int, Token] = {}
        self._tombstones: dict[int, Token] = {}
        self._expiries: deque[tuple[float, Sequence[int]]] = deque()  # one for each call of `submit`
        self._control: list[bytes] = []
        self._unwritten: dict[int, bytes] = {}
        self._farewell = b""
        self._early: list[Arrival] = []
        self._own: dict[str, int] = {}  # the sequence numbers of our open bind, enquire_link and unbind
        self._limit: float | None = None  # of the bind, or of the unbind
        self._heard_at = 0.0
        self._enquire_limit: float | None = None
        self._doubted = False  # a submit has timed out since we last looked
        self._malformed = 0
        self._last_malformed = b""

    @property
    def state(self) -> SessionState:
        """Where the session stands."""
        return self._state

    @property
    def outstanding(self) -> int:
        """How many submits are open: written or not, but neither answered nor timed out."""
        return len(self._waiting)

    # ---- asking to say something

    def open(self, now: float) -> None:
        """The connection is up: bind. PduError when the credentials do not fit, which the configuration refuses."""
        if self._opened:
            raise RuntimeError("a session is opened once; make a new one for each connection")
        who = self._credentials
        sequence = self._own["bind"] = self._sequence()
        self._control.append(
            pdu.pack_bind(who.command, sequence, who.system_id, who.password.reveal(), who.system_type, who.version)
        )
        self._opened = self._submits_leave = True
        self._state = SessionState.BINDING
        self._limit = now + self._response_limit

    def submit(self, tokens: Sequence[Token], bodies: Sequence[bytes], now: float) -> Sequence[int] | NotWritten:
        """Ask for a submit_sm with each of these bodies (`pdu.SubmitTemplate.body`). Their sequence numbers, or
        NotWritten when the session is not bound: then no token comes back in an event."""
        if self._state is not SessionState.BOUND:
            return NotWritten(f"session {self._state.value}")
        sequences, header, command = self._sequences(len(tokens)), pdu.HEADER.pack, pdu.SUBMIT_SM
        whole = [
            header(16 + len(body), command, 0, sequence) + body
            for sequence, body in zip(sequences, bodies, strict=True)
        ]  # fmt: skip
        self._waiting.update(zip(sequences, tokens, strict=True))
        self._unwritten.update(zip(sequences, whole, strict=True))
        if whole:
            self._expiries.append((now + self._response_limit, sequences))
        return sequences

    def answer(self, arrivals: Sequence[Arrival], status: int = pdu.ESME_ROK) -> None:
        """Answer inbound messages: ESME_ROK once they are on the disk, ESME_RX_T_APPN to have them sent again.

        Does nothing when the session is over; the operator then sends them again by itself.
        """
        if self._state in {SessionState.BOUND, SessionState.UNBINDING}:
            pack, response = pdu.pack_deliver_sm_resp, pdu.RESPONSE
            self._control += [pack(arrival.sequence, status, arrival.command | response) for arrival in arrivals]

    def unbind(self, now: float) -> None:
        """Ask to end the session in order. Drain first: what is submitted and not yet taken still goes before it, but
        operators need not answer it. Only a bound session can be unbound; drop the connection of another."""
        if self._state is SessionState.BOUND:
            sequence = self._own["unbind"] = self._sequence()
            self._farewell = pdu.pack_simple(pdu.UNBIND, sequence)
            self._state = SessionState.UNBINDING
            self._limit = now + self._response_limit

    def take(self) -> bytes:
        """All that must now be written, in one piece; from now on it counts as written."""
        said = self._control
        self._control = []
        if self._unwritten and self._submits_leave:
            said += self._unwritten.values()
            self._unwritten.clear()
        if self._farewell:
            said.append(self._farewell)
            self._farewell = b""
        return b"".join(said)

    # ---- time

    def next_deadline(self) -> float | None:
        """The moment at which `expire` has something to do; None when only the peer can move us."""
        if self._state is SessionState.CLOSED:
            return None
        first = self._limit
        if self._state is SessionState.BOUND:
            first = self._heard_at + self._enquire_every if self._enquire_limit is None else self._enquire_limit
        if self._expiries and (first is None or self._expiries[0][0] < first):
            first = self._expiries[0][0]
        return first

    def expire(self, now: float) -> list[Event[Token]]:
        """Time passed: what that means."""
        turn: Turn[Token] = Turn()
        if self._state is SessionState.CLOSED:
            return []
        self._expire_submits(turn, now)
        if self._limit is not None and now >= self._limit:
            asked = "bind" if self._state is SessionState.BINDING else "unbind"
            self._end(turn, f"no answer to {asked} within {self._response_limit:g} s", orderly=asked == "unbind")
        elif self._state is SessionState.BOUND:
            self._watch(turn, now)
        return turn.events()

    def closed(self, now: float) -> list[Event[Token]]:
        """The connection is gone, whoever closed it: the submits still open end. What was written is Uncertain."""
        turn: Turn[Token] = Turn()
        for sequence, token in self._waiting.items():
            written = sequence not in self._unwritten
            lost: Outcome = Uncertain("link_lost", link_alive=False) if written else NotWritten("link_lost")
            turn.results.append((token, lost))
        self._waiting.clear()
        self._unwritten.clear()
        self._control.clear()
        self._tombstones.clear()
        self._expiries.clear()
        self._early.clear()
        self._state = SessionState.CLOSED
        return turn.events()

    def _expire_submits(self, turn: Turn[Token], now: float) -> None:
        expiries, waiting = self._expiries, self._waiting
        while expiries and expiries[0][0] <= now:
            for sequence in expiries.popleft()[1]:
                if sequence not in waiting:
                    continue
                token = waiting.pop(sequence)
                if self._unwritten.pop(sequence, None) is not None:
                    turn.results.append((token, NotWritten("response_timeout")))
                    continue
                self._bury(sequence, token)
                turn.results.append((token, Uncertain("response_timeout", link_alive=True)))
                self._doubted = True

    def _watch(self, turn: Turn[Token], now: float) -> None:
        if self._enquire_limit is None:
            if self._doubted or now >= self._heard_at + self._enquire_every:
                sequence = self._own["enquire_link"] = self._sequence()
                self._control.append(pdu.pack_simple(pdu.ENQUIRE_LINK, sequence))
                self._enquire_limit = now + self._response_limit
        elif now >= self._enquire_limit:
            self._end(turn, f"enquire_link unanswered for {self._response_limit:g} s: the link is dead")
        self._doubted = False

    # ---- hearing

    def receive(self, data: bytes, now: float) -> list[Event[Token]]:
        """Octets came: what they mean, answers to submits first. Nothing a peer sends raises."""
        if self._state is SessionState.CLOSED:
            return []
        turn: Turn[Token] = Turn()
        try:
            frames = self.framer.cut(data)
        except PduError as error:
            self._end(turn, str(error))
            return turn.events()
        if frames:
            self._heard_at = now
            if self._enquire_limit is not None and any(fields[0] & pdu.RESPONSE for fields in frames):
                self._enquire_limit = None
        waiting, unwritten, accepted, usual = self._waiting, self._unwritten, turn.results.append, self._usual
        for fields in frames:
            command, status, sequence, body = fields
            if command == _SUBMIT_SM_RESP:
                if not status and sequence in waiting and sequence not in unwritten and len(body) <= _SURELY_AN_ID:
                    self._malformed = 0
                    accepted((waiting.pop(sequence), Accepted(pdu.parse_message_id(body))))
                else:
                    self._submit_answered(turn, Frame(*fields))
            elif command == _DELIVER_SM and (receipt := usual(body)) is not None:
                self._malformed = 0
                self._keep(turn, _new(Arrival, (command, sequence, receipt, body)))
            elif command & pdu.RESPONSE:
                self._response(turn, Frame(*fields))
            else:
                self._request(turn, Frame(*fields))
        if self.framer.fault is not None:
            self._end(turn, str(self.framer.fault))
        while self._expiries and waiting.keys().isdisjoint(self._expiries[0][1]):
            self._expiries.popleft()
        return turn.events()

    def _submit_answered(self, turn: Turn[Token], frame: Frame) -> None:
        sequence = frame.sequence
        if sequence in self._waiting and sequence not in self._unwritten:
            turn.results.append((self._waiting.pop(sequence), self._outcome(turn, frame)))
        elif sequence in self._tombstones:
            turn.late.append((self._tombstones.pop(sequence), self._outcome(turn, frame)))
        else:
            turn.others.append(Noted(Note.STRAY_RESPONSE, f"submit_sm_resp, sequence {sequence}"))

    def _outcome(self, turn: Turn[Token], frame: Frame) -> Outcome:
        """What a submit's response says of it. An unreadable id is no reason to doubt that the operator took it."""
        if frame.status:
            if slows(frame.status, self._profile):
                turn.pause = Pause(pdu.status_name(frame.status))
            return verdict(frame.status, self._profile)
        try:
            operator_id = pdu.parse_message_id(frame.body)
        except PduError as error:
            self._damaged(turn, frame, error)
            return Accepted("")
        self._malformed = 0
        return Accepted(operator_id)

    def _response(self, turn: Turn[Token], frame: Frame) -> None:
        """Any response but submit_sm_resp, and generic_nack."""
        sequence = frame.sequence
        if sequence in self._waiting and sequence not in self._unwritten:
            self._misfit(turn, frame)
        elif self._state is SessionState.BINDING and (
            frame.command == self._credentials.command | pdu.RESPONSE or sequence == self._own["bind"]
        ):
            self._bind_answered(turn, frame)
        elif self._state is SessionState.UNBINDING and (
            frame.command == pdu.UNBIND_RESP or sequence == self._own.get("unbind")
        ):
            self._end(turn, "unbound", orderly=True)
        elif frame.command == pdu.GENERIC_NACK:
            if sequence != self._own.get("enquire_link"):
                detail = f"sequence {sequence}, {pdu.status_name(frame.status)}"
                turn.others.append(Noted(Note.STRAY_NACK, detail))
        elif frame.command != pdu.ENQUIRE_LINK_RESP:  # one of those is life, whatever its sequence
            turn.others.append(Noted(Note.STRAY_RESPONSE, f"{pdu.command_name(frame.command)}, sequence {sequence}"))

    def _misfit(self, turn: Turn[Token], frame: Frame) -> None:
        """An open submit was answered by generic_nack, which says that it was not taken, or by nonsense."""
        token = self._waiting.pop(frame.sequence)
        if frame.command == pdu.GENERIC_NACK:
            outcome: Outcome = Rejected(f"generic_nack {pdu.status_name(frame.status)}")
            if frame.status and slows(frame.status, self._profile):
                outcome = self._outcome(turn, frame)
            turn.results.append((token, outcome))
            return
        self._bury(frame.sequence, token)
        turn.results.append((token, Uncertain("nonsense_answer", link_alive=True)))
        turn.others.append(Noted(Note.MISFIT_RESPONSE, f"submit_sm answered by {pdu.command_name(frame.command)}"))

    def _bind_answered(self, turn: Turn[Token], frame: Frame) -> None:
        bound_already = frame.status == pdu.ESME_RALYBND and self._profile.quirks.already_bound_is_bound
        bound = frame.status == pdu.ESME_ROK or bound_already
        if bound and frame.command == self._credentials.command | pdu.RESPONSE:
            self._state = SessionState.BOUND
            self._limit = None
            name, version, _ = pdu.parse_bind_resp(frame.body)
            turn.others.append(Bound(name, version))
            turn.arrivals, self._early = self._early + turn.arrivals, []
            return
        said = f"{pdu.command_name(frame.command)} {pdu.status_name(frame.status)}: {pdu.status_text(frame.status)}"
        turn.others.append(BindRefused(_BIND_REFUSALS.get(frame.status, Refusal.OTHER), said))
        self._end(turn, f"bind refused: {said}")

    def _request(self, turn: Turn[Token], frame: Frame) -> None:
        """The peer asks. Whatever it is gets its answer at once, but what must be on the disk first."""
        match frame.command:
            case pdu.DELIVER_SM | pdu.DATA_SM:
                self._arrived(turn, frame)
            case pdu.ENQUIRE_LINK:
                self._control.append(pdu.pack_simple(pdu.ENQUIRE_LINK_RESP, frame.sequence))
            case pdu.UNBIND:
                self._control.append(pdu.pack_simple(pdu.UNBIND_RESP, frame.sequence))
                self._state = SessionState.UNBINDING
                self._submits_leave = False
                turn.close = Close("the operator unbound", orderly=True)
            case pdu.ALERT_NOTIFICATION:
                turn.others.append(Noted(Note.ALERT, "needs no answer"))
            case pdu.OUTBIND:
                turn.others.append(Noted(Note.OUTBIND, "needs no answer: a session that is up binds by itself"))
            case unknown:
                self._control.append(pdu.pack_simple(pdu.GENERIC_NACK, frame.sequence, pdu.ESME_RINVCMDID))
                turn.others.append(Noted(Note.UNKNOWN_COMMAND, pdu.command_name(unknown)))

    def _arrived(self, turn: Turn[Token], frame: Frame) -> None:
        message: pdu.DeliverSm | PduError
        try:
            read = pdu.parse_deliver_sm if frame.command == pdu.DELIVER_SM else pdu.parse_data_sm
            message = read(frame.body)
            self._malformed = 0
        except PduError as error:
            message = error
            self._damaged(turn, frame, error)
        self._keep(turn, Arrival(frame.command, frame.sequence, message, frame.body))

    def _keep(self, turn: Turn[Token], arrival: Arrival) -> None:
        """Hand it over, or keep it until the bind is answered."""
        if self._state is not SessionState.BINDING:
            turn.arrivals.append(arrival)
        elif len(self._early) < _MOST_EARLY:
            self._early.append(arrival)
        else:
            response = arrival.command | pdu.RESPONSE
            self._control.append(pdu.pack_deliver_sm_resp(arrival.sequence, pdu.ESME_RX_T_APPN, response))

    def _damaged(self, turn: Turn[Token], frame: Frame, error: PduError) -> None:
        """A poisoned message that the operator repeats is one fault, not many: it must not cost the link each time."""
        turn.others.append(Noted(Note.MALFORMED, f"{pdu.command_name(frame.command)}: {error}"))
        if frame.body != self._last_malformed:
            self._malformed += 1
            self._last_malformed = frame.body
        if self._malformed >= _MOST_MALFORMED:
            self._end(turn, f"{self._malformed} malformed PDUs one after the other; the last: {error}")

    # ---- within

    def _sequences(self, count: int) -> Sequence[int]:
        """The next `count` numbers. Nearly always they are a run of which nothing open bears any."""
        run = range(self._next, self._next + count)
        free = self._waiting.keys().isdisjoint(run) and self._tombstones.keys().isdisjoint(run)
        if run.stop > pdu.LARGEST_SEQUENCE or not free or any(sequence in run for sequence in self._own.values()):
            return [self._sequence() for _ in range(count)]
        self._next = run.stop
        return run

    def _sequence(self) -> int:
        """The next number that nothing open bears: 1 to 0x7FFFFFFF, then from 1 again."""
        while True:
            sequence = self._next
            self._next = sequence + 1 if sequence < pdu.LARGEST_SEQUENCE else 1
            if not (sequence in self._waiting or sequence in self._tombstones or sequence in self._own.values()):
                return sequence

    def _bury(self, sequence: int, token: Token) -> None:
        self._tombstones[sequence] = token
        if len(self._tombstones) > _MOST_TOMBSTONES:
            del self._tombstones[next(iter(self._tombstones))]

    def _end(self, turn: Turn[Token], reason: str, *, orderly: bool = False) -> None:
        """Nothing more is said or heard; the caller closes, and learns from `closed` what was open."""
        turn.close = turn.close or Close(reason, orderly)
        self._submits_leave = False
        self._state = SessionState.CLOSED
