"""What mgate says of itself: every metric name and every log event, declared once.

Labels are closed sets (route, bind, class, lane, a code of a documented list), never a phone number or a text. A log
line is one event of a closed list with fields of a closed list; a field may not hold a text of a message, and digits
that could be a phone number are masked on the way out, whatever a caller let slip.

The hot path pays an addition: a room keeps the `Number` or `Spread` that it counts on, and the Prometheus form is made
only when it is asked for.
"""

from mgate.telemetry.health import Alarm, Health, Phase
from mgate.telemetry.log import Event, Fields, Level, Log, scrub
from mgate.telemetry.numbers import (
    OUTCOMES,
    RECEIPTS,
    ROW_REFUSALS,
    SOURCE_ERRORS,
    SOURCE_STATES,
    BindNumbers,
    CertificateRole,
    DropNumbers,
    FeedNumbers,
    LaneNumbers,
    Number,
    OutcomeWord,
    OutwardKind,
    OutwardNumbers,
    PushNumbers,
    ReceiptWord,
    ReckoningNumbers,
    RouteNumbers,
    SourceNumbers,
    SourceState,
    SpoolNumbers,
    Spread,
    Telemetry,
    TlsNumbers,
)

__all__ = [
    "OUTCOMES",
    "RECEIPTS",
    "ROW_REFUSALS",
    "SOURCE_ERRORS",
    "SOURCE_STATES",
    "Alarm",
    "BindNumbers",
    "CertificateRole",
    "DropNumbers",
    "Event",
    "FeedNumbers",
    "Fields",
    "Health",
    "LaneNumbers",
    "Level",
    "Log",
    "Number",
    "OutcomeWord",
    "OutwardKind",
    "OutwardNumbers",
    "Phase",
    "PushNumbers",
    "ReceiptWord",
    "ReckoningNumbers",
    "RouteNumbers",
    "SourceNumbers",
    "SourceState",
    "SpoolNumbers",
    "Spread",
    "Telemetry",
    "TlsNumbers",
    "scrub",
]
