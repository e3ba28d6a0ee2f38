"""Rules that never have the word, because one that goes before is for every message that they are for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import reduce
from operator import and_, or_
from typing import Final, NamedTuple

from mgate.policy.routing_table import WEEK, Field, Rule, Strip, ranked


class Shadow(NamedTuple):
    """``rule`` never has the word: ``by`` has it."""

    rule: str
    by: str


def shadows(rules: Sequence[Rule]) -> list[Shadow]:
    """The rules that one other rule leaves nothing to, in their order. What several do together is not seen."""
    strips = ranked(rules)
    fields = [Field[object]([sets[place] for sets in map(_sets, strips)]) for place in range(_SETS)]
    prefixes = Field([strip.prefixes for strip in strips])
    minutes = [_minutes(strip.rule) for strip in strips]
    by: dict[str, str | None] = {}
    for place, strip in enumerate(strips):
        wider = (1 << place) - 1 & _all_near(prefixes, strip.prefixes)
        for field, values in zip(fields, _sets(strip), strict=True):
            wider &= _suits_all(field, values)
        cover = next((bit for bit in _bits(wider) if not minutes[place] & ~minutes[bit]), None)
        name = strip.rule.name
        by[name] = None if cover is None or by.get(name, "") is None else strips[cover].rule.name
    return [Shadow(rule.name, shadow) for rule in rules if (shadow := by[rule.name]) is not None]


_SETS: Final = 6


def _sets(strip: Strip) -> tuple[frozenset[object], ...]:
    rule = strip.rule
    return (
        frozenset(rule.classes), frozenset(rule.senders), frozenset(rule.clients), frozenset(rule.tags),
        frozenset(rule.countries), frozenset(rule.networks),
    )  # fmt: skip


def _suits_all(field: Field[object], values: Collection[object]) -> int:
    """The rules that suit each of these values; those that suit any value, when there are none."""
    return reduce(and_, (field[value] for value in values), -1) if values else field.others


def _all_near(prefixes: Field[str], values: Collection[str]) -> int:
    """The same for prefixes: whoever has the beginning of one suits it."""
    if not values:
        return prefixes.others
    near = (reduce(or_, (prefixes[value[:end]] for end in range(1, len(value) + 1))) for value in values)
    return reduce(and_, near)


def _minutes(rule: Rule) -> int:
    """The minutes of the week that it is for, as bits."""
    if not rule.times:
        return (1 << WEEK) - 1
    return reduce(or_, ((1 << last) - (1 << first) for first, last in rule.times))


def _bits(bits: int) -> Iterator[int]:
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest
