"""The row `tls`: what the push API takes over mutual TLS, beside what it takes by its socket.

The operator takes so little that nothing but the taking is measured: what a program of the bank waits for. What the
whole way costs is told by `batch` and `singles`; TLS adds to it what this row finds between the two ways in.
"""

import asyncio
from typing import Final, NamedTuple

from mgate.peers.bench.figures import Asked, Figure, figure, latencies
from mgate.peers.bench.load import EVERY_CLASS, Kind, Load, Plan, Stock
from mgate.peers.bench.row import Row, Said, Setting
from mgate.peers.bench.stage import Account, Cost, House, Meter
from mgate.peers.places import Place, Port, with_tls

CONNECTIONS: Final = 32
SLOW: Final = Account(rate=100, window=10)
ASKED: Final = {"batch": 12_000.0, "singles": 5_000.0}


class Way(NamedTuple):
    """One way in: its name in the figures, the place, and the share of the row's number that goes there."""

    name: str
    place: Place


def _tls(setting: Setting) -> Said:
    figures: list[Figure] = []
    with House(setting.folder / "house", SLOW) as house:
        port = with_tls(setting.folder, house.instance)
        house.open(setting.profiler.environment("tls") if setting.profiler else None)
        ways = (Way("mTLS", port), Way("socket", house.socket))
        for kind, connections, messages in (
            ("batch", 0, setting.count(60_000, 2_000)),
            ("singles", CONNECTIONS, setting.count(40_000, 1_000)),
        ):
            for way in ways:
                load, cost = _taken(
                    house, way, Stock(f"{kind}-{way.name}", Kind(EVERY_CLASS)), Plan(messages, connections)
                )
                figures += _figures(kind, way, load, cost)
        house.stop_daemon()
    return Said(tuple(figures))


def _taken(house: House, way: Way, stock: Stock, plan: Plan) -> tuple[Load, Cost]:
    meter, load = Meter(house), Load(stock, plan)
    asyncio.run(load.run(way.place))
    return load, meter.read()


def _figures(kind: str, way: Way, load: Load, cost: Cost) -> tuple[Figure, ...]:
    what, each = f"{kind}, {way.name}", 1e6 / load.made
    rate = load.made / (max(load.answered) - load.began)
    asked = Asked(">=", ASKED[kind]) if isinstance(way.place, Port) else None
    return (
        figure(f"{what}: taken", rate, unit="a second", asked=asked),
        Figure(
            f"{what}: mgated, CPU a message: all, user, system",
            ((cost.user + cost.system) * each, cost.user * each, cost.system * each),
            "µs",
        ),
        Figure(f"{what}: pusher, CPU a message", (cost.pusher * each,), "µs"),
        latencies(f"{what}: push to answer", load.latencies()),
    )


ROWS: Final = (
    Row(
        "tls",
        f"taken over mutual TLS and by the socket, one endless batch and {CONNECTIONS} kept connections, while the"
        f" operator takes {SLOW.rate} a second",
        _tls,
        seconds=45.0,
    ),
)
