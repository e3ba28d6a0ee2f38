"""What the daemon's own log tells a judge, and what must stand in no file of it."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

_PLAIN: Final = (b"37529111", b"Tell it to nobody", "Банк Пример".encode(), "Банк Пример".encode("utf-16-be"))
_NEVER: Final = frozenset(("bug", "foreign_error", "record_quarantined"))
_NEVER_ALARMED: Final = frozenset(("impossible_change", "record_quarantined"))


class Line(msgspec.Struct, frozen=True):
    """One line of the log."""

    event: str
    level: str = ""
    count: int = 0
    alarm: str = ""
    error: str = ""
    detail: str = ""
    frames: tuple[str, ...] = ()


class Words(NamedTuple):
    """The log of all daemons of a run.

    Attributes:
        events: how often each was logged.
        swept: how many attempts each start found open, where any were.
        bad: lines that must never be written, counted.
    """

    events: Mapping[str, int]
    swept: tuple[int, ...]
    bad: Mapping[str, int]


def read_words(log: Path) -> Words:
    """Read a log; what is no line of ours is left out, but for a traceback, which is bad."""
    events: Counter[str] = Counter()
    bad: Counter[str] = Counter()
    swept: list[int] = []
    decoder = msgspec.json.Decoder(Line)
    with log.open("rb") as lines:
        for raw in lines:
            if not raw.startswith(b"{"):
                if raw.startswith(b"Traceback"):
                    bad["a traceback outside the log"] += 1
                continue
            try:
                line = decoder.decode(raw)
            except msgspec.MsgspecError:
                continue  # cut by a kill
            events[line.event] += 1
            if line.event == "spool_swept":
                swept.append(line.count)
            if line.event in _NEVER or (line.event == "alarm_raised" and line.alarm in _NEVER_ALARMED):
                place = line.frames[-1] if line.frames else ""
                bad[f"{line.event} {line.alarm or line.error} {line.detail} {place}".rstrip()] += 1
    return Words(events, tuple(swept), bad)


def leaks(*places: Path) -> list[Path]:
    """Files that hold a pushed number or text in plain; not the configuration, where duty numbers stand as they are."""
    files = [path for place in places for path in (place.rglob("*") if place.is_dir() else (place,)) if path.is_file()]
    return [path for path in files if path.name != "mgate.toml" and any(plain in path.read_bytes() for plain in _PLAIN)]
