"""Rows of a database over mutual TLS: `source` at a rate, `drain` of what waits, `waiting` for what does not come.

A latency begins when the INSERT is handed to psql, so the core's own commit is in it, and ends when the operator has
read the submit_sm. PostgreSQL and psql share the cores with everything else; what the server costs is told beside.
"""

import subprocess
import time
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import msgspec

from mgate.peers.bench.figures import Asked, Figure, figure, latencies
from mgate.peers.bench.load import EVERY_CLASS, Kind, Stock
from mgate.peers.bench.rates import WINDOW, every_text_once, memory_figure
from mgate.peers.bench.row import Row, Said, Setting
from mgate.peers.bench.stage import Account, House, Meter, OneClock
from mgate.peers.bench.watch import NO_PROGRESS, Story, Watch, story
from mgate.peers.house import Asker, HouseError
from mgate.peers.postgres import ROLE, SOURCE, Cluster, source_sections

RATE: Final = 1_000
TOGETHER: Final = 10
"""Rows of one INSERT: a hundred transactions of the core a second."""

POLL: Final = 1.0
BESIDE_MS: Final = 60.0
DRAINED: Final = 10_000.0
QUERIES: Final = 1.0
CHANNEL: Final = "mgate_outbox"
SLOW: Final = Account(rate=100, window=10)
_FILES: Final = ("1-role.sql", "2-outbox.sql", "3-results.sql")
_ENDED: Final = "SELECT count(*) FROM mgate.results WHERE state IN ('delivered', 'undelivered', 'expired')"
_SETTLE: Final = 3.0
_LOOK: Final = 0.05
_SUBMIT: Final = b'{"kind":"submit"'


class _Source(msgspec.Struct, frozen=True):
    claimed: int
    taken: int


class _Sources(msgspec.Struct, frozen=True):
    sources: tuple[_Source, ...]


@contextmanager
def bank(*more: str) -> Iterator[Cluster]:
    """A PostgreSQL with the tables of `etc/sql`, and these files besides."""
    cluster = Cluster()
    try:
        cluster.make()
        cluster.apply(*_FILES, *more)
        yield cluster
    finally:
        cluster.remove()


def _house(setting: Setting, cluster: Cluster, name: str, account: Account, more: str = "") -> House:
    house = House(setting.folder / name, account)
    house.instance.settle(source_sections(cluster, setting.folder / name / "bank", more=more))
    return house


# ---- source --------------------------------------------------------------------------------------------------------


def _source(setting: Setting) -> Said:
    rows = setting.count(RATE * 60, RATE * 3)
    polled, before = _at_a_rate(setting, rows, "poll", f'poll = "{POLL:g}s"\n')
    announced, after = _at_a_rate(setting, rows, "NOTIFY", f'notify = "{CHANNEL}"\n')
    note = f"A latency begins when the INSERT of {TOGETHER} rows is handed to psql, every {TOGETHER * 1000 // RATE} ms."
    return Said((*polled, *announced, memory_figure(max(before, after))), (note,))


def _at_a_rate(setting: Setting, rows: int, how: str, settings: str) -> tuple[tuple[Figure, ...], int]:
    """The figures, and the daemon's most memory."""
    announced = how == "NOTIFY"
    stock = Stock(f"s{how[0]}", Kind(EVERY_CLASS))
    with (
        bank(*(["4-notify.sql"] if announced else [])) as cluster,
        _house(setting, cluster, how, Account(window=WINDOW), settings) as house,
    ):
        house.open(setting.profiler.environment(f"source-{how}") if setting.profiler else None)
        time.sleep(setting.seconds(_SETTLE, 1.0))
        clock, watch, meter, server = OneClock(), Watch(house.ledger, _SUBMIT), Meter(house), cluster.cpu()
        due = _insert(cluster, stock, rows)
        watch.wait(rows, house.check)
        cost, server = meter.read(), cluster.cpu() - server
        time.sleep(_SETTLE)
        house.stop_daemon()
        told = story(house.ledger)
    clock.check()
    every_text_once(told, rows)
    most = BESIDE_MS + (0.0 if announced else POLL * 1000.0)
    each = 1e6 / rows
    figures = (
        latencies(f"{how}: outbox to submit_sm", waited(stock, told, due, clock), most),
        Figure(f"{how}: mgated, PostgreSQL: CPU a row", ((cost.user + cost.system) * each, server * each), "µs"),
    )
    return figures, cost.peak


