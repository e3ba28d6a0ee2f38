"""The numbers: every metric name with its labels, the alarms, and what /metrics and /health answer."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Final, Literal, TypeVar

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from mgate.model.message import ENDED, TrafficClass
from mgate.policy.classes import LANES
from mgate.telemetry.health import Alarm, Health, Phase

UNKNOWN: Final = math.nan
"""What nobody knows."""


class Number:
    """One line of /metrics: a plain number that its room adds to, or sets. ``n += 1`` is all that the hot path pays.

    A gauge that is `UNKNOWN` has no line.
    """

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

OutcomeWord = Literal["accepted", "deferred", "rejected", "elsewhere", "uncertain", "not_written"]
OUTCOMES: Final[tuple[OutcomeWord, ...]] = (
    "accepted", "deferred", "rejected", "elsewhere", "uncertain", "not_written",
)  # fmt: skip
ReceiptWord = Literal["matched", "early", "repeat"]
RECEIPTS: Final[tuple[ReceiptWord, ...]] = ("matched", "early", "repeat")

SourceState = Literal["running", "paused", "held", "failing", "stopped"]
SOURCE_STATES: Final[tuple[SourceState, ...]] = ("running", "paused", "held", "failing", "stopped")
SOURCE_ERRORS: Final = ("unreachable", "refused", "busy", "mismatch")
ROW_REFUSALS: Final = (
    "empty", "not_a_number", "form_not_read", "number_not_possible", "country_unknown", "landline",
    "conflict", "cancelled", "other",
)  # fmt: skip
"""Why rows are refused: of their numbers every reason, of the rest what an operator would look at apart."""

CertificateRole = Literal["ours", "authority", "crl", "peer"]
DropFileWord = Literal["taken", "refused", "broken"]
DROP_FILES: Final[tuple[DropFileWord, ...]] = ("taken", "refused", "broken")
DropRowWord = Literal["accepted", "known", "refused"]
DROP_ROWS: Final[tuple[DropRowWord, ...]] = ("accepted", "known", "refused")

TLS_REFUSALS: Final = (
    "wrong_authority", "expired", "not_yet_valid", "revoked", "wrong_name", "no_san", "wrong_usage", "self_signed",
    "weak_key", "old_protocol", "missing_chain", "key_mismatch", "stale_crl", "no_certificate", "unknown_peer", "other",
)  # fmt: skip

OutwardKind = Literal["writeback", "webhook"]

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
                    if not math.isnan(number.n):
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


class TlsNumbers:
    """Of handshakes that came to nothing, by the word of `net.tls`, and of what ends one day."""

    def __init__(self, families: _Families) -> None:
        text = "TLS handshakes refused, by us or by the peer"
        self.refused = families.counters("mgate_tls_refused", text, "reason", TLS_REFUSALS)
        self.handshakes = families.gauge("mgate_tls_handshakes", "Connections that have not shown who they are")
        self._families = families

    def days_left(self, identity: str, role: CertificateRole) -> Number:
        """Days until the first of these ends: of one section [tls.NAME], certificates or lists of one role."""
        text = "Days until the first of these certificates or revocation lists ends; below 0: it has ended"
        return self._families.gauge("mgate_certificate_days_left", text, identity=identity, role=role)


class SpoolNumbers:
    """Of the memory. ``commit_seconds`` and ``commit_rows`` are filled once a commit, ``ended`` by final state."""

    def __init__(self, families: _Families) -> None:
        self.commit_seconds = families.spread("mgate_commit_seconds", "How long a group commit took", _QUICK)
        self.commit_rows = families.spread("mgate_commit_rows", "Changes in one group commit", _ROWS)
        self.commit_failures = families.counter("mgate_commit_failures", "Group commits that were rolled back")
        self.stalled = families.gauge("mgate_commit_stalled_seconds", "How long a stalled disk has held up a commit")
        self.stalls = families.counter("mgate_disk_stalls", "Times that the disk held up a commit for too long")
        self.leases = families.counter("mgate_leases", "Parts leased: each may leave once for it")
        self.repeats = families.counter("mgate_repeats", "Parts leased although a try before may have been sent")
        self.ended = families.counters(
            "mgate_messages_ended", "Messages ended, by state", "state", sorted(state.word for state in ENDED)
        )
        self.moved = families.counter("mgate_history_moved", "Messages moved from the spool to the history")
        self.octets = families.gauge("mgate_spool_bytes", "Size of the spool's files")
        self.free = families.gauge("mgate_spool_free_bytes", "Free bytes on the spool's disk")
        self.uncertain = families.gauge("mgate_uncertain", "Parts that may have been sent, and nobody knows")


class FeedNumbers:
    """Of the feeds of one client; ``behind`` is of its slowest feed, in events of the journal, whoever's they are."""

    def __init__(self, families: _Families, client: str) -> None:
        self.delivered = families.counter("mgate_events_delivered", "Events answered to a client", client=client)
        self.acks = families.counter("mgate_event_acks", "Cursors made durable for a client", client=client)
        self.behind = families.gauge(
            "mgate_feed_behind_events", "Events of the journal behind the cursor of the slowest feed", client=client
        )


