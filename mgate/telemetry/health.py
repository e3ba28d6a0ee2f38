"""The alarms, where the daemon stands, and what /health answers."""

from __future__ import annotations

from enum import Enum

import msgspec


class Alarm(Enum):
    """What a person should look at now. The word stands in /metrics, /health and ``mgatectl status``."""

    NO_BIND_OPEN = "no_bind_open"
    RECEIPTS_MISSING = "receipts_missing"
    DISK_LOW = "disk_low"
    DISK_STALLED = "disk_stalled"
    COMMIT_FAILED = "commit_failed"
    HISTORY_FAILED = "history_failed"
    RECORD_QUARANTINED = "record_quarantined"
    IMPOSSIBLE_CHANGE = "impossible_change"
    KEYRING_MENDED = "keyring_mended"
    CLOCK_SET_BACK = "clock_set_back"
    CONFIG_REFUSED = "config_refused"
    TLS_FILES = "tls_files"
    CERTIFICATE_ENDS = "certificate_ends"
    SENDER_ENDS = "sender_ends"
    CRL_STALE = "crl_stale"
    RECKONING_GAP = "reckoning_gap"
    DROP_FAILED = "drop_failed"
    SOURCE_DOWN = "source_down"
    WRITEBACK_LATE = "writeback_late"
    WEBHOOK_LATE = "webhook_late"
    WEBHOOK_DEAD = "webhook_dead"
    EVENTS_LOST = "events_lost"
    SMS_PUMPING = "sms_pumping"
    ROUTE_POOR = "route_poor"


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
