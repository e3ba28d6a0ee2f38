"""Rows at a rate: `latency`, what a push waits for when nothing waits; `otp`, what a code waits for in a campaign."""

import asyncio
import time
from typing import Final

from mgate.peers.bench.figures import Figure, latencies
from mgate.peers.bench.load import EVERY_CLASS, Kind, Load, Plan, Stock
from mgate.peers.bench.rates import CONNECTIONS, WINDOW, every_text_once, memory_figure, push, submit_latencies
from mgate.peers.bench.row import Row, Said, Setting
from mgate.peers.bench.stage import Account, House, OneClock, commit_ms
from mgate.peers.bench.watch import story

RATE: Final = 1_000.0
CAMPAIGN: Final = 200_000
CAMPAIGN_PARTS: Final = 3
NARROW: Final = Account(latency=0.5, rate=30, window=10, binds=1)
CODES: Final = ((4.0, 50.0), (8.0, 250.0))
"""Codes a second, and the most milliseconds from push to submit_sm that are asked of 99 in 100 of them."""
_TO_SUBMIT: Final = 25.0
_COMMITS: Final = 3.0
_BESIDE: Final = 5.0
_SETTLE: Final = 3.0


def _latency(setting: Setting) -> Said:
    rate = RATE
    messages = setting.count(int(rate * 60), int(rate * 3))
    before = commit_ms(setting.folder)
    with House(setting.folder / "house", Account(window=WINDOW)) as house:
        house.open()
        time.sleep(setting.seconds(_SETTLE, 0.5))
        pushed, cost, clock, _ = push(house, Stock("l", Kind(EVERY_CLASS)), Plan(messages, CONNECTIONS, rate))
        house.stop_daemon()
        told = story(house.ledger)
    clock.check()
    every_text_once(told, messages)
    commit = max(before, commit_ms(setting.folder))
    figures = (
        latencies("push to commit (the answer)", pushed.latencies(), most=_COMMITS * commit + _BESIDE),
        latencies("push to submit_sm", submit_latencies(pushed, told, clock), most=_TO_SUBMIT),
        Figure("mgated, CPU a message", ((cost.user + cost.system) / messages * 1e6,), "µs"),
        memory_figure(cost.peak),
    )
    note = f"Asked of the answer: three times the slower commit of before and after ({commit:.2f} ms) plus 5 ms."
    return Said(figures, (note, "A latency begins when the schedule says, one message each millisecond."))


def _otp(setting: Setting) -> Said:
    campaign = setting.count(CAMPAIGN, 3_000)
    seconds = setting.seconds(60.0, 8.0)
    clock = OneClock()
    with House(setting.folder / "house", NARROW) as house:
        house.open()
        marketing = Load(Stock("m", Kind(("marketing",), CAMPAIGN_PARTS)), Plan(campaign))
        asyncio.run(marketing.run(house.socket))
        setting.tell(f"{campaign:,} marketing messages of {CAMPAIGN_PARTS} parts were taken")
        time.sleep(setting.seconds(_SETTLE, 1.0))
        codes = [(most, _push_codes(house, rate, int(rate * seconds))) for rate, most in CODES]
        peak = house.peak()
        house.stop_daemon()
        told = story(house.ledger)
    clock.check()
    figures: list[Figure] = []
    for most, load in codes:
        rate = load.made / seconds
        figures.append(
            latencies(f"{rate:.0f} codes a second, push to submit_sm", submit_latencies(load, told, clock), most)
        )
    gone = len(told.submits) - sum(load.made for _, load in codes)
    figures += [memory_figure(peak), Figure("marketing parts that left meanwhile", (float(gone),))]
    return Said(tuple(figures), (f"{seconds:g} s at each rate; {campaign:,} marketing messages waited.",))


def _push_codes(house: House, rate: float, messages: int) -> Load:
    """Push codes evenly spaced over one kept connection; all have left when this returns."""
    load = Load(Stock(f"o{rate:.0f}", Kind(("otp",))), Plan(messages, 1, rate))
    asyncio.run(load.run(house.socket))
    time.sleep(_SETTLE)
    return load


ROWS: Final = (
    Row(
        "latency",
        f"{RATE:,.0f} single pushes a second over {CONNECTIONS} connections, evenly spaced",
        _latency,
        seconds=75.0,
    ),
    Row(
        "otp",
        f"codes while {CAMPAIGN:,} marketing messages of {CAMPAIGN_PARTS} parts wait: {NARROW.rate} PDUs a second,"
        f" window {NARROW.window}, {NARROW.latency * 1000:.0f} ms",
        _otp,
        seconds=200.0,
    ),
)