class SourceNumbers:
    """Of one database of the bank: its rows by what became of them, its errors, and how far it is behind."""

    def __init__(self, families: _Families, source: str) -> None:
        self.claimed = families.counter("mgate_source_claimed", "Rows claimed", source=source)
        self.taken = families.counter("mgate_source_taken", "Rows taken, repeats among them", source=source)
        self.duplicates = families.counter("mgate_source_duplicate", "Rows that were known already", source=source)
        self.returned = families.counter("mgate_source_returned", "Rows given back for now", source=source)
        self.refused = {
            reason: families.counter("mgate_source_refused", "Rows refused, by reason", source=source, reason=reason)
            for reason in ROW_REFUSALS
        }
        self.errors = {
            reason: families.counter("mgate_source_errors", "Failures of a database", source=source, reason=reason)
            for reason in SOURCE_ERRORS
        }
        self.state = {
            state: families.gauge("mgate_source_state", "1 for the state it is in", source=source, state=state)
            for state in SOURCE_STATES
        }
        self.waiting = families.gauge("mgate_source_waiting", "Rows that wait in the database", source=source)
        self.oldest = families.gauge("mgate_source_lag_seconds", "Age of the oldest row that waits", source=source)
        self.clock = families.gauge(
            "mgate_source_clock_difference_seconds", "The database's clock less ours", source=source
        )
        self.behind(-1, 0.0, UNKNOWN)

    def behind(self, waiting: int, oldest: float, clock: float) -> None:
        """It was looked at how far it is behind; ``waiting`` is -1 where the database does not say it."""
        known = waiting >= 0
        self.waiting.n, self.oldest.n = (waiting, round(oldest, 3)) if known else (UNKNOWN, UNKNOWN)
        self.clock.n = round(clock, 3)

    def enter(self, state: SourceState) -> None:
        """It is in this state now."""
        for word, number in self.state.items():
            number.n = int(word == state)


class DropNumbers:
    """Of one folder of files: files and rows by what became of them, and what waits."""

    def __init__(self, families: _Families, drop: str) -> None:
        self.files = {
            result: families.counter("mgate_drop_files", "Files, by what became of them", drop=drop, result=result)
            for result in DROP_FILES
        }
        self.rows = {
            result: families.counter("mgate_drop_rows", "Rows, by what became of them", drop=drop, result=result)
            for result in DROP_ROWS
        }
        self.waiting = families.gauge("mgate_drop_waiting_files", "Files whose manifest waits", drop=drop)
        self.open = families.gauge("mgate_drop_open_files", "Files of which messages have not ended", drop=drop)
        self.paused = families.gauge("mgate_drop_paused", "1 while paused", drop=drop)


class ReckoningNumbers:
    """Of the last reckoning of one client: what is missing, whether it balances, and when it was made."""

    def __init__(self, families: _Families, client: str) -> None:
        self.missing = families.gauge(
            "mgate_reckoning_missing", "Rows of the core that the last reckoning did not find", client=client
        )
        self.balances = families.gauge("mgate_reckoning_balances", "1 if the last reckoning balances", client=client)
        self.at = families.gauge("mgate_reckoning_timestamp_seconds", "When the last one was made", client=client)


