"""The command that shows what goes over an operator's lines."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import click
import msgspec

from mgate.config.kinds import NotAllowed, Span
from mgate.control.asked import Asked
from mgate.control.cli.root import common
from mgate.control.talk import Daemon, segment
from mgate.control.trace_views import TraceRow, TraceView

_FOR: Final = Span("1s", "1h")
_LOOK_EVERY: Final = 0.5


class _Seconds(click.ParamType[float]):
    name = "TIME"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return _FOR.read(value, Path())
        except NotAllowed:
            self.fail(f"{value} is not allowed; allowed: {_FOR.allowed}", param, ctx)


@click.command("trace")
@common
@click.argument("name", metavar="ROUTE[/BIND]")
@click.option("--to", default="", metavar="NUMBER", help="Only what concerns this number.")
@click.option("--for", "seconds", type=_Seconds(), default="10m", show_default=True, help="How long; at most 1h.")
@click.pass_obj
def bind_trace(asked: Asked, name: str, to: str, seconds: float) -> None:
    """Show every PDU of a bind, or of a whole route, as it comes and goes.

    Texts and passwords are not shown, numbers are masked. It ends by itself, or with Ctrl-C. With --json each PDU is
    one line.
    """
    route, _, bind = name.partition("/")
    path = f"/v1/traces/{segment(route)}"
    query = {"bind": bind, "to": to, "seconds": str(max(int(seconds), 1))}
    daemon = asked.daemon()
    daemon.post(f"{path}?{urlencode({key: value for key, value in query.items() if value})}", TraceView)
    asked.note(f"tracing {name} for {seconds:g} s; Ctrl-C ends it")
    try:
        _follow(asked, daemon, path)
    except KeyboardInterrupt:
        asked.note("ended")
    daemon.delete(path, TraceView)


def _follow(asked: Asked, daemon: Daemon, path: str) -> None:
    last = 0
    while True:
        view = daemon.get(path, TraceView, after=str(last))
        if view.rows and view.rows[0].n > last + 1:
            asked.note(f"{view.rows[0].n - last - 1} PDUs went by too fast to be kept")
        for row in view.rows:
            last = row.n
            click.echo(msgspec.json.encode(row).decode() if asked.as_json else _line(row))
        if not view.left:
            return
        time.sleep(_LOOK_EVERY)


def _line(row: TraceRow) -> str:
    arrow = "->" if row.way == "out" else "<-"
    said = [
        f"id {row.id}" if row.id else "",
        f"{row.source or '-'} to {row.destination or '-'}" if row.source or row.destination else "",
        f"{row.length} octets of text" if row.length >= 0 else "",
        f"TLVs {', '.join(row.tlvs)}" if row.tlvs else "",
        row.note,
    ]
    head = f"{row.at} {row.bind:<3}{arrow} {row.command:<22} {row.sequence:>8} {row.status}"
    return "  ".join([head.rstrip(), *(word for word in said if word)])
