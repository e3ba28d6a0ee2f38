"""`tools/push PLACE`: push made-up messages and write down what was told.

A daemon that dies and comes back finds the same references again: what had no answer is pushed until it has one.
"""

import argparse
import asyncio
import heapq
import sys
import time
from collections import Counter, deque
from pathlib import Path
from typing import Final, NamedTuple

from mgate.peers.fingerprint import Fingerprint
from mgate.peers.links import Answer, BatchLink, BrokeProtocol, Link, SingleLink
from mgate.peers.places import Connector, Place, port_of
from mgate.peers.told import Told, ToldLedger
from mgate.peers.traffic import Draft, Maker, Mix

TICK: Final = 0.005  # at a rate, a single push waits for this at most
RECONNECT: Final = 0.05
MOST_AHEAD: Final = 0.1  # seconds of the rate that may be made up for after a pause


class Plan(NamedTuple):
    """Where to push, and how: `messages` in all (0: until stopped), `rate` a second (0: as fast as it goes), over
    `connections`; `window` lines of a batch without an answer on each, 0 for single pushes."""

    place: Place
    messages: int = 1000
    rate: float = 0.0
    connections: int = 1
    window: int = 2000


class Pusher:
    """Pushes what the maker makes; a `Supply` for its links.

    Attributes:
        said: how often each state or error was told; answered: messages that have their last answer.
        refs: of all messages made.
    """

    def __init__(self, plan: Plan, maker: Maker, ledger: ToldLedger) -> None:
        self._plan = plan
        self._connector = Connector(plan.place)
        self._maker = maker
        self._ledger = ledger
        self._again: deque[Draft] = deque()
        self._later: list[tuple[float, int, Draft]] = []
        self._open = 0
        self._began = 0.0
        self._given = 0.0
        self._stopped = False
        self._links: set[Link] = set()
        self._away = False
        self.said: Counter[str] = Counter()
        self.answered = 0
        self.refs: list[str] = []

    async def run(self, patience: float) -> float:
        """Push all of it; how many seconds that took.

        Raises:
            BrokeProtocol: the daemon answered something that its documentation does not allow.
            TimeoutError: no daemon answered for `patience` seconds, with messages unanswered or nobody at the socket.
        """
        self._began = time.monotonic()
        try:
            async with asyncio.TaskGroup() as group:
                ticker = group.create_task(self._tick(patience))
                links = [group.create_task(self._keep_linked()) for _ in range(self._plan.connections)]
                await asyncio.wait(links)
                ticker.cancel()
        except* (BrokeProtocol, TimeoutError) as faults:
            self._leave_unanswered()
            await asyncio.sleep(RECONNECT)  # the loop closes what was aborted in its next turns
            raise faults.exceptions[0] from None
        finally:
            self._ledger.flush()
        return time.monotonic() - self._began

    def stop(self) -> None:
        """Make nothing new; `run` ends when all is answered."""
        self._stopped = True

    def take(self, most: int) -> list[Draft]:
        """See `links.Supply`: repeats first, then new drafts as the rate allows."""
        drafts: list[Draft] = []
        while self._again and len(drafts) < most:
            drafts.append(self._again.popleft())
        new = min(most - len(drafts), self._allowed())
        make = self._maker.make
        fresh = [make() for _ in range(new)]
        self.refs += [draft.ref for draft in fresh]
        self._open += new
        return drafts + fresh

    def told(self, draft: Draft, answer: Answer) -> None:
        """See `links.Supply`."""
        self._open -= 1
        self.answered += 1
        state = "refused" if answer.error else answer.state
        self.said[answer.error or ("duplicate" if answer.duplicate else state)] += 1
        self._ledger.add(_row(draft, answer, state, time.time()))

    def back(self, drafts: list[Draft], pause: float) -> None:
        """See `links.Supply`."""
        if pause:
            due = time.monotonic() + pause
            for draft in drafts:
                heapq.heappush(self._later, (due, id(draft), draft))
        else:
            self._again.extendleft(reversed(drafts))

    def exhausted(self) -> bool:
        """See `links.Supply`."""
        return self._no_new() and self._open == 0

    def _no_new(self) -> bool:
        return self._stopped or 0 < self._plan.messages <= self._maker.made

    def _allowed(self) -> int:
        if self._no_new():
            return 0
        left = self._plan.messages - self._maker.made if self._plan.messages else sys.maxsize
        if not self._plan.rate:
            return left
        # A daemon that was away is not owed what was not pushed meanwhile.
        rate, due = self._plan.rate, self._plan.rate * (time.monotonic() - self._began)
        self._given = max(self._given, due - rate * MOST_AHEAD - 1)
        allowed = min(int(due - self._given), left)
        self._given += allowed
        return max(allowed, 0)

    async def _keep_linked(self) -> None:
        """One connection after another until nothing is left to push."""
        while not self.exhausted():
            ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            link = self._link(ended)
            try:
                await self._connector.connect(lambda link=link: link)  # type: ignore[misc]  # bound now
            except OSError:
                # Nothing is made while nobody listens, so that no open message starts the patience by itself.
                self._away = not self._links
                await asyncio.sleep(RECONNECT)
                continue
            self._away = False
            self._links.add(link)
            try:
                await ended
            finally:
                self._links.discard(link)
                link.abandon()
            if not self.exhausted():
                await asyncio.sleep(RECONNECT)

    def _link(self, ended: "asyncio.Future[None]") -> Link:
        def done(fault: BaseException | None) -> None:
            if ended.done():
                return
            if fault is None:
                ended.set_result(None)
            else:
                ended.set_exception(fault)

        if self._plan.window:
            return BatchLink(self, done, self._plan.window)
        return SingleLink(self, done)

    async def _tick(self, patience: float) -> None:
        """Write the ledger and wake the links when time alone makes something due."""
        answered, heard = -1, time.monotonic()
        while True:
            await asyncio.sleep(TICK)
            self._ledger.flush()
            now = time.monotonic()
            while self._later and self._later[0][0] <= now:
                self._again.append(heapq.heappop(self._later)[2])
            for link in tuple(self._links):
                link.pump()
            if self.answered != answered or not (self._open or self._away):
                answered, heard = self.answered, now
            elif now - heard > patience:
                what = f"{self._open} messages have had no answer" if self._open else "nobody has listened"
                raise TimeoutError(f"{what} for {patience:g} s on {self._plan.place}")

    def _leave_unanswered(self) -> None:
        for draft in (*self._again, *(draft for _, _, draft in self._later)):
            self._ledger.add(_row(draft, Answer(), "unanswered", 0.0))


