"""[reckoning]: what the daily reckoning calls late, how far it looks around, and where its results lie."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from mgate.config.kinds import Place, Span
from mgate.config.sources import TimeZone


class Reckoning(msgspec.Struct, frozen=True, kw_only=True):
    """[reckoning].

    Attributes:
        late_after: seconds from a row's writing to its acceptance, or to its sending, after which it is late.
        reach: so far after a day a message of its rows is looked for, and so far before it the row of a message.
        folder: where mgatectl puts results that are given no other place.
        time_zone: what a day is for clients that say none of their own: push clients and most drops.
    """

    late_after: Annotated[float, Span("1s", "7d")] = 300.0
    reach: Annotated[float, Span("1d", "60d")] = 7 * 86_400.0
    folder: Annotated[Path, Place()] = Path("reckonings")
    time_zone: Annotated[str, TimeZone()] = "UTC"
