"""A stream of octets cut into SMPP PDUs, and the error that everything in the codec raises.

Source: SMPP Protocol Specification v3.4 issue 1.2, section 3.2. The upper bound of a length is ours: no PDU of the hot
path comes near it, and whoever says more speaks another protocol or wants our memory.
"""

from struct import Struct
from typing import Final, NamedTuple

SHORTEST_PDU: Final = 16
LONGEST_PDU: Final = 65536
HEADER: Final = Struct(">IIII")
_LENGTH: Final = Struct(">I")
_ESME_RINVCMDLEN: Final = 0x02


class PduError(Exception):
    """A PDU breaks the protocol, or a value does not fit its field. `status` is what an answer to it should say."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Frame(NamedTuple):
    """One whole PDU: its header's fields, and the body still unread."""

    command: int
    status: int
    sequence: int
    body: bytes


Cut = tuple[int, int, int, bytes]
"""A frame's fields as a plain tuple, which costs half to make and a quarter to take apart."""


_STRANGERS: Final = (
    (b"HTTP", "HTTP"), (b"GET ", "HTTP"), (b"POST", "HTTP"), (b"PUT ", "HTTP"), (b"HEAD", "HTTP"), (b"AMQP", "AMQP"),
    (b"SSH-", "SSH"), (b"220 ", "SMTP or FTP"), (b"220-", "SMTP or FTP"), (b"\x16\x03", "TLS"), (b"\x15\x03", "TLS"),
    (b"PROX", "the PROXY protocol"), (b"\r\n\r\n", "the PROXY protocol"), (b"RTSP", "RTSP"), (b"SIP/", "SIP"),
)  # fmt: skip


class Framer:
    """Cuts a stream of octets into PDUs, in time linear in the octets.

    When a bad length follows good frames of the same read, the frames are returned and the error waits in `fault`,
    to be raised by the next read: nothing that the peer said before it went wrong is lost.
    """

    __slots__ = ("_needed", "_rest", "fault")

    def __init__(self) -> None:
        self._rest = bytearray()
        self._needed = 4
        self.fault: PduError | None = None

    @property
    def rest(self) -> bytes:
        """What is here of a PDU that is not whole."""
        return bytes(self._rest)

    def feed(self, data: bytes) -> list[Frame]:
        """The PDUs that `data` completes, in order. PduError at a length outside 16..65536: the stream is lost."""
        return [Frame(*fields) for fields in self.cut(data)]

    def cut(self, data: bytes) -> list[Cut]:
        """What `feed` gives, as plain tuples, for those who take every PDU apart at once."""
        if self.fault is not None:
            raise self.fault
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed:
                return self._checked([])
            data = bytes(self._rest)
            self._rest.clear()
        frames: list[Cut] = []
        position, size, header = 0, len(data), HEADER.unpack_from
        self._needed = SHORTEST_PDU
        while size - position >= SHORTEST_PDU:
            length, command, status, sequence = header(data, position)
            if not SHORTEST_PDU <= length <= LONGEST_PDU:
                return self._lost(frames, length, data[position : position + 4])
            end = position + length
            if end > size:
                self._needed = length
                break
            frames.append((command, status, sequence, data[position + 16 : end]))
            position = end
        if position < size:
            self._rest += data[position:]
            return self._checked(frames)
        return frames

    def _checked(self, frames: list[Cut]) -> list[Cut]:
        """A bad length is told as soon as its four octets are here: a stranger may say no more and wait."""
        if 4 <= len(self._rest) < SHORTEST_PDU:
            (length,) = _LENGTH.unpack_from(self._rest)
            if not SHORTEST_PDU <= length <= LONGEST_PDU:
                return self._lost(frames, length, bytes(self._rest[:4]))
        return frames

    def _lost(self, frames: list[Cut], length: int, start: bytes) -> list[Cut]:
        stranger = next((name for mark, name in _STRANGERS if start.startswith(mark)), None)
        guess = f"; the peer seems to speak {stranger}: check host and port" if stranger else ""
        sentence = f"a PDU says that it has {length} octets, allowed are {SHORTEST_PDU} to {LONGEST_PDU}{guess}"
        self.fault = PduError(_ESME_RINVCMDLEN, sentence)
        if not frames:
            raise self.fault
        return frames