def _row(draft: Draft, answer: Answer, state: str, now: float) -> Told:
    return Told(
        draft.ref, draft.traffic, answer.id, state, answer.duplicate, answer.error, draft.tries, draft.pushed, now,
        draft.life, draft.to, draft.texts,
    )  # fmt: skip


def shares(text: str) -> dict[str, float]:
    """`otp=0.5,service=0.5` as a mapping.

    Raises:
        argparse.ArgumentTypeError: when it is not of that form or the shares do not make 1.
    """
    try:
        pairs = {name.strip(): float(share) for name, share in (pair.split("=") for pair in text.split(","))}
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form name=share,name=share") from None
    if not 0.999 <= sum(pairs.values()) <= 1.001:
        raise argparse.ArgumentTypeError(f"the shares of {text!r} make {sum(pairs.values()):g}, they must make 1")
    return pairs


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tools/push", description="Push made-up messages into mgate, by a push socket or over mutual TLS."
    )
    parser.add_argument("place", help="the push socket, such as demo/run/push.sock, or https://HOST:PORT")
    parser.add_argument("--ca", type=Path, metavar="FILE", help="https: the only authority that is believed, PEM")
    parser.add_argument("--cert", type=Path, metavar="FILE", help="https: our certificate, PEM")
    parser.add_argument("--key", type=Path, metavar="FILE", help="https: its key, PEM")
    parser.add_argument("--name", default="", help="https: the name that the server must have (default: HOST)")
    parser.add_argument("--messages", type=int, default=1000, help="how many (default 1000; 0: until Ctrl-C)")
    parser.add_argument("--rate", type=float, default=0.0, help="messages a second (default: as fast as it goes)")
    parser.add_argument("--connections", type=int, default=1, help="kept connections (default 1)")
    parser.add_argument("--single", action="store_true", help="single pushes instead of a batch")
    parser.add_argument("--window", type=int, default=2000, help="batch lines without an answer (default 2000)")
    parser.add_argument("--classes", type=shares, help="otp=0.5,service=0.5")
    parser.add_argument("--parts", type=shares, help="1=0.9,2=0.1")
    parser.add_argument("--plain", action="store_true", help="GSM letters only")
    parser.add_argument("--seed", type=int, default=1, help="another seed makes other messages with other references")
    parser.add_argument("--ledger", type=Path, help="append what was told here")
    parser.add_argument("--hash-key-file", type=Path, help="key of the ledger's hashes, the same as the operator's")
    parser.add_argument("--patience", type=float, default=60.0, help="give up after so many seconds without an answer")
    return parser


def _place(parser: argparse.ArgumentParser, given: argparse.Namespace) -> Place:
    if "://" not in given.place:
        return Path(given.place)
    if not (given.ca and given.cert and given.key):
        parser.error("https wants --ca, --cert and --key")
    try:
        return port_of(given.place, given.ca, given.cert, given.key, given.name)
    except ValueError as error:
        parser.error(str(error))


def main() -> int:
    """The command line; the exit status: 0 all taken, 1 some refused or unanswered."""
    parser = _arguments()
    given = parser.parse_args()
    mix = Mix(plain=given.plain)
    if given.classes:
        mix = mix._replace(classes=given.classes)
    if given.parts:
        mix = mix._replace(parts={int(parts): share for parts, share in given.parts.items()})
    window = 0 if given.single else given.window
    plan = Plan(_place(parser, given), given.messages, given.rate, given.connections, window)
    ledger = ToldLedger(given.ledger)
    pusher = Pusher(plan, Maker(given.seed, mix, Fingerprint.from_file(given.hash_key_file)), ledger)
    began = time.process_time()
    try:
        seconds = asyncio.run(pusher.run(given.patience))
    except (BrokeProtocol, TimeoutError) as fault:
        print(f"tools/push: {fault}", file=sys.stderr)  # noqa: T201  # a command line
        return 1
    finally:
        ledger.close()
    cost = (time.process_time() - began) / max(pusher.answered, 1) * 1e6
    summary = ", ".join(f"{count} {word}" for word, count in pusher.said.most_common())
    rate = pusher.answered / max(seconds, 1e-9)
    print(f"{pusher.answered} answered in {seconds:.2f} s, {rate:.0f} a second, {cost:.1f} µs of ours each: {summary}")  # noqa: T201
    return 0 if not set(pusher.said) - {"accepted", "duplicate"} else 1


if __name__ == "__main__":
    sys.exit(main())
