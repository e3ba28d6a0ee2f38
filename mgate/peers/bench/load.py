"""The bench's traffic: drawn beforehand, a text of its own for every message, and each counted by its reference.

A message is a template with its number put in, half a microsecond: the maker shares two cores with what it measures.
Whatever is pushed at a rate has a moment at which it should be pushed, and its latency begins there.
"""

import asyncio
import heapq
import time
from array import array
from collections import Counter, deque
from collections.abc import Callable
from typing import Final, NamedTuple

from mgate.peers.fingerprint import Fingerprint
from mgate.peers.house import HouseError
from mgate.peers.links import Answer, BatchLink, Link, SingleLink
from mgate.peers.places import Connector, Place
from mgate.peers.traffic import GSM_BODY, LIVES, UCS2_BODY, Draft

NO_PROGRESS: Final = 60.0
BATCH_WINDOW: Final = 4000
EVERY_CLASS: Final = (
    "otp", "transaction", "service", "otp", "fraud", "transaction", "marketing", "otp", "transaction", "service",
)  # fmt: skip
A_FIFTH_URGENT: Final = (
    "otp", "transaction", "service", "marketing", "transaction", "fraud", "service", "transaction",
    "marketing", "service",
)  # fmt: skip

_DIGITS: Final = 7
_HOLE: Final = "N" * _DIGITS  # of the width of the number, so that parts are cut where the template says
_LAST: Final = 40
_GSM: Final = "Payment at Example Bank, card 0001, thank you. " * 4
_UCS2: Final = "Оплата картой 0001 в Банке Пример, спасибо. " * 3


class Kind(NamedTuple):
    """What a load is made of. `classes` take turns; every message has so many `parts`, in UCS-2 when `cyrillic`;
    `life`: seconds, 0 for what the class has."""

    classes: tuple[str, ...] = EVERY_CLASS
    parts: int = 1
    cyrillic: bool = False
    life: int = 0


class Stock:
    """Messages by number, from 0. Two stocks of one `prefix` and kind are the same; prefixes keep references apart."""

    def __init__(self, prefix: str, kind: Kind) -> None:
        self._ref = f"{prefix}-%0{_DIGITS}d"
        bodies = _bodies(prefix, kind)
        self._bodies = tuple(_template(body) for body in bodies)
        text = _template("".join(bodies))
        life = f',"valid_for":{kind.life}' if kind.life else ""
        # JSON needs no escape for any of this: letters, digits, blanks, dots, commas, slashes.
        self._lines = tuple(
            f'{{"ref":"{self._ref}","to":"+37529111%04d","class":"{word}","sender":"Example","text":"{text}"{life}}}'.encode()
            for word in kind.classes
        )
        self._holes = len(bodies)
        self._classes = kind.classes
        self._start = len(prefix) + 1

    def draft(self, number: int) -> Draft:
        """The message of that number."""
        turn = number % len(self._lines)
        line = self._lines[turn] % (number, number % 10_000, *(number,) * self._holes)
        traffic = self._classes[turn]
        return Draft(self._ref % number, traffic, LIVES[traffic], line, "", ())

    def number(self, ref: str) -> int:
        """The number of a reference of this stock."""
        return int(ref[self._start :])

    def fingerprints(self, number: int) -> tuple[str, ...]:
        """What the operator's ledger has for the text of each part, under no key."""
        text = Fingerprint().text
        parts = enumerate(self._bodies, 1) if len(self._bodies) > 1 else ((0, self._bodies[0]),)
        return tuple(text(body % number, part) for part, body in parts)


def _template(text: str) -> str:
    return text.replace("%", "%%").replace(_HOLE, f"%0{_DIGITS}d")


def _bodies(prefix: str, kind: Kind) -> list[str]:
    """The parts' texts, each with the message's own reference in it: no two parts at the operator are alike."""
    ref = f"{prefix}-{_HOLE}"
    if kind.parts == 1 and kind.cyrillic:
        return [f"Код {ref}. Банк Пример"]
    if kind.parts == 1:
        return [f"Code 482913 for {ref} at Example Bank. Tell it to nobody."]
    filler, size = (_UCS2, UCS2_BODY) if kind.cyrillic else (_GSM, GSM_BODY)
    bodies = [f"{ref}/{part} {filler}"[:size] for part in range(1, kind.parts + 1)]
    bodies[-1] = bodies[-1][:_LAST]
    return bodies


class Plan(NamedTuple):
    """How to push: so many messages over so many kept connections, one by one or (`connections` 0) in one endless
    batch; at `rate` a second, evenly spaced, or as fast as it goes (0)."""

    messages: int
    connections: int = 0
    rate: float = 0.0


