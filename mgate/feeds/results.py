"""Events as a bank's database is told them: the newest of each message, with what it costs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mgate.feeds.lines import way_of
from mgate.model.message import show_id
from mgate.model.source import Result, identity_of
from mgate.policy.cost import Price, cost_of
from mgate.spool.journal import FeedEvent


def newest(events: Iterable[FeedEvent]) -> list[FeedEvent]:
    """Of each message only its last event, in the order of the journal."""
    last: dict[int, FeedEvent] = {}
    for event in events:
        last.pop(event.message, None)
        last[event.message] = event
    return list(last.values())


def results_of(events: Sequence[FeedEvent], prices: Mapping[str, Price], *, versioned: bool) -> list[Result]:
    """Events of one source as results.

    Args:
        prices: of a part, by route; where there is none, no cost is told.
        versioned: whether the references of the source end in a version.
    """
    return [_result(event, prices.get(event.route), versioned) for event in events]


def _result(event: FeedEvent, price: Price | None, versioned: bool) -> Result:
    key, version = identity_of(event.ref, versioned=versioned)
    channel, operator = way_of(event.route)
    return Result(
        key=key,
        version=version,
        sequence=event.sequence,
        state=event.event,
        message=show_id(event.message),
        reason=event.reason,
        may_have_been_sent=event.may_have_been_sent,
        at=event.at / 1000,
        channel=channel,
        operator=operator,
        parts=event.parts,
        cost="" if price is None else cost_of(event.parts, price, may_have_been_sent=event.may_have_been_sent),
        currency="" if price is None else price.currency,
    )
