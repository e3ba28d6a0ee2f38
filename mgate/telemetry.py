"""What mgate says of itself: every metric name and every log event, declared once.

Labels are closed sets (route, bind, class, lane, a code of a documented list), never a phone number or a text. A log
line is one event of a closed list with fields of a closed list; a field may not hold a text of a message, and digits
that could be a phone number are masked on the way out, whatever a caller let slip.

The hot path pays an addition: a room keeps the `Number` or `Spread` that it counts on, and the Prometheus form is made
only when it is asked for.
"""

from __future__ import annotations

import re
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum, IntEnum
from itertools import accumulate
from typing import Final, Literal, TypedDict, TypeVar, Unpack

import msgspec
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from mgate.model.address import mask
from mgate.model.message import ENDED, TrafficClass, show_id
from mgate.policy.classes import LANES

# ---- the log -------------------------------------------------------------------------------------------------------


class Level(IntEnum):
    """How much an event matters. An ERROR wants a person."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


class Event(Enum):
    """Everything that can be logged: the word in the line, and its level."""

    STARTED = "started", Level.INFO
    READY = "ready", Level.INFO
    STOPPING = "stopping", Level.INFO
    STOPPED = "stopped", Level.INFO
    START_REFUSED = "start_refused", Level.ERROR
    ALARM_RAISED = "alarm_raised", Level.ERROR
    ALARM_CLEARED = "alarm_cleared", Level.INFO
    LOOP_LAGGED = "loop_lagged", Level.WARNING
    LOOP_HUNG = "loop_hung", Level.ERROR
    CONFIG_REFUSED = "config_refused", Level.ERROR
    CONFIG_CHANGED = "config_changed", Level.INFO
    CONFIG_READ = "config_read", Level.INFO
    LOG_LINES_LOST = "log_lines_lost", Level.WARNING
    BUG = "bug", Level.ERROR
    FOREIGN_WARNING = "foreign_warning", Level.WARNING
    FOREIGN_ERROR = "foreign_error", Level.ERROR

    SPOOL_SWEPT = "spool_swept", Level.WARNING
    COMMIT_FAILED = "commit_failed", Level.ERROR
    RECORD_QUARANTINED = "record_quarantined", Level.ERROR
    KEYRING_MENDED = "keyring_mended", Level.WARNING
    HISTORY_DROPPED = "history_dropped", Level.INFO

    SOCKET_OPENED = "socket_opened", Level.INFO

    BIND_CONNECTING = "bind_connecting", Level.DEBUG
    BIND_OPENED = "bind_opened", Level.INFO
    BIND_CLOSED = "bind_closed", Level.WARNING
    BIND_REFUSED = "bind_refused", Level.ERROR
    BIND_PAUSED = "bind_paused", Level.WARNING
    BIND_RESUMED = "bind_resumed", Level.INFO
    BIND_THROTTLED = "bind_throttled", Level.WARNING
    OPERATOR_BROKE_PROTOCOL = "operator_broke_protocol", Level.ERROR
    ANSWERS_LOST = "answers_lost", Level.WARNING

    ADMIN_ACT = "admin_act", Level.INFO
    MESSAGE_CANCELLED = "message_cancelled", Level.INFO

    def __init__(self, word: str, level: Level) -> None:
        self.word = word
        self.level = level


class Fields(TypedDict, total=False):
    """Everything that an event may carry. ``message`` is an id and is shown as outside; the rest stands as it is."""

    message: int
    route: str
    bind: int
    client: str
    state: str
    outcome: str
    reason: str
    status: str
    alarm: str
    error: str
    detail: str
    source: str
    frames: list[str]
    path: str
    peer: str
    version: str
    instance: str
    uid: int
    pid: int
    count: int
    octets: int
    seconds: float


_NUMBER_LIKE: Final = re.compile(r"\+?[0-9]{9,}", re.ASCII)
_MAY_HOLD_DIGITS: Final = frozenset({"path", "frames"})


class Log:
    """Writes one JSON line an event.

    Args:
        write: takes a line as bytes; an OSError of it is counted, never raised: a full log must stop nothing. The
            first line that can be written again is followed by how many were lost.
        level: events below it are not written.
        now: seconds since 1970.
    """

    def __init__(
        self, write: Callable[[bytes], object], level: Level = Level.INFO, now: Callable[[], float] = time.time
    ) -> None:
        self._write = write
        self._level = level
        self._now = now
        self._encode = msgspec.json.Encoder().encode
        self._lost = 0

    def apply(self, level: Level) -> None:
        """Write no events below this level from now on."""
        self._level = level

    def __call__(self, event: Event, **fields: Unpack[Fields]) -> None:
        """Log an event."""
        if event.level >= self._level and self._put(event, fields) and self._lost:
            lost, self._lost = self._lost, 0
            self._put(Event.LOG_LINES_LOST, {"count": lost})

    def _put(self, event: Event, fields: Fields) -> bool:
        line: dict[str, object] = {"at": _utc(self._now()), "level": event.level.name.lower(), "event": event.word}
        line.update((name, _shown(name, value)) for name, value in fields.items())
        try:
            self._write(self._encode(line) + b"\n")
        except OSError:
            self._lost += 1
            return False
        return True


def scrub(text: str) -> str:
    """A text of foreign origin with every run of digits masked that could be a phone number."""
    return _NUMBER_LIKE.sub(lambda found: mask(found[0]), text)


def _shown(name: str, value: object) -> object:
    if name == "message" and isinstance(value, int):
        return show_id(value)
    return scrub(value) if isinstance(value, str) and name not in _MAY_HOLD_DIGITS else value


def _utc(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at * 1000) % 1000:03d}Z"


# ---- numbers -------------------------------------------------------------------------------------------------------


class Number:
    """One line of /metrics: a plain number that its room adds to, or sets. ``n += 1`` is all that the hot path pays."""

    __slots__ = ("n",)

    def __init__(self) -> None:
        self.n: float = 0


class Spread:
    """A histogram with fixed buckets. ``bounds`` are their upper ends, ascending; one more bucket takes the rest."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def add_all(self, values: Iterable[float]) -> None:
        """Count a batch of values."""
        bounds, counts = self.bounds, self.counts
        total = 0.0
        for value in values:
            counts[bisect_left(bounds, value)] += 1
            total += value
        self.total += total


_QUICK: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_DELIVERY: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 86_400.0)
_ROWS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500)

OutcomeWord = Literal["accepted", "deferred", "rejected", "uncertain", "not_written"]
OUTCOMES: Final[tuple[OutcomeWord, ...]] = ("accepted", "deferred", "rejected", "uncertain", "not_written")
ReceiptWord = Literal["matched", "early", "repeat"]
RECEIPTS: Final[tuple[ReceiptWord, ...]] = ("matched", "early", "repeat")

_Kind = Literal["counter", "gauge", "histogram"]
_Word = TypeVar("_Word", bound=str)


class _Family:
    """One metric name: its kind, help, and a child for each set of labels."""

    def __init__(self, name: str, kind: _Kind, text: str, labels: tuple[str, ...]) -> None:
        self.name = name
        self.kind = kind
        self.text = text
        self.labels = labels
        self.numbers: dict[tuple[str, ...], Number] = {}
        self.spreads: dict[tuple[str, ...], Spread] = {}

    def collect(self) -> Metric:
        match self.kind:
            case "counter":
                counter = CounterMetricFamily(self.name, self.text, labels=self.labels)
                for values, number in self.numbers.items():
                    counter.add_metric(values, number.n)
                return counter
            case "gauge":
                gauge = GaugeMetricFamily(self.name, self.text, labels=self.labels)
                for values, number in self.numbers.items():
                    gauge.add_metric(values, number.n)
                return gauge
            case "histogram":
                histogram = HistogramMetricFamily(self.name, self.text, labels=self.labels)
                for values, spread in self.spreads.items():
                    histogram.add_metric(values, _buckets(spread), spread.total)
                return histogram


def _buckets(spread: Spread) -> list[tuple[str, float]]:
    ends = (*(str(float(bound)) for bound in spread.bounds), "+Inf")
    return [(end, float(count)) for end, count in zip(ends, accumulate(spread.counts), strict=True)]


class _Families(Collector):
    """Every metric name that was declared, in order."""

    def __init__(self) -> None:
        self._families: dict[str, _Family] = {}

    def counter(self, name: str, text: str, **labels: str) -> Number:
        return self._number(name, "counter", text, labels)

    def gauge(self, name: str, text: str, **labels: str) -> Number:
        return self._number(name, "gauge", text, labels)

    def counters(self, name: str, text: str, label: str, words: Iterable[_Word]) -> dict[_Word, Number]:
        return {word: self._number(name, "counter", text, {label: word}) for word in words}

    def spread(self, name: str, text: str, bounds: Sequence[float], **labels: str) -> Spread:
        family = self._family(name, "histogram", text, labels)
        return family.spreads.setdefault(tuple(labels.values()), Spread(bounds))

    def collect(self) -> Iterator[Metric]:
        for family in self._families.values():
            yield family.collect()

    def _number(self, name: str, kind: _Kind, text: str, labels: Mapping[str, str]) -> Number:
        return self._family(name, kind, text, labels).numbers.setdefault(tuple(labels.values()), Number())

    def _family(self, name: str, kind: _Kind, text: str, labels: Mapping[str, str]) -> _Family:
        return self._families.setdefault(name, _Family(name, kind, text, tuple(labels)))


class PushNumbers:
    """Of what comes in. ``accepted`` by class, ``refused`` by the code of the refusal."""

    def __init__(self, families: _Families, codes: Iterable[str]) -> None:
        by_class = families.counters(
            "mgate_pushes_accepted", "Messages taken, by class", "class", [traffic.word for traffic in TrafficClass]
        )
        self.accepted = {traffic: by_class[traffic.word] for traffic in TrafficClass}
        self.duplicates = families.counter("mgate_pushes_duplicate", "Pushes that were recognised as repeats")
        self.refused = families.counters("mgate_pushes_refused", "Pushes refused, by code", "code", codes)
        self.connections = families.gauge("mgate_http_connections", "Connections open on the sockets of mgate")
        self.dropped = families.counter("mgate_http_dropped", "Connections dropped for being slow, silent or broken")


class SpoolNumbers:
    """Of the memory. ``commit_seconds`` and ``commit_rows`` are filled once a commit, ``ended`` by final state."""

    def __init__(self, families: _Families) -> None:
        self.commit_seconds = families.spread("mgate_commit_seconds", "How long a group commit took", _QUICK)
        self.commit_rows = families.spread("mgate_commit_rows", "Changes in one group commit", _ROWS)
        self.commit_failures = families.counter("mgate_commit_failures", "Group commits that were rolled back")
        self.stalled = families.gauge("mgate_commit_stalled_seconds", "How long a stalled disk has held up a commit")
        self.stalls = families.counter("mgate_disk_stalls", "Times that the disk held up a commit for too long")
        self.leases = families.counter("mgate_leases", "Parts leased: each may leave once for it")
        self.ended = families.counters(
            "mgate_messages_ended", "Messages ended, by state", "state", sorted(state.word for state in ENDED)
        )
        self.moved = families.counter("mgate_history_moved", "Messages moved from the spool to the history")
        self.octets = families.gauge("mgate_spool_bytes", "Size of the spool's files")
        self.free = families.gauge("mgate_spool_free_bytes", "Free bytes on the spool's disk")
        self.uncertain = families.gauge("mgate_uncertain", "Parts that may have been sent, and nobody knows")


class LaneNumbers:
    """Of one lane of one route: parts that wait, and the age of the oldest in seconds."""

    def __init__(self, families: _Families, route: str, lane: int) -> None:
        labels = {"route": route, "lane": str(lane)}
        self.waiting = families.gauge("mgate_waiting", "Parts that wait for a slot", **labels)
        self.oldest = families.gauge("mgate_oldest_waiting_seconds", "Age of the oldest of them", **labels)


class RouteNumbers:
    """Of one route: receipts by what became of them, and how long sending and delivery take."""

    def __init__(self, families: _Families, route: str) -> None:
        self.receipts: dict[ReceiptWord, Number] = {
            word: families.counter("mgate_receipts", "Receipts, by what became of them", route=route, result=word)
            for word in RECEIPTS
        }
        self.sent_seconds = families.spread(
            "mgate_sent_seconds", "From acceptance to the operator's answer", _DELIVERY, route=route
        )
        self.delivered_seconds = families.spread(
            "mgate_delivered_seconds", "From acceptance to the receipt", _DELIVERY, route=route
        )