def _insert(cluster: Cluster, stock: Stock, rows: int) -> "array[float]":
    """Insert rows at the rate; when each was due, monotonic seconds. HouseError when psql ends before its time."""
    due = array("d")
    command = cluster.psql_command()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as psql:  # noqa: S603  # Debian's
        if psql.stdin is None:
            raise HouseError("psql has no standard input")
        began = time.monotonic()
        for first in range(0, rows, TOGETHER):
            numbers = range(first, min(first + TOGETHER, rows))
            values = ", ".join(f"({', '.join(_quoted(stock, number))})" for number in numbers)
            sql = f"INSERT INTO mgate.outbox (id, recipient, body, traffic, sender) VALUES {values};\n"  # noqa: S608  # made up
            at = began + first / RATE
            time.sleep(max(0.0, at - time.monotonic()))
            due.extend([at] * len(numbers))
            psql.stdin.write(sql.encode())
            psql.stdin.flush()
        psql.stdin.close()
        if psql.wait(60):
            raise HouseError("psql did not take the rows")
    return due


def fields(stock: Stock, number: int) -> tuple[str, str, str, str, str]:
    """The columns of a row: id, recipient, body, traffic, sender."""
    said = msgspec.json.decode(stock.draft(number).line, type=dict[str, str])
    return str(number + 1), said["to"], said["text"], said["class"], said["sender"]


def _quoted(stock: Stock, number: int) -> Sequence[str]:
    return [f"'{word}'" for word in fields(stock, number)]


def waited(stock: Stock, told: Story, due: "array[float]", clock: OneClock) -> list[float]:
    """Seconds from each row's INSERT to its submit_sm."""
    return [clock.monotonic(told.first[stock.fingerprints(number)[0]]) - at for number, at in enumerate(due)]


# ---- drain ---------------------------------------------------------------------------------------------------------


def _drain(setting: Setting) -> Said:
    rows = setting.count(100_000, 3_000)
    stock = Stock("d", Kind(EVERY_CLASS))
    with bank() as cluster, _house(setting, cluster, "whole", Account(window=WINDOW)) as house:
        _fill(cluster, stock, rows)
        setting.tell(f"{rows:,} rows wait")
        house.start_operator()
        house.start_daemon(setting.profiler.environment("drain") if setting.profiler else None)
        meter, server = Meter(house), cluster.cpu()
        began, taken, ended = _until_all_ended(house, cluster, rows)
        cost, server = meter.read(), cluster.cpu() - server
        house.stop_daemon()
        told = story(house.ledger)
    every_text_once(told, rows)
    with bank() as cluster, _house(setting, cluster, "taken", SLOW) as house:
        _fill(cluster, stock, rows)
        house.start_operator()
        house.start_daemon()
        alone_meter = Meter(house)
        alone_began, alone_taken = until_all_taken(house, rows)
        alone = alone_meter.read()
        house.stop_daemon()
    each = 1e6 / rows
    return Said((
        figure("rows a second with their last result", rows / (ended - began), unit="a second",
               asked=Asked(">=", DRAINED)),
        Figure("rows a second taken meanwhile", (rows / (taken - began),), "a second"),
        Figure("mgated, PostgreSQL: CPU a row", ((cost.user + cost.system) * each, server * each), "µs"),
        figure("rows a second taken and marked while the operator takes 100 a second",
               rows / (alone_taken - alone_began), unit="a second", asked=Asked(">=", DRAINED)),
        Figure("the same: mgated, CPU a row", ((alone.user + alone.system) * each,), "µs"),
        memory_figure(cost.peak),
    ), slots=WINDOW)  # fmt: skip


