"""How the demonstration looks: rich tables of the reckoning. Numbers are masked, texts are not here at all."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.table import Table
from rich.text import Text

from mgate.peers.demo.reckoning import ClassLine, Operator, Quantiles, Told

_STATES = (
    "delivered", "undelivered", "expired", "no_receipt", "cancelled", "sent", "uncertain", "leased", "ready", "waiting",
)  # fmt: skip
_STYLES = {"delivered": "green", "undelivered": "red", "expired": "red", "uncertain": "yellow"}


def class_table(lines: Sequence[ClassLine]) -> Table:
    """Class by state, with times; only states that occur, the sum last. It fits on a screen of 80 columns."""
    states = [state for state in _STATES if any(line.states[state] for line in lines)]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("class")
    for name in ("rows", "SMS", *states):
        table.add_column(name, justify="right", style=_STYLES.get(name, ""))
    for name in ("push → sent", "→ delivered"):
        table.add_column(f"{name}\np50 / p99", justify="right", no_wrap=True)
    for line in lines:
        if line is lines[-1]:
            table.add_section()
        counts = [str(line.states[state] or "") for state in states]
        times = (_times(line.sent), _times(line.delivered))
        table.add_row(line.name, str(line.messages), str(line.parts), *counts, *times)
    return table


def refused_table(refused: Sequence[Told]) -> Table:
    """The rows that were not taken, each with its reason."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("row", justify="right")
    for name in ("ref", "to (masked)", "why it was refused"):
        table.add_column(name, overflow="fold")
    for each in refused:
        # A plain str would be read for marks such as [red].
        table.add_row(*map(Text, (str(each.row), each.ref, each.to, each.reason)))
    return table


def why_not_line(reasons: Counter[str]) -> Text:
    """Why some of those that were taken did not arrive, the commonest first."""
    told = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    return Text(f"Not delivered, in the operator's words: {told or 'none'}.")


def operator_line(operator: Operator) -> Text:
    """What the other side counted."""
    return Text(
        f"Seen by the operator: {operator.taken} SMS taken ({operator.silent} of them never answered), {operator.later}"
        f" put off for a second, {operator.never} refused for good, {operator.receipts} receipts acknowledged."
    )


def curl(push_socket: Path, ref: str) -> str:
    """How to push one message, to be pasted into a shell."""
    return (
        f"curl --unix-socket {push_socket} \\\n"
        f"  http://mgate/v1/messages \\\n"
        f"""  -d '{{"ref":"{ref}","to":"+375291110001","class":"otp","text":"Code 482913"}}'"""
    )


def curl_again(push_socket: Path, ref: str) -> str:
    """How to ask what became of it."""
    return f"curl --unix-socket {push_socket} \\\n  'http://mgate/v1/messages?ref={ref}'"


def _times(pair: Quantiles | None) -> str:
    return "" if pair is None else f"{_seconds(pair.p50)} / {_seconds(pair.p99)} s"


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f}" if seconds < 9.995 else f"{seconds:.1f}"