class BindNumbers:
    """Of one configured bind: submits by outcome, its window, and its connection."""

    def __init__(self, families: _Families, route: str, bind: int) -> None:
        labels = {"route": route, "bind": str(bind)}
        self.submits: dict[OutcomeWord, Number] = {
            word: families.counter("mgate_submits", "Attempts ended, by outcome", **labels, outcome=word)
            for word in OUTCOMES
        }
        self.late = families.counter("mgate_late_answers", "Answers that came after their time limit", **labels)
        self.throttled = families.counter("mgate_throttled", "Times that the operator asked to slow down", **labels)
        self.connects = families.counter("mgate_connects", "Tries to connect", **labels)
        self.open = families.gauge("mgate_bind_open", "1 while bound", **labels)
        self.in_flight = families.gauge("mgate_window_used", "Slots of the window in use", **labels)
        self.window = families.gauge("mgate_window_size", "Slots of the window", **labels)


# ---- alarms and health ---------------------------------------------------------------------------------------------


class Alarm(Enum):
    """What a person should look at now. The word stands in /metrics, /health and ``mgatectl status``."""

    NO_BIND_OPEN = "no_bind_open"
    DISK_LOW = "disk_low"
    DISK_STALLED = "disk_stalled"
    COMMIT_FAILED = "commit_failed"
    HISTORY_FAILED = "history_failed"
    RECORD_QUARANTINED = "record_quarantined"
    IMPOSSIBLE_CHANGE = "impossible_change"
    KEYRING_MENDED = "keyring_mended"


class Phase(Enum):
    """Where the daemon stands in its life. Only RUNNING is healthy."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"


class Health(msgspec.Struct, frozen=True):
    """The answer of /health: 200 while ``state`` is ``running``, else 503. An alarm alone makes nothing unhealthy: a
    restart would not mend it."""

    state: str
    alarms: tuple[str, ...]
    version: str

    @property
    def status(self) -> int:
        """The HTTP status."""
        return 200 if self.state == Phase.RUNNING.value else 503


class Telemetry:
    """Every number of one instance.

    Args:
        version: of mgate.
        binds: how many binds each route has: a closed set, from the configuration.
        codes: the closed list of refusals (`intake.codes`).
    """

    def __init__(self, version: str, binds: Mapping[str, int], codes: Iterable[str]) -> None:
        families = _Families()
        families.gauge("mgate_build_info", "1, with the version that runs", version=version).n = 1
        self.version = version
        self.phase = Phase.STARTING
        self.push = PushNumbers(families, codes)
        self.spool = SpoolNumbers(families)
        self.routes = {route: RouteNumbers(families, route) for route in binds}
        self.lanes = {(route, lane): LaneNumbers(families, route, lane) for route in binds for lane in LANES}
        self.binds = {
            (route, bind): BindNumbers(families, route, bind) for route, count in binds.items() for bind in range(count)
        }
        self.loop_lag = families.spread("mgate_loop_lag_seconds", "How late the event loop woke", _QUICK)
        self._alarms = {alarm: families.gauge("mgate_alarm", "1 while raised", alarm=alarm.value) for alarm in Alarm}
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(families)
        ProcessCollector(registry=self._registry)

    def sound(self, alarm: Alarm, raised: bool) -> bool:
        """Raise or clear an alarm; True when that changed it, so that it is logged once."""
        changed = self._alarms[alarm].n != int(raised)
        self._alarms[alarm].n = int(raised)
        return changed

    def alarms(self) -> tuple[str, ...]:
        """The alarms that are raised."""
        return tuple(alarm.value for alarm, number in self._alarms.items() if number.n)

    def health(self) -> Health:
        """The answer of /health."""
        return Health(self.phase.value, self.alarms(), self.version)

    def render(self) -> bytes:
        """The answer of /metrics, in the text format 0.0.4 of Prometheus."""
        return generate_latest(self._registry)
