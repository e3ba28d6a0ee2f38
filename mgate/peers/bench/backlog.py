"""`backlog`: the rates of `batch` and `singles` while a million messages wait, how soon such a spool starts, and its
memory.

Two variants. `below`: a campaign waits in the lowest lane, what is pushed belongs to the lanes above. `same`: messages
of every class wait, and what is pushed queues behind them. In both the waiting ones are ready and leave whenever a slot
is free, so receipts are counted whosever they are: as many as are pushed.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from mgate.peers.bench.figures import Asked, Figure, figure
from mgate.peers.bench.load import EVERY_CLASS, Kind, Load, Plan, Stock
from mgate.peers.bench.rates import CONNECTIONS, MEMORY_MIB, TAKEN, WINDOW, push, rate_of
from mgate.peers.bench.row import Row, Said, Setting
from mgate.peers.bench.stage import Account, House
from mgate.peers.bench.watch import BOUND, Watch, story
from mgate.peers.house import HouseError

WAITING: Final = 1_000_000
LIFE: Final = 86_400
START: Final = 5.0
TELL: Final = 10.0
SHARE: Final = 0.9
"""Of the rate without a backlog: within a tenth."""
VARIANTS: Final = {"below": ("marketing",), "same": EVERY_CLASS}
_ABOVE: Final = tuple("service" if word == "marketing" else word for word in EVERY_CLASS)


def _backlog(setting: Setting) -> Said:
    waiting = setting.count(WAITING, 5_000)
    taken = setting.earlier["batch"].value(TAKEN)
    setting.tell(f"{len(VARIANTS)} times {waiting:,} messages are to wait: {len(VARIANTS) * waiting / taken:.0f} s")
    figures: list[Figure] = []
    for variant in VARIANTS:
        figures += _variant(setting, variant, waiting)
    return Said(tuple(figures), (f"{waiting:,} messages waited at the start of each variant.",), WINDOW)


def _variant(setting: Setting, variant: str, waiting: int) -> list[Figure]:
    with House(setting.folder / variant, Account(window=WINDOW)) as house:
        filled = fill(house, variant, waiting, setting.tell)
        setting.tell(f"{variant}: {waiting:,} messages wait")
        started = start(house)
        figures = [
            figure(f"{variant}: first bind after a start", started, unit="s", asked=Asked("<", START)),
            *rates(setting, house, f"{variant}: ", _ABOVE if variant == "below" else EVERY_CLASS),
        ]
        peak = max(filled, house.peak()) / 2**20
        house.stop_daemon()
        twice = story(house.ledger).repeats
    if twice:
        raise HouseError(f"{variant}: {twice} texts came to the operator twice")
    memory = figure(f"{variant}: resident memory at most", peak, unit="MiB", asked=Asked("<", MEMORY_MIB))
    return [*figures, memory]


def fill(house: House, variant: str, waiting: int, tell: Callable[[str], None]) -> int:
    """Have so many messages wait in a house whose operator is away; the daemon is stopped again. Its most memory."""
    house.start_daemon()
    stock = Stock(f"w{variant}", Kind(VARIANTS[variant], life=LIFE))
    asyncio.run(watched(Load(stock, Plan(waiting)), house.socket, waiting, tell))
    peak = house.peak()
    house.stop_daemon()
    return peak


async def watched(load: Load, socket: Path, messages: int, tell: Callable[[str], None], every: float = TELL) -> None:
    """Run the load, and tell now and then how many are taken and how long the others take."""
    began = time.monotonic()
    running = asyncio.ensure_future(load.run(socket))
    while not (await asyncio.wait((running,), timeout=every))[0]:
        rate = load.taken / (time.monotonic() - began)
        left = f"{(messages - load.taken) / rate:.0f} s to go" if rate else "no answer yet"
        tell(f"{load.taken:,} of {messages:,} are taken, {rate:,.0f} a second: {left}")
    await running


def start(house: House) -> float:
    """Start operator and daemon; how many seconds after the daemon's start its bind stood at the operator."""
    house.start_operator()
    bound = Watch(house.ledger, BOUND)
    began = house.start_daemon()
    bound.wait(house.account.binds, house.check)
    return story(house.ledger).bound[0] - began


def rates(setting: Setting, house: House, prefix: str, classes: tuple[str, ...]) -> list[Figure]:
    """The rates of `batch` and `singles` in a house that stands, beside those of the rows of these names."""
    figures: list[Figure] = []
    for name, connections, usual in (("batch", 0, 150_000), ("singles", CONNECTIONS, 80_000)):
        messages = 1_000 if setting.quick else usual
        load, cost, _, seconds = push(house, Stock(f"p{name}", Kind(classes)), Plan(messages, connections))
        taken = messages / (max(load.answered) - load.began)
        least = rate_of(setting.earlier[name]) * SHARE
        figures += [
            figure(f"{prefix}{name}, receipts a second", messages / seconds, asked=Asked(">=", round(least))),
            Figure(f"{prefix}{name}, taken a second", (taken,)),
            Figure(f"{prefix}{name}, mgated, CPU a message", ((cost.user + cost.system) / messages * 1e6,), "µs"),
        ]
    return figures


ROWS: Final = (
    Row(
        "backlog",
        f"batch and singles while {WAITING:,} messages wait; start and memory",
        _backlog,
        ("batch", "singles"),
        250.0,
    ),
)
