"""Rules that never have the word, because one that goes before is for every message that they are for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mgate.policy.routing_table import Rule, Strip, ranked


class Shadow(NamedTuple):
    """``rule`` never has the word: ``by`` has it."""

    rule: str
    by: str


def shadows(rules: Sequence[Rule]) -> list[Shadow]:
    """The rules that one other rule leaves nothing to, in their order. What several do together is not seen."""
    strips = ranked(rules)
    seen: list[tuple[int, Strip]] = []
    by: dict[str, str | None] = {}
    for strip in strips:
        has = _conditions(strip)
        cover = next((other for theirs, other in seen if not theirs & ~has and _covers(other, strip)), None)
        name = strip.rule.name
        by[name] = None if cover is None or by.get(name, "") is None else cover.rule.name
        seen.append((has, strip))
    return [Shadow(rule.name, shadow) for rule in rules if (shadow := by[rule.name]) is not None]


def _conditions(strip: Strip) -> int:
    """Which conditions there are, as bits: whoever covers has none that the covered one lacks."""
    return sum(
        bool(condition) << bit for bit, condition in enumerate((*_sets(strip.rule), strip.prefixes, strip.rule.times))
    )


def _sets(rule: Rule) -> tuple[frozenset[object], ...]:
    return (
        frozenset(rule.classes), frozenset(rule.senders), frozenset(rule.clients), frozenset(rule.tags),
        frozenset(rule.countries), frozenset(rule.networks),
    )  # fmt: skip


def _covers(wide: Strip, narrow: Strip) -> bool:
    """Whether every message that ``narrow`` is for is one of ``wide`` too."""
    if any(mine and not theirs <= mine for mine, theirs in zip(_sets(wide.rule), _sets(narrow.rule), strict=True)):
        return False
    if wide.prefixes and not all(prefix.startswith(tuple(wide.prefixes)) for prefix in narrow.prefixes):
        return False
    return not wide.rule.times or _minutes(narrow.rule.times) <= _minutes(wide.rule.times)


def _minutes(times: Iterable[tuple[int, int]]) -> set[int]:
    return {minute for first, last in times for minute in range(first, last)}
