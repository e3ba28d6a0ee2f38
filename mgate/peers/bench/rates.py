"""Rows of one account as fast as it goes: `batch`, `singles`; `operator`, the peer alone; `idle`, nothing at all."""

import asyncio
import time
from contextlib import ExitStack, nullcontext
from typing import Final

from mgate.peers.bench.figures import Asked, Figure, Result, figure, latencies
from mgate.peers.bench.load import EVERY_CLASS, Kind, Load, Plan, Stock
from mgate.peers.bench.row import Row, Said, Setting
from mgate.peers.bench.stage import Account, Cost, House, Meter, OneClock, Operator, spent
from mgate.peers.bench.watch import ACKNOWLEDGED, Story, Watch, story
from mgate.peers.esme import load
from mgate.peers.house import PASSWORD, SYSTEM_ID, HouseError, free_port

WINDOW: Final = 100
CONNECTIONS: Final = 32
BUDGET_US: Final = 50.0
MEMORY_MIB: Final = 200.0
ASKED: Final = {"batch": 15_000.0, "singles": 8_000.0}
RATE: Final = "messages a second, end to end"
TAKEN: Final = "messages a second, taken"
_SETTLE: Final = 1.0


def flow(setting: Setting, name: str, connections: int, messages: int) -> Said:
    """Push so many messages through a fresh house, and wait for their final receipts."""
    profiler = setting.profiler
    environment = profiler.environment(name) if profiler else None
    with House(setting.folder / "house", Account(window=WINDOW)) as house:
        house.open(environment)
        time.sleep(_SETTLE)
        with profiler.looking(house, name) if profiler else nullcontext():
            pushed, cost, clock, seconds = push(house, Stock("b", Kind(EVERY_CLASS)), Plan(messages, connections))
        house.stop_daemon()
        told = story(house.ledger)
    clock.check()
    every_text_once(told, messages)
    rate = figure(RATE, messages / seconds, unit="a second", asked=Asked(">=", ASKED[name]))
    return Said((rate, *_details(pushed, told, cost, clock)), slots=WINDOW)


def push(house: House, stock: Stock, plan: Plan) -> tuple[Load, Cost, OneClock, float]:
    """Push a load into a house that stands, until as many receipts were acknowledged: what that cost, and how many
    seconds it took from the first push on."""
    clock, watch, meter = OneClock(), Watch(house.ledger, ACKNOWLEDGED), Meter(house)
    pushed = Load(stock, plan)
    asyncio.run(pushed.run(house.socket))
    ended = watch.wait(plan.messages, house.check)
    return pushed, meter.read(), clock, ended - pushed.began


def every_text_once(told: Story, messages: int) -> None:
    """HouseError unless each message stands at the operator, once."""
    if len(told.first) != messages or told.repeats:
        raise HouseError(f"{messages} texts were pushed; the operator has {len(told.first)}, {told.repeats} twice")


def _details(pushed: Load, told: Story, cost: Cost, clock: OneClock) -> tuple[Figure, ...]:
    messages = pushed.made
    each = 1e6 / messages
    taken = messages / (max(pushed.answered) - pushed.began)
    return (
        Figure(TAKEN, (taken,), "a second"),
        cpu_figure(cost, messages),
        Figure("operator, pusher: CPU a message", (cost.operator * each, cost.pusher * each), "µs"),
        latencies("push to answer", pushed.latencies()),
        latencies("push to submit_sm", submit_latencies(pushed, told, clock)),
        memory_figure(cost.peak),
        Figure("messages", (float(messages),)),
    )


def cpu_figure(cost: Cost, messages: int) -> Figure:
    """mgated's CPU a message: all, its own, in the kernel."""
    each = 1e6 / messages
    three = ((cost.user + cost.system) * each, cost.user * each, cost.system * each)
    return figure("mgated, CPU a message: all, user, system", *three, unit="µs", asked=Asked("<=", BUDGET_US, 0))


def memory_figure(peak: int) -> Figure:
    """mgated's most resident memory."""
    return figure("mgated, resident memory at most", peak / 2**20, unit="MiB", asked=Asked("<", MEMORY_MIB))


def submit_latencies(pushed: Load, told: Story, clock: OneClock) -> list[float]:
    """Seconds from each message's moment to its first part's submit_sm at the operator. HouseError when one is not
    there."""
    found: list[float] = []
    for number in range(pushed.made):
        at = told.first.get(pushed.stock.fingerprints(number)[0])
        if at is None:
            raise HouseError(f"message {number} of {pushed.made} never came to the operator")
        found.append(clock.monotonic(at) - pushed.due[number])
    return found


def _batch(setting: Setting) -> Said:
    return flow(setting, "batch", 0, setting.count(150_000, 2_000))


def _singles(setting: Setting) -> Said:
    return flow(setting, "singles", CONNECTIONS, setting.count(80_000, 1_000))


def _operator(setting: Setting) -> Said:
    """The operator under a bare client: what no other row can be faster than."""
    messages = setting.count(300_000, 5_000)
    port = free_port()
    with ExitStack() as stack:
        operator = Operator(setting.folder, Account().script, port)
        stack.callback(operator.stop)
        idle, own = spent(operator), time.process_time()
        run = load("127.0.0.1", port, SYSTEM_ID, PASSWORD, messages=messages, window=300, receipts=True)
        done = asyncio.run(run)
        cost, own = spent(operator).cpu - idle.cpu, time.process_time() - own
    if done.receipts < messages:
        raise HouseError(f"of {messages} submits {done.submits} were answered and {done.receipts} had receipts")
    return Said((
        Figure("submits and receipts a second", (messages / done.seconds,), "a second"),
        Figure("operator, client: CPU a message", (cost / messages * 1e6, own / messages * 1e6), "µs"),
    ))  # fmt: skip


def _idle(setting: Setting) -> Said:
    seconds = setting.seconds(60.0, 3.0)
    with House(setting.folder / "house", Account(window=WINDOW)) as house:
        house.open()
        time.sleep(setting.seconds(10.0, 1.0))
        meter, began = Meter(house), time.monotonic()
        time.sleep(seconds)
        cost = meter.read()
        seconds = time.monotonic() - began
    share = (cost.user + cost.system) / seconds * 100.0
    return Said((
        figure("mgated, CPU of one core", share, unit="%", asked=Asked("<", 1.0)),
        figure("mgated, resident memory at most", cost.peak / 2**20, unit="MiB"),
    ))  # fmt: skip


def rate_of(result: Result) -> float:
    """The rate of a `batch` or `singles` row."""
    return result.value(RATE)


ROWS: Final = (
    Row("batch", f"one endless batch, every class, one bind, window {WINDOW}", _batch, seconds=20.0),
    Row(
        "singles",
        f"single pushes over {CONNECTIONS} kept connections, one bind, window {WINDOW}",
        _singles,
        seconds=20.0,
    ),
    Row("operator", "the scripted operator alone under a bare client, window 300, receipts", _operator, seconds=20.0),
    Row("idle", "an idle daemon with one bind", _idle, seconds=75.0),
)