class Load:
    """One stream of pushes, the `Supply` of its links; `run` it once.

    Attributes:
        due: when each message should have been pushed (at no rate: when it was); answered: when it was; both by number,
            monotonic seconds, 0.0 before.
        taken: messages that were answered `accepted`; said: how often each other answer came.
        began: the first moment of the schedule; stock: what it pushes.
    """

    def __init__(self, stock: Stock, plan: Plan, clock: Callable[[], float] = time.monotonic) -> None:
        self.due = array("d", bytes(8 * plan.messages))
        self.answered = array("d", bytes(8 * plan.messages))
        self.taken = 0
        self.said: Counter[str] = Counter()
        self.began = 0.0
        self.stock = stock
        self._plan = plan
        self._clock = clock
        self._made = 0
        self._open = 0
        self._again: list[tuple[float, int, Draft]] = []
        self._ready: deque[Draft] = deque()
        self._links: list[Link] = []
        self._stopped = self._over = False

    # ---- what links ask ----

    def take(self, most: int) -> list[Draft]:
        """See `links.Supply`."""
        now = self._clock()
        while self._again and self._again[0][0] <= now:
            self._ready.append(heapq.heappop(self._again)[2])
        ready = self._ready
        drafts = [ready.popleft() for _ in range(min(most, len(ready)))]
        first = self._made
        until = min(first + most - len(drafts), self._due_by(now))
        if until > first:
            draft, rate, due = self.stock.draft, self._plan.rate, self.due
            drafts += [draft(number) for number in range(first, until)]
            for number in range(first, until):
                due[number] = self.began + number / rate if rate else now
            self._made = until
            self._open += until - first
        return drafts

    def told(self, draft: Draft, answer: Answer) -> None:
        """See `links.Supply`. HouseError for a second answer to one message."""
        number = self.stock.number(draft.ref)
        if self.answered[number]:
            raise HouseError(f"{draft.ref} was answered twice")
        self.answered[number] = self._clock()
        self._open -= 1
        if answer.state == "accepted":
            self.taken += 1
        else:
            self.said[answer.error or answer.state] += 1

    def back(self, drafts: list[Draft], pause: float) -> None:
        """See `links.Supply`."""
        at = self._clock() + pause
        for draft in drafts:
            self.said["come again"] += 1
            heapq.heappush(self._again, (at, id(draft), draft))

    def exhausted(self) -> bool:
        """See `links.Supply`."""
        return self._open == 0 and (self._stopped or self._made == self._plan.messages)

    def stop(self) -> None:
        """Push nothing new; `run` ends when all is answered."""
        self._stopped = True

    # ---- the run ----

    async def run(self, place: Place) -> None:
        """Push all of it.

        Raises:
            HouseError: a message was refused, or nothing was answered for a minute, or the daemon hung up.
            BrokeProtocol: the daemon answered what its documentation does not allow.
        """
        loop, connector = asyncio.get_running_loop(), Connector(place)
        ended: list[asyncio.Future[None]] = []
        for _ in range(self._plan.connections or 1):
            future: asyncio.Future[None] = loop.create_future()
            ended.append(future)
            link = self._link(future)
            self._links.append(link)
            await connector.connect(lambda link=link: link)  # type: ignore[misc]  # bound now
        # Connections take their time; the schedule begins when all stand.
        self.began = self._clock()
        pumping = loop.create_task(self._pump())
        try:
            await asyncio.gather(*ended, pumping)
        finally:
            pumping.cancel()
            self._over = True
            for link in self._links:
                link.abandon()
        if self.taken != self._made:
            raise HouseError(f"of {self._made} messages {self.taken} were taken: {dict(self.said)}")

    def latencies(self, first: int = 0) -> list[float]:
        """Seconds from each message's moment to its answer, from number `first` on."""
        pairs = zip(self.due[first : self._made], self.answered[first : self._made], strict=True)
        return [answered - due for due, answered in pairs]

    @property
    def made(self) -> int:
        """How many messages were pushed: those of the numbers below."""
        return self._made

    def _due_by(self, now: float) -> int:
        """How many messages should have been pushed by now."""
        if self._stopped or not self.began:
            return self._made
        if not self._plan.rate:
            return self._plan.messages
        return min(int((now - self.began) * self._plan.rate) + 1, self._plan.messages)

    def _link(self, ended: "asyncio.Future[None]") -> Link:
        def done(fault: BaseException | None) -> None:
            if ended.done():
                return
            if fault is None and not (self._over or self.exhausted()):
                fault = HouseError("the daemon has hung up while messages were to be pushed")
            if fault is None:
                ended.set_result(None)
            else:
                ended.set_exception(fault)

        return SingleLink(self, done) if self._plan.connections else BatchLink(self, done, BATCH_WINDOW)

    async def _pump(self) -> None:
        """Wake the links when time alone makes something due, and give up when nothing is answered any more."""
        answered, heard = -1, self._clock()
        while not self.exhausted():
            for link in self._links:
                link.pump()
            now = self._clock()
            if self._made - self._open != answered:
                answered, heard = self._made - self._open, now
            elif now - heard > NO_PROGRESS and self._open:
                raise HouseError(f"{self._open} messages have had no answer for {NO_PROGRESS:g} s")
            await asyncio.sleep(self._pause(now))
        for link in self._links:
            link.pump()

    def _pause(self, now: float) -> float:
        rate = self._plan.rate
        if not rate or self._made == self._plan.messages:
            return 0.05
        return min(max(self.began + self._made / rate - now, 0.0005), 0.05)
