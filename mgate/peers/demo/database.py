"""`tools/demo --postgres`: a row that the core inserts becomes an SMS, and what became of it stands beside the row.

The database is Debian's PostgreSQL in a folder of its own, reached with certificates of a private authority that was
made on the spot; the tables are those of `etc/sql` as they stand.
"""

import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mgate.peers.demo.reckoning import FINAL, REFUSED
from mgate.peers.demo.screen import shell, step
from mgate.peers.demo.stage import Stage
from mgate.peers.house import HouseError
from mgate.peers.postgres import SOURCE, Cluster, source_sections
from mgate.peers.smsc.ledger import Submitted

FILES: Final = ("1-role.sql", "2-outbox.sql", "3-results.sql", "4-notify.sql")
INSERT: Final = """\
INSERT INTO mgate.outbox (recipient, body, traffic) VALUES
    ('+375291110001', 'Code 482913', 'otp'),
    ('8 (029) 111-00-02', 'Your card is ready', 'service'),
    ('see the file', 'Nobody can be told this', 'service');"""
AGAIN: Final = "INSERT INTO mgate.outbox (recipient, body, traffic) VALUES ('+375291110001', 'Code 739105', 'otp')"
ASK: Final = "SELECT key, state, reason, operator, parts, at FROM mgate.results ORDER BY at DESC LIMIT 5"
END_LIMIT: Final = 45.0
"""Seconds for the last result: the operator's script needs a few."""

_SETTINGS: Final = 'notify = "mgate_outbox"\ndefault_sender = "ExampleBank"\ndefault_country = "BY"\n'
_ROWS: Final = """
SELECT coalesce(json_agg(x ORDER BY x.id), '[]') FROM (
    SELECT o.id, o.status, coalesce(r.state, '') AS state, coalesce(r.reason, '') AS reason,
        coalesce(r.error, '') AS error, coalesce(r.parts, 0) AS parts,
        coalesce(extract(epoch FROM r.at - o.created), 0)::float8 AS after
    FROM mgate.outbox o LEFT JOIN mgate.results r ON r.key = o.id::text) x
"""
_LOOK: Final = 0.1


class Row(msgspec.Struct, frozen=True):
    """A row of the outbox and its result. ``after``: seconds from its insertion to what is told."""

    id: int
    status: str
    state: str
    reason: str
    error: str
    parts: int
    after: float

    @property
    def ended(self) -> bool:
        """Whether this is the last word on it."""
        return self.state in FINAL or self.state == REFUSED


@contextmanager
def database(console: Console) -> Iterator[Cluster]:
    """A PostgreSQL with the tables of `etc/sql`; nothing of it is left afterwards."""
    cluster = Cluster()
    try:
        cluster.make()
        cluster.apply(*FILES)
        step(
            console, "database", "psql -f " + " -f ".join(f"etc/sql/postgresql/{name}" for name in FILES),
            f"PostgreSQL listens on {cluster.host}: TLS, and certificates of its own authority only",
        )  # fmt: skip
        yield cluster
    finally:
        cluster.remove()


def connect(stage: Stage, cluster: Cluster) -> None:
    """Name the source in the configuration, as an administrator would."""
    stage.instance.settle(source_sections(cluster, stage.folder / "bank", more=_SETTINGS))


def play(stage: Stage, cluster: Cluster, console: Console) -> list[str]:
    """Insert some rows and show what became of each; a sentence for all that is not as promised."""
    step(console, "source", f"mgatectl source list: {SOURCE}, mutual TLS, woken by NOTIFY")
    step(console, "insert", "psql", "")
    shell(console, INSERT)
    before = sum(isinstance(row, Submitted) for row in stage.seen_by_operator())
    cluster.psql(INSERT)
    rows = _wait(cluster)
    console.print()
    console.print(_table(rows))
    submits = sum(isinstance(row, Submitted) for row in stage.seen_by_operator()) - before
    console.print(f"Seen by the operator: {submits} submit_sm. The core reads the results with its own transaction.\n")
    faults = [f"row {row.id} is {row.status}, {row.state or 'without a result'}" for row in rows if not row.ended]
    if not any(row.state == "delivered" for row in rows):
        faults.append("not one row was delivered")
    return faults


def commands(stage: Stage, cluster: Cluster) -> str:
    """What to try from another terminal. The statements hold nothing that a shell reads within its double quotes."""
    psql = shlex.join([*cluster.psql_command()[:1], *cluster.psql_command()[4:]])
    config = shlex.quote(str(stage.config))
    return (
        f'{psql} -c "{AGAIN}"\n'
        f'{psql} -c "{ASK}"\n'
        f"export MGATE_CONFIG={config}\ntools/venv mgatectl source list\ntools/venv mgatectl source check {SOURCE}"
    )


def _wait(cluster: Cluster) -> Sequence[Row]:
    """Until every row has its last word, or the time is over; HouseError when the database does not answer."""
    deadline = time.monotonic() + END_LIMIT
    while True:
        rows = msgspec.json.decode(cluster.psql(_ROWS), type=list[Row])
        if not rows:
            raise HouseError("PostgreSQL has lost the rows that were inserted")
        if all(row.ended for row in rows) or time.monotonic() > deadline:
            return rows
        time.sleep(_LOOK)


def _table(rows: Sequence[Row]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("row", "outbox", "result"):
        table.add_column(name)
    table.add_column("SMS", justify="right")
    table.add_column("after", justify="right")
    table.add_column("why", overflow="fold")
    for row in rows:
        why = row.error or row.reason
        table.add_row(*map(Text, (str(row.id), row.status, row.state, str(row.parts or ""), f"{row.after:.2f} s", why)))
    return table