def _fill(cluster: Cluster, stock: Stock, rows: int) -> None:
    """Rows that wait, as after a day on which mgate was away."""
    lines = "\n".join("\t".join(fields(stock, number)) for number in range(rows))
    cluster.psql(f"COPY mgate.outbox (id, recipient, body, traffic, sender) FROM STDIN;\n{lines}\n\\.\n")
    cluster.psql("ANALYZE mgate.outbox")


def until_all_taken(house: House, rows: int) -> tuple[float, float]:
    """When the first row was claimed and when all were taken, monotonic."""
    began, seen, heard = 0.0, 0, time.monotonic()
    asker = Asker(house.instance.path / "run" / "admin.sock")
    try:
        while seen < rows:
            now = time.monotonic()
            try:
                (source,) = asker.get("/v1/sources", _Sources).sources
            except OSError:
                source = _Source(0, 0)  # it takes pushes already, and questions in a moment
                asker.close()
            began = began or (now if source.claimed else 0.0)
            if source.taken != seen:
                seen, heard = source.taken, now
            if now - heard > NO_PROGRESS:
                raise HouseError(f"{seen} of {rows} rows were taken, and no more")
            house.check()
            time.sleep(_LOOK)
    finally:
        asker.close()
    return began, heard


def _until_all_ended(house: House, cluster: Cluster, rows: int) -> tuple[float, float, float]:
    """The same, and when all had their last result."""
    began, taken = until_all_taken(house, rows)
    seen, heard = -1, time.monotonic()
    while seen < rows:
        count, now = int(cluster.psql(_ENDED)), time.monotonic()
        if count != seen:
            seen, heard = count, now
        if now - heard > NO_PROGRESS:
            raise HouseError(f"{seen} of {rows} rows have their last result, and no more")
        house.check()
        time.sleep(2 * _LOOK)
    return began, taken, heard


# ---- waiting -------------------------------------------------------------------------------------------------------


def _waiting(setting: Setting) -> Said:
    seconds = setting.seconds(60.0, 5.0)
    with bank() as cluster, _house(setting, cluster, "house", Account(window=WINDOW)) as house:
        cluster.psql(f"ALTER ROLE {ROLE} SET log_statement = 'all'")
        house.open()
        time.sleep(setting.seconds(10.0, 3.0))
        meter, began, before, server = Meter(house), time.monotonic(), _statements(cluster), cluster.cpu()
        time.sleep(seconds)
        said, cost, seconds = _statements(cluster) - before, meter.read(), time.monotonic() - began
        server = cluster.cpu() - server
    share = 100.0 / seconds
    return Said((
        figure("statements a second", said / seconds, unit="a second", asked=Asked("<=", QUERIES)),
        Figure("mgated, PostgreSQL: CPU of one core", ((cost.user + cost.system) * share, server * share), "%"),
    ))  # fmt: skip


def _statements(cluster: Cluster) -> int:
    return statements(cluster.log.read_text(errors="replace").splitlines())


def statements(log: Iterable[str]) -> int:
    """What mgate's role has said to a server that logs every statement, prepared ones among them."""
    marks = tuple(f" {ROLE} LOG:  {how}" for how in ("statement: ", "execute "))
    return sum(any(mark in line for mark in marks) for line in log)


ROWS: Final = (
    Row(
        "source",
        f"{RATE:,} rows a second inserted into an outbox behind mutual TLS, {TOGETHER} a transaction: polled every"
        f" {POLL:g} s, and announced by NOTIFY",
        _source,
        seconds=150.0,
    ),
    Row("drain", "100,000 rows wait in the outbox when the daemon starts, to their last result", _drain, seconds=60.0),
    Row("waiting", f"a source ({SOURCE}) into which nobody writes", _waiting, seconds=80.0),
)
