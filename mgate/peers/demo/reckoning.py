"""What became of the rows of a push: counted by class and state, with the times that it took. Pure."""

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mgate.channels.smpp.pdu import ESME_RMSGQFUL, ESME_ROK, ESME_RSYSERR, ESME_RTHROTTLED
from mgate.model.message import ENDED, TrafficClass
from mgate.model.view import AttemptView, MessageView
from mgate.peers.smsc.ledger import Acknowledged, Row, Submitted

FINAL: Final = frozenset(state.word for state in ENDED)
REFUSED: Final = "refused"
_TRY_AGAIN: Final = frozenset((ESME_RTHROTTLED, ESME_RMSGQFUL, ESME_RSYSERR))


@dataclass(frozen=True, slots=True)
class Told:
    """One line of the result file: what mgatectl was told about one row; `to` is masked."""

    row: int
    ref: str
    to: str
    id: str
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class Quantiles:
    """The median and the 99th percentile (nearest rank) of some seconds."""

    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class ClassLine:
    """One class of traffic, or all.

    Attributes:
        parts: SMS in all.
        states: messages by their state.
        sent: from the acceptance to the operator's last answer; delivered: from there to the receipt. None: no message
            has both moments.
    """

    name: str
    messages: int
    parts: int
    states: Counter[str]
    sent: Quantiles | None
    delivered: Quantiles | None


@dataclass(frozen=True, slots=True)
class Operator:
    """What the operator counted: submit_sm it took, those of them that it never answered, those it refused for now and
    for good, and receipts that mgate acknowledged."""

    taken: int
    silent: int
    later: int
    never: int
    receipts: int


def read_told(lines: Iterable[str]) -> list[Told]:
    """The rows of a result file of `mgatectl push`."""
    return [
        Told(int(row["row"]), row["ref"], row["to"], row["id"], row["state"], row["reason"])
        for row in csv.DictReader(lines)
    ]


def unsettled(told: Sequence[Told]) -> list[Told]:
    """Rows that have neither a final state nor a reason for which they were refused."""
    return [each for each in told if each.state not in FINAL and not (each.state == REFUSED and each.reason)]


def why_not(told: Sequence[Told]) -> Counter[str]:
    """Why messages that were taken did not arrive: the first word of each reason, counted."""
    return Counter(
        each.reason.partition(" ")[0] or each.state
        for each in told
        if each.state in FINAL and each.state != "delivered"
    )


def by_class(views: Sequence[MessageView]) -> list[ClassLine]:
    """A line for each class that has messages, most urgent first, and at last one for all."""
    lines = []
    for traffic in TrafficClass:
        chosen = [view for view in views if view.traffic == traffic.word]
        if chosen:
            lines.append(_line(traffic.word, chosen))
    return [*lines, _line("all", views)]


def count_operator(rows: Iterable[Row]) -> Operator:
    """The operator's ledger, counted."""
    counts: Counter[str] = Counter(_kinds(rows))
    return Operator(counts["taken"], counts["silent"], counts["later"], counts["never"], counts["receipts"])


def quantiles(seconds: Sequence[float]) -> Quantiles | None:
    """None for nothing."""
    if not seconds:
        return None
    ordered = sorted(seconds)
    return Quantiles(_rank(ordered, 50), _rank(ordered, 99))


def seconds_to_sent(view: MessageView) -> float | None:
    """From the acceptance of a message to the operator's last answer about it; None when one of its parts has none."""
    sent = _last(view, _answered)
    return None if sent is None else sent - _moment(view.accepted_at)


def seconds_to_delivered(view: MessageView) -> float | None:
    """From the operator's last answer to the last receipt of a delivered message. A receipt that overtook its answer
    took no time; None when something has not happened."""
    sent, delivered = _last(view, _answered), _last(view, _receipted)
    if view.state != "delivered" or sent is None or delivered is None:
        return None
    return max(0.0, delivered - sent)


def _line(name: str, views: Sequence[MessageView]) -> ClassLine:
    return ClassLine(
        name,
        len(views),
        sum(view.parts for view in views),
        Counter(view.state for view in views),
        quantiles([seconds for view in views if (seconds := seconds_to_sent(view)) is not None]),
        quantiles([seconds for view in views if (seconds := seconds_to_delivered(view)) is not None]),
    )


def _last(view: MessageView, which: Callable[[AttemptView], str]) -> float | None:
    """The latest of a kind of moments over the last tries of all parts; None when one of them has none."""
    last_tries = {attempt.part: attempt for attempt in sorted(view.attempts, key=lambda attempt: attempt.attempt)}
    moments = [which(attempt) for attempt in last_tries.values()]
    return max(map(_moment, moments)) if len(moments) == view.parts and all(moments) else None


def _answered(attempt: AttemptView) -> str:
    return attempt.answered_at


def _receipted(attempt: AttemptView) -> str:
    return attempt.receipt_at


def _kinds(rows: Iterable[Row]) -> Iterator[str]:
    for row in rows:
        if isinstance(row, Acknowledged):
            yield "receipts"
        elif isinstance(row, Submitted):
            if row.status == ESME_ROK:
                yield "taken"
                if row.silent:
                    yield "silent"
            else:
                yield "later" if row.status in _TRY_AGAIN else "never"


def _rank(ordered: Sequence[float], percent: int) -> float:
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def _moment(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()
