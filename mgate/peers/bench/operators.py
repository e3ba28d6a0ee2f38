"""`operators`: what operators really give, four accounts side by side, each held to its contract."""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

from mgate.peers.bench.figures import Asked, Figure, binds_for, figure, within
from mgate.peers.bench.load import A_FIFTH_URGENT, Kind, Load, Plan, Stock
from mgate.peers.bench.rates import every_text_once
from mgate.peers.bench.row import Row, Said, Setting
from mgate.peers.bench.stage import Account, House, Meter, OneClock, commit_ms
from mgate.peers.bench.watch import ACKNOWLEDGED, Watch, story

RATE: Final = 200
WINDOW: Final = 10
LATENCIES: Final = (0.05, 0.1, 0.2, 0.5)
PARTS: Final = 2
PROMISED: Final = 500_000
FED: Final = 1.05
"""More than the contract is pushed, so that something always waits and what is left unused is mgate's own doing."""
_WARM: Final = 3.0
_SHARE: Final = 98.0
_THROTTLED: Final = 0.1


class Line(NamedTuple):
    """One account with its own house and its own load."""

    house: House
    load: Load
    receipts: Watch
    meter: Meter


def _operators(setting: Setting) -> Said:
    commit = commit_ms(setting.folder) / 1000.0
    messages = setting.count(48_000, 2_000) // len(LATENCIES)
    together = [LATENCIES] if not setting.one_by_one else [(latency,) for latency in LATENCIES]
    figures: list[Figure] = []
    cpu = 0.0
    for group in together:
        found, spent = _group(setting, group, commit, messages)
        figures += found
        cpu += spent
    all_parts = messages * PARTS * len(LATENCIES)
    figures.append(Figure("all four mgated: CPU a part", (cpu / all_parts * 1e6,), "µs"))
    return Said(tuple(figures), _notes(messages * len(LATENCIES), setting.one_by_one))


def _group(
    setting: Setting, latencies: Sequence[float], commit: float, messages: int
) -> tuple[list[Figure], float]:  # fmt: skip
    """Run accounts at the same time: their figures, and the CPU seconds of their daemons."""
    clock = OneClock()
    with ExitStack() as stack:
        houses = [stack.enter_context(_house(setting.folder, latency, commit)) for latency in latencies]
        lines = [_line(house.open(), place, messages) for place, house in enumerate(houses)]
        setting.tell(f"{len(lines)} accounts are bound; {messages:,} messages each")
        asyncio.run(_push(lines))
        for line in lines:
            line.receipts.wait(messages * PARTS, line.house.check)
        costs = [line.meter.read() for line in lines]
        for line in lines:
            line.house.stop_daemon()
    clock.check()
    figures = [one for line in lines for one in _figures(line, clock, messages)]
    return figures, sum(cost.user + cost.system for cost in costs)


def _house(folder: Path, latency: float, commit: float) -> House:
    binds = binds_for(RATE, latency, commit, WINDOW)
    return House(folder / f"a{latency * 1000:.0f}", Account(latency, RATE, WINDOW, binds))


def _line(house: House, place: int, messages: int) -> Line:
    rate = RATE / PARTS * FED
    load = Load(Stock(f"op{place}", Kind(A_FIFTH_URGENT, PARTS, cyrillic=True)), Plan(messages, 0, rate))
    return Line(house, load, Watch(house.ledger, ACKNOWLEDGED), Meter(house))


async def _push(lines: list[Line]) -> None:
    await asyncio.gather(*(line.load.run(line.house.socket) for line in lines))


def _figures(line: Line, clock: OneClock, messages: int) -> tuple[Figure, Figure]:
    told = story(line.house.ledger)
    every_text_once(told, messages * PARTS)
    begin, end = line.load.began + _WARM, line.load.due[messages - 1]
    sent = within([clock.monotonic(at) for at in told.submits], begin, end)
    share = sent / (RATE * (end - begin)) * 100.0
    throttled = told.throttled / (len(told.submits) + told.refused) * 100.0
    account = line.house.account
    name = f"{account.latency * 1000:.0f} ms, {account.binds} binds"
    return (
        figure(f"{name}: share of {RATE} a second used", share, unit="%", asked=Asked(">=", _SHARE)),
        figure(f"{name}: throttled", throttled, unit="%", asked=Asked("<", _THROTTLED)),
    )


def _notes(messages: int, one_by_one: bool) -> tuple[str, ...]:
    minutes = PROMISED * PARTS / (RATE * (1 if one_by_one else len(LATENCIES))) / 60.0
    how = "one after the other" if one_by_one else "all at once, with four times the commits of one daemon"
    note = f"The configuration allows one account a daemon, so each account has a daemon of its own: {how}."
    rules = (
        f"The operator refuses what is more than 10 % over {RATE} in a second of its clock; {FED:g} times the contract"
        f" is pushed; the share counts from {_WARM:g} s after the first push to the last."
    )
    if messages >= PROMISED:
        return note, rules
    shorter = (
        f"{messages:,} of the promised {PROMISED:,} messages: the share and the throttling are taken to be the same"
        f" over all of them, which need {minutes:.0f} minutes (--messages {PROMISED})."
    )
    return note, rules, shorter


ROWS: Final = (
    Row(
        "operators",
        f"four accounts of {RATE} PDUs a second, {', '.join(f'{one * 1000:.0f}' for one in LATENCIES)} ms, windows of"
        f" {WINDOW}, a fifth otp or fraud, two-part UCS-2",
        _operators,
        seconds=150.0,
    ),
)
