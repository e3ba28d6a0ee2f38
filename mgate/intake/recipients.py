"""Where a number is: its country, for the list of those that may be written to, and the zones of its clock.

What is asked for every message is one look into a table by the country's code; the library is asked for the few codes
that several countries share, and for zones. Its answers are remembered by the beginning of a number.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

ANY: Final = "*"
_TELLS: Final = 9
"""The plus sign and eight digits tell the country and the zone: one entry alone of the library's tables is longer."""
_REMEMBERED: Final = 32_768


class Countries:
    """The countries that may be written to, ISO 3166."""

    def __init__(self, allowed: Collection[str]) -> None:
        # Imported where it is used: it takes 30 ms and 13 MiB, and many a bank has no list.
        from phonenumbers import COUNTRY_CODE_TO_REGION_CODE  # noqa: PLC0415

        self._allowed = frozenset(allowed)
        self._codes = {f"+{code}": frozenset(regions) for code, regions in COUNTRY_CODE_TO_REGION_CODE.items()}
        self._found: dict[str, bool] = {}

    def allows(self, e164: str) -> bool:
        """Whether this number may be written to; one whose country nobody knows may not."""
        regions = next((self._codes[e164[:end]] for end in (4, 3, 2) if e164[:end] in self._codes), frozenset[str]())
        if regions <= self._allowed:
            return bool(regions)
        return not regions.isdisjoint(self._allowed) and self._ask(e164)

    def _ask(self, e164: str) -> bool:
        begin = e164[:_TELLS]
        if begin not in self._found:
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            self._found[begin] = country_of(e164) in self._allowed
        return self._found[begin]


class Zones:
    """The zones of numbers.

    Args:
        bank: the zone where that of a number is not known.
        fixed: the zone of a country that has several.
    """

    def __init__(self, bank: str, fixed: Mapping[str, str]) -> None:
        self._bank = (ZoneInfo(bank),)
        self._fixed = {country: (ZoneInfo(zone),) for country, zone in fixed.items()}
        self._found: dict[str, tuple[tzinfo, ...]] = {}

    def of(self, e164: str) -> tuple[tzinfo, ...]:
        """Every zone that the number may be in; at least one."""
        begin = e164[:_TELLS]
        found = self._found.get(begin)
        if found is None:
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            found = self._found[begin] = self._ask(e164)
        return found

    def _ask(self, e164: str) -> tuple[tzinfo, ...]:
        from phonenumbers import NumberParseException, parse  # noqa: PLC0415  # for what may have to wait, alone
        from phonenumbers.timezone import time_zones_for_number  # noqa: PLC0415

        fixed = self._fixed.get(country_of(e164)) if self._fixed else None
        if fixed is not None:
            return fixed
        try:
            names = time_zones_for_number(parse(e164))
            return tuple(ZoneInfo(name) for name in names) or self._bank
        except (NumberParseException, ZoneInfoNotFoundError, ValueError):  # "Etc/Unknown"
            return self._bank


def country_of(e164: str) -> str:
    """The country of a number, ISO 3166; empty when nobody knows."""
    from phonenumbers import NumberParseException, parse, region_code_for_number  # noqa: PLC0415

    try:
        return region_code_for_number(parse(e164)) or ""
    except NumberParseException:
        return ""