class OutwardNumbers:
    """Of one feed that mgate hands on itself.

    Attributes:
        told: results written into a database, or events taken by a webhook; ``failures``: times that it did not work.
        refused: results left out, or events given up. ``lost``: sequences that the journal kept no more.
        lag: age in seconds of the oldest event that is not told.
    """

    def __init__(self, families: _Families, kind: OutwardKind, name: str) -> None:
        labels = {"kind": kind, "feed": name}
        self.told = families.counter("mgate_outward_told", "Results written, or events taken", **labels)
        self.failures = families.counter("mgate_outward_failures", "Times that the other side did not take", **labels)
        self.refused = families.counter("mgate_outward_refused", "Results left out, or events given up", **labels)
        self.lost = families.counter("mgate_outward_lost", "Sequences of the journal that were overtaken", **labels)
        self.lag = families.gauge("mgate_outward_lag_seconds", "Age of the oldest event that is not told", **labels)


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
        self.receipts_missing = families.gauge(
            "mgate_receipts_missing", "1 while it takes messages and its receipts stay away", route=route
        )
        self.sent_seconds = families.spread(
            "mgate_sent_seconds", "From acceptance to the operator's answer", _DELIVERY, route=route
        )
        self.answer_seconds = families.spread(
            "mgate_answer_seconds", "From the submit to the operator's answer", _QUICK, route=route
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
        self.suspect = families.gauge("mgate_bind_suspect", "1 while it takes submits and answers none", **labels)
        self.refused = families.counter("mgate_binds_refused", "Binds that the operator refused", **labels)
        self.in_flight = families.gauge("mgate_window_used", "Slots of the window in use", **labels)
        self.window = families.gauge("mgate_window_size", "Slots of the window", **labels)


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
        self.tls = TlsNumbers(families)
        self.spool = SpoolNumbers(families)
        self.routes: dict[str, RouteNumbers] = {}
        self.lanes: dict[tuple[str, int], LaneNumbers] = {}
        self.binds: dict[tuple[str, int], BindNumbers] = {}
        self.feeds: dict[str, FeedNumbers] = {}
        self.sources: dict[str, SourceNumbers] = {}
        self.drops: dict[str, DropNumbers] = {}
        self.outward: dict[tuple[OutwardKind, str], OutwardNumbers] = {}
        self.reckonings: dict[str, ReckoningNumbers] = {}
        self._families = families
        self.apply(binds)
        self.loop_lag = families.spread("mgate_loop_lag_seconds", "How late the event loop woke", _QUICK)
        self._alarms = {alarm: families.gauge("mgate_alarm", "1 while raised", alarm=alarm.value) for alarm in Alarm}
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(families)
        ProcessCollector(registry=self._registry)

    def apply(self, binds: Mapping[str, int]) -> None:
        """Count so many binds of each route from now on; what is counted already goes on."""
        for route in binds.keys() - self.routes.keys():
            self.routes[route] = RouteNumbers(self._families, route)
            self.lanes.update(((route, lane), LaneNumbers(self._families, route, lane)) for lane in LANES)
        keys = ((route, bind) for route, count in binds.items() for bind in range(count))
        self.binds.update((key, BindNumbers(self._families, *key)) for key in keys if key not in self.binds)

    def feeds_of(self, client: str) -> FeedNumbers:
        """The numbers of a configured client's feeds."""
        if client not in self.feeds:
            self.feeds[client] = FeedNumbers(self._families, client)
        return self.feeds[client]

    def source_of(self, name: str) -> SourceNumbers:
        """The numbers of a configured source."""
        if name not in self.sources:
            self.sources[name] = SourceNumbers(self._families, name)
        return self.sources[name]

    def drop_of(self, name: str) -> DropNumbers:
        """The numbers of a configured folder of files."""
        if name not in self.drops:
            self.drops[name] = DropNumbers(self._families, name)
        return self.drops[name]

    def outward_of(self, kind: OutwardKind, name: str) -> OutwardNumbers:
        """The numbers of a configured write-back, by its source, or webhook."""
        if (kind, name) not in self.outward:
            self.outward[kind, name] = OutwardNumbers(self._families, kind, name)
        return self.outward[kind, name]

    def reckoning_of(self, client: str) -> ReckoningNumbers:
        """The numbers of a configured client's reckonings, from the first one on."""
        if client not in self.reckonings:
            self.reckonings[client] = ReckoningNumbers(self._families, client)
        return self.reckonings[client]

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
