"""What people see: rich tables of the views. Programs take ``--json``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from mgate.config import Plain, Setting, show_size
from mgate.control.certificate_views import CertificateRow
from mgate.control.errand import Pushed
from mgate.control.source_views import CalledView, CheckView, SourceView, UnreadView
from mgate.control.story import Story
from mgate.control.views import BindView, ChangeView, FeedView, LaneView, QueueRow, StatusView
from mgate.model.view import MessageView

_GOOD = frozenset({"running", "bound", "delivered"})
_BAD = frozenset({"stopping", "failing", "refused", "suspect", "undelivered", "expired", "no_receipt", "uncertain"})
_WATCH = frozenset({"paused", "held", "connecting", "waiting", "starting"})


def change_table(changes: Iterable[ChangeView]) -> Table:
    """What differs between the file and what runs."""
    table = grid("section", "setting", "was", "becomes", "when")
    for each in changes:
        came_or_went = "" if each.key else "new" if each.was is None else "gone"
        put(
            table,
            each.section,
            each.key or came_or_went,
            _plain(each.was) if each.key else "",
            _plain(each.becomes) if each.key else "",
            each.when,
        )
    return table


def _plain(value: Plain | None) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)


def status_tables(view: StatusView) -> list[Table]:
    """The daemon, its binds, and what waits."""
    whole = pairs(
        ("instance", f"{view.instance}, mgate {view.version}"),
        ("state", _state(view.state)),
        ("up for", span(view.uptime)),
        ("since the start", f"{view.accepted} accepted, {view.ended} ended"),
        ("uncertain", str(view.uncertain)),
        ("last commit", f"{span(view.last_commit)} ago" if view.last_commit >= 0 else "none yet"),
        ("spool", f"{size(view.spool_octets)}, {size(view.free_octets)} free on its disk"),
        ("alarms", Text(", ".join(view.alarms), "bold red") if view.alarms else Text("none", "green")),
    )
    return [whole, door_table(view), bind_table(view.binds), lane_table(view.lanes)]


def door_table(view: StatusView) -> Table:
    """The ways in: a client a row, and the addresses of the gate."""
    gates = ", ".join(f"{gate.address} (tls.{gate.tls})" for gate in view.gates) or "nowhere"
    table = grid("client", "socket", "open", "certificates", f"over TLS: {gates}", right=(2,))
    for door in view.doors:
        by_tls = f"{door.by_tls} open" if door.certificates and view.gates else ""
        put(table, door.client, door.socket, str(door.by_socket), "\n".join(door.certificates), by_tls)
    return table


def lane_table(lanes: Iterable[LaneView]) -> Table:
    """What waits, by lane."""
    table = grid("route", "lane", "waiting", "oldest", right=(1, 2, 3))
    for lane in lanes:
        put(table, lane.route, str(lane.lane), str(lane.waiting), span(lane.oldest) if lane.waiting else "")
    return table


def bind_table(binds: Iterable[BindView]) -> Table:
    """The binds, one a row."""
    names = ("bind", "state", "since", "peer", "window", "rate", "submits", "receipts", "last error")
    table = grid(*names, right=(4, 5, 6, 7))
    for bind in binds:
        put(
            table,
            f"{bind.route}/{bind.bind}" + ("" if bind.kind == "transceiver" else f" {bind.kind}"),
            _state(bind.state),
            moment(bind.since),
            bind.peer,
            f"{bind.in_flight} of {bind.window}",
            str(bind.rate or "no limit"),
            str(bind.submits),
            str(bind.receipts),
            bind.last_error,
        )
    return table


def queue_table(rows: Sequence[QueueRow]) -> Table:
    """What lives in the spool."""
    names = ("route", "class", "lane", "client", "ready", "waiting", "leased", "sent", "uncertain", "oldest")
    table = grid(*names, right=(2, 4, 5, 6, 7, 8, 9))
    for row in rows:
        counts = (row.ready, row.waiting, row.leased, row.sent, row.uncertain)
        oldest = span(row.oldest) if row.ready else ""
        put(table, row.route, row.traffic, str(row.lane), row.client, *map(str, counts), oldest)
    return table


def feed_table(feeds: Iterable[FeedView]) -> Table:
    """How far each feed has come."""
    table = grid("client", "feed", "cursor", "behind", "since", right=(3,))
    for feed in feeds:
        put(table, feed.client, feed.feed, feed.cursor, str(feed.behind), moment(feed.oldest))
    return table


def certificate_table(rows: Iterable[CertificateRow]) -> Table:
    """What ends when, the first end first."""
    table = grid("tls", "whose", "subject", "issuer", "names", "ends", "days left", "where", right=(6,))
    for each in rows:
        left = each.days_left
        style = "" if left is None or left > 14 else "yellow" if left > 1 else "red"
        days = Text("" if left is None else f"{left:.1f}", style)
        names = ", ".join(each.names)
        put(table, each.tls, each.role, each.subject, each.issuer, names, moment(each.ends), days, each.where)
    return table


def source_table(sources: Iterable[SourceView]) -> Table:
    """The databases that messages are taken from, one a row."""
    names = (
        "source",
        "state",
        "database",
        "mode",
        "waiting",
        "oldest",
        "taken",
        "refused",
        "returned",
        "unread",
        "why",
    )
    table = grid(*names, right=(4, 5, 6, 7, 8, 9))
    for each in sources:
        put(
            table,
            each.name,
            _state(each.state),
            each.place,
            each.mode,
            str(each.waiting) if each.waiting >= 0 else "",
            span(each.oldest) if each.waiting > 0 else "",
            str(each.taken),
            str(sum(each.refused.values())),
            str(each.returned),
            str(each.unread),
            "; ".join(part for part in (each.detail, each.todo, _next_try(each)) if part),
        )
    return table


def _next_try(source: SourceView) -> str:
    return f"next try in {span(source.next_try)}" if source.next_try >= 0 else ""


def problem_table(view: CheckView) -> Table:
    """What is wrong with a source, by who mends it."""
    table = grid("who mends it", "step", "what is wrong", "what to do")
    for each in sorted(view.problems, key=lambda problem: problem.who):
        put(table, each.who, each.step, each.problem if each.fatal else f"(warning) {each.problem}", each.todo)
    return table


def unread_tables(view: UnreadView) -> list[Table]:
    """The rows whose numbers could not be read."""
    counts = pairs(*((reason, str(count)) for reason, count in sorted(view.counts.items())))
    rows = grid("key", "version", "reason", "as it was written", "at (UTC)")
    for row in view.rows:
        at = datetime.fromtimestamp(row.at, UTC).isoformat(" ", "seconds").removesuffix("+00:00")
        put(rows, row.key, row.version, row.reason, row.shape, at)
    return [counts, rows]


def called_table(view: CalledView) -> Table:
    """What a call to the core gave."""
    names = list(view.rows[0]) if view.rows else ["nothing"]
    table = grid(*names)
    for row in view.rows:
        put(table, *("" if row.get(name) is None else str(row[name]) for name in names))
    return table


def message_table(messages: Iterable[MessageView]) -> Table:
    """Messages, one a row."""
    table = grid("id", "ref", "client", "class", "to", "state", "accepted", "reason")
    for message in messages:
        put(
            table,
            message.id,
            message.ref,
            message.client,
            message.traffic,
            message.to,
            _state(message.state),
            moment(message.accepted_at),
            message.reason,
        )
    return table


def message_card(message: MessageView) -> list[Table]:
    """One message, and its tries."""
    card = pairs(
        ("id", message.id),
        ("ref", message.ref),
        ("client, class", f"{message.client}, {message.traffic}"),
        ("to, from", f"{message.to}, {message.sender}"),
        ("state", _state(message.state)),
        ("reason", message.reason),
        ("may have been sent", "yes" if message.may_have_been_sent else "no"),
        ("parts", str(message.parts)),
        ("accepted", moment(message.accepted_at)),
        ("not before", moment(message.not_before)),
        ("expires", moment(message.expires_at)),
        ("ended", moment(message.ended_at)),
        ("tags", " ".join(message.tags)),
        ("kept in", "history" if message.in_history else "spool"),
    )
    tries = grid("part", "try", "bind", "fate", "left", "answered", "receipt", "reason", "operator's id")
    for attempt in message.attempts:
        put(
            tries,
            str(attempt.part),
            f"{attempt.attempt}{' (repeat)' if attempt.repeat else ''}",
            f"{attempt.route}/{attempt.bind}",
            attempt.fate,
            moment(attempt.leased_at),
            moment(attempt.answered_at),
            moment(attempt.receipt_at),
            attempt.reason,
            attempt.operator_id,
        )
    return [card, tries] if message.attempts else [card]


def stories(found: Sequence[Story], *, steps: bool) -> list[RenderableType]:
    """A paragraph a message, or all its steps."""
    shown: list[RenderableType] = []
    for story in found:
        shown += [f"{story.id}: {story.state}", story_table(story) if steps else " ".join(story.told) + "\n"]
    return shown


def story_table(story: Story) -> Table:
    """What happened, one step a row."""
    table = grid("at (UTC)", "what")
    for step in story.steps:
        put(table, moment(step.at), step.what)
    return table


def push_tables(pushed: Pushed) -> list[Table]:
    """How a push went, and the rows that were refused."""
    # Where nobody waited, each is as it was when it was taken, which says nothing of now.
    seen = {} if pushed.states.keys() <= {"accepted"} else pushed.states
    states = [(f"  now {state}", str(count)) for state, count in seen.items()]
    whole = pairs(
        ("rows", str(pushed.rows)),
        ("accepted", str(pushed.accepted)),
        ("known already", str(pushed.duplicate)),
        ("refused", str(pushed.refused)),
        *states,
        ("left out", _names(pushed.ignored)),
        ("results", pushed.result),
    )
    return [whole, *_bad_rows(pushed)]


def rehearsal_tables(pushed: Pushed) -> list[Table]:
    """What a push would find wrong before the daemon is asked."""
    good = pushed.rows - pushed.refused
    whole = pairs(
        ("rows", str(pushed.rows)),
        ("can be pushed", str(good)),
        ("wrong", str(pushed.refused)),
        ("left out", _names(pushed.ignored)),
    )
    return [whole, *_bad_rows(pushed)]


def _bad_rows(pushed: Pushed) -> list[Table]:
    if not pushed.bad:
        return []
    table = grid("row", "to", "reason", right=(0,))
    for row in pushed.bad:
        put(table, str(row.row), row.to, row.reason)
    return [table]


def _names(columns: Sequence[str]) -> str:
    return f"columns {', '.join(columns)}" if columns else ""


def setting_table(settings: Iterable[Setting]) -> Table:
    """Settings beside their defaults."""
    table = grid("section", "key", "value", "default")
    for setting in settings:
        default = "" if setting.default is None else str(setting.default)
        put(table, f"[{setting.section}]", setting.key, str(setting.value), default)
    return table


def span(seconds: float) -> str:
    """A length of time for the eye: ``0.4 s``, ``12 s``, ``3 min 20 s``, ``2 h 5 min``, ``4 d 1 h``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    for great, unit, small, small_unit in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= great:
            rest = whole % great // small
            return f"{whole // great} {unit}" + (f" {rest} {small_unit}" if rest else "")
    return f"{whole} s"


def size(octets: int) -> str:
    """A size for the eye: ``12.3 MiB``."""
    for power, unit in ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")):
        if octets >= 1 << power:
            return f"{octets / (1 << power):.1f} {unit}"
    return show_size(octets)


def moment(at: str) -> str:
    """An RFC 3339 moment for the eye, still in UTC: ``2026-11-22 05:10:08.062``."""
    return at.removesuffix("Z").replace("T", " ")


def _state(word: str) -> Text:
    style = "green" if word in _GOOD else "red" if word in _BAD else "yellow" if word in _WATCH else ""
    return Text(word, style)


def grid(*names: str, right: Sequence[int] = ()) -> Table:
    """A table with these columns; ``right``: those that stand at the right."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(names):
        table.add_column(name, justify="right" if index in right else "left", overflow="fold")
    return table


def pairs(*pairs: tuple[str, str | Text]) -> Table:
    """Names and values, without those that are empty."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in pairs:
        if str(value):
            put(table, name, value)
    return table


def put(table: Table, *cells: str | Text) -> None:
    """One row of a table, as it is."""
    # A plain str would be read for marks such as [red].
    table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells))
