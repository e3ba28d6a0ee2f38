"""One connection of a client: frames in, answers and receipts out. What they say is the operator's to decide."""

from typing import TYPE_CHECKING, Final, cast

from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from mgate.channels.smpp.pdu import (
    BIND_RECEIVER,
    BIND_TRANSCEIVER,
    BIND_TRANSMITTER,
    DELIVER_SM,
    DELIVER_SM_RESP,
    ENQUIRE_LINK,
    ENQUIRE_LINK_RESP,
    ESME_RINVBNDSTS,
    ESME_RINVCMDID,
    ESME_ROK,
    GENERIC_NACK,
    HEADER,
    LARGEST_SEQUENCE,
    RESPONSE,
    SUBMIT_SM,
    SUBMIT_SM_RESP,
    UNBIND,
    UNBIND_RESP,
    Frame,
    Framer,
    PduError,
    pack_bind_resp,
    pack_simple,
    parse_bind,
)

if TYPE_CHECKING:
    from mgate.peers.smsc.operator import Operator
    from mgate.peers.smsc.owed import Delivery

_BINDS: Final = frozenset((BIND_RECEIVER, BIND_TRANSCEIVER, BIND_TRANSMITTER))
_SUBMITS: Final = frozenset((BIND_TRANSCEIVER, BIND_TRANSMITTER))


class Session(Protocol):
    """A client's session, from its connection to its end.

    Attributes:
        number: counted from 1 since the operator's start; the ledger's `bind`.
        kind: the bind's command id, 0 while not bound; `account`: whose it is.
        submits: how many submit_sm it has brought; `last_submit`: after how many it is ended, 0 for never.
        unanswered: deliveries without a response, by sequence number, oldest first.
    """

    def __init__(self, operator: "Operator", number: int) -> None:
        self._operator = operator
        self._framer = Framer()
        self._out: list[bytes] = []
        self._sequence = 0
        self._over = False
        self.number = number
        self.kind = 0
        self.submits = 0
        self.last_submit = 0
        self.unanswered: dict[int, tuple[Delivery, float]] = {}

    @property
    def receives(self) -> bool:
        """Whether deliver_sm may be sent here."""
        return self.kind not in (0, BIND_TRANSMITTER)

    def connectionMade(self) -> None:
        """A client has connected."""
        transport = self.transport
        if ITCPTransport.providedBy(transport):
            transport.setTcpNoDelay(True)
        self._operator.connected(self)
        self._operator.turned()

    def dataReceived(self, data: bytes) -> None:
        """One read: handle every PDU in it, then write the ledger, then the answers."""
        try:
            frames = self._framer.feed(data)
        except PduError as error:
            self.say(pack_simple(GENERIC_NACK, 0, error.status))
            self.end("fin", str(error))
            frames = []
        submitted = self._operator.submitted
        for frame in frames:
            if self._over:
                break
            command = frame.command
            if command == SUBMIT_SM and self.kind in _SUBMITS:
                self.submits += 1
                submitted(self, frame)
            elif command == DELIVER_SM_RESP:
                found = self.unanswered.pop(frame.sequence, None)
                if found is not None:
                    self._operator.owed.answered(self, found[0], frame.status)
            else:
                self._rare(frame)
        self._operator.turned()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone, whoever ended it."""
        self._over = True
        self._operator.gone(self)
        self._operator.turned()

    def say(self, pdu: bytes) -> None:
        """Have a PDU written at the end of this turn; nothing once the session is over."""
        if self._over:
            return
        if not self._out:
            self._operator.has_words(self)
        self._out.append(pdu)

    def ask(self, command: int, body: bytes = b"") -> int:
        """Send a request of ours; its sequence number."""
        self._sequence = self._sequence % LARGEST_SEQUENCE + 1
        self.say(HEADER.pack(16 + len(body), command, ESME_ROK, self._sequence) + body)
        return self._sequence

    def deliver(self, delivery: "Delivery", now: float) -> int:
        """Send a deliver_sm that is kept until it is answered; its sequence number."""
        sequence = self.ask(DELIVER_SM, delivery.body)
        self.unanswered[sequence] = (delivery, now)
        return sequence

    def flush(self) -> None:
        """Write all that was said in this turn, in one piece."""
        out = self._out
        if out and self.transport is not None:
            self._operator.behaviour.reorder(out)
            self.transport.write(b"".join(out))
        out.clear()

    def end(self, how: str, why: str) -> None:
        """End the session from our side: `reset` drops what was said in this turn, `fin` and `unbind` do not."""
        if self._over or self.transport is None:
            return
        if how == "reset":
            self._out.clear()
        elif how == "unbind":
            self.ask(UNBIND)
        self._operator.ended(self, how, why)
        self._over = True
        if how == "reset":
            cast("ITCPTransport", self.transport).abortConnection()
            return
        self.flush()
        self.transport.loseConnection()

    def _rare(self, frame: Frame) -> None:
        command = frame.command
        silence = self._operator.script.silence
        if command in _BINDS:
            self._bind(frame)
        elif command == ENQUIRE_LINK:
            if not silence.enquire_link:
                self.say(pack_simple(ENQUIRE_LINK_RESP, frame.sequence))
        elif command == UNBIND:
            if not silence.unbind:
                self.say(pack_simple(UNBIND_RESP, frame.sequence))
                self._leave()
        elif command == SUBMIT_SM:
            self.say(pack_simple(SUBMIT_SM_RESP, frame.sequence, ESME_RINVBNDSTS))
        elif not command & RESPONSE:
            self.say(pack_simple(GENERIC_NACK, frame.sequence, ESME_RINVCMDID))

    def _leave(self) -> None:
        """The client said goodbye: its session no longer counts."""
        self.kind = 0
        self._operator.unbound(self)
        self.flush()
        self._over = True
        if self.transport is not None:
            self.transport.loseConnection()

    def _bind(self, frame: Frame) -> None:
        try:
            bind = parse_bind(frame.body)
        except PduError as error:
            self.say(pack_simple(GENERIC_NACK, frame.sequence, error.status))
            return
        status = ESME_RINVBNDSTS if self.kind else self._operator.bound(self, bind)
        answer = pack_bind_resp(frame.command, frame.sequence, status, self._operator.script.account.system_id)
        self._operator.later(
            self._operator.behaviour.bind_latency(), self._answer_bind, (answer, frame.command, status)
        )

    def _answer_bind(self, answer: tuple[bytes, int, int]) -> None:
        pdu, kind, status = answer
        self.say(pdu)
        if status == ESME_ROK and not self._over:
            self.kind = kind
            self._operator.ready(self)
