"""The commands for messages: one, and whole files."""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click
import msgspec

from mgate.config import read_span
from mgate.control import pushing, tables
from mgate.control.asked import Asked
from mgate.control.cli.evidence import evidence
from mgate.control.cli.root import FAILED, common
from mgate.control.cli.trace import trace
from mgate.control.errand import Errand
from mgate.control.results import Result
from mgate.control.sheets import FIELDS, open_sheet
from mgate.control.views import Cancelled, MessagesView, Sent
from mgate.model.message import CLASS_BY_WORD, read_id
from mgate.model.view import MessageView

_F = TypeVar("_F", bound=Callable[..., object])


@click.group()
def message() -> None:
    """Single messages."""


message.add_command(trace)
message.add_command(evidence)


@message.command("show")
@common
@click.argument("message_id", metavar="ID")
@click.pass_obj
def message_show(asked: Asked, message_id: str) -> None:
    """Show where a message stands."""
    view = _look_up(asked, message_id)
    asked.say(view, *tables.message_card(view))


@message.command("find")
@common
@click.option("--ref", metavar="REF", help="The client's own reference.")
@click.option("--number", metavar="NUMBER", help="The phone number, with + and country code.")
@click.option("--client", metavar="NAME", default="", help="Only this client's.")
@click.pass_obj
def message_find(asked: Asked, ref: str | None, number: str | None, client: str) -> None:
    """Find messages by reference or by number; the newest 100."""
    if bool(ref) == bool(number):
        raise click.UsageError("say --ref or --number, one of them")
    view = asked.daemon().get("/v1/messages", MessagesView, ref=ref or "", number=number or "", client=client)
    asked.say(view, tables.message_table(view.messages))
    if not view.messages:
        asked.note("nothing found; a reference is remembered for the reference_days of [spool], a number as long as it")
        sys.exit(FAILED)


@message.command("cancel")
@common
@click.argument("message_id", metavar="ID")
@click.pass_obj
def message_cancel(asked: Asked, message_id: str) -> None:
    """Cancel a message that has not left."""
    path = _path_of(message_id)
    done = asked.daemon().delete(path, Cancelled)
    asked.say(done, f"{done.id} is {done.state}")


def _look_up(asked: Asked, message_id: str) -> MessageView:
    path = _path_of(message_id)
    return asked.daemon().get(path, MessageView)


def _path_of(message_id: str) -> str:
    if read_id(message_id) is None:
        raise click.BadParameter("an id is the letter m and 13 letters and digits", param_hint="ID")
    return f"/v1/messages/{message_id.lower()}"


class _Span(click.ParamType[float]):
    name = "TIME"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        seconds = value if isinstance(value, float) else read_span(value)
        if seconds is None:
            self.fail('say it with its unit, such as "90s", "15m", "2h"', param, ctx)
        return seconds


def _stdin() -> str:
    try:
        return sys.stdin.buffer.read().decode().rstrip("\n")
    except UnicodeDecodeError as error:
        raise click.UsageError("the text on stdin is not UTF-8") from error


def _wait_limit(command: _F) -> _F:
    return click.option(
        "--wait-limit", type=_Span(), default="10m", show_default=True, help="Wait no longer than this."
    )(command)


@click.command()
@common
@click.option("--to", metavar="NUMBER", required=True, help="The number, with + and country code.")
@click.option("--text", metavar="TEXT", help="The text; without it, or as -, it is read from stdin.")
@click.option("--class", "traffic", type=click.Choice(list(CLASS_BY_WORD)), default="service", show_default=True)
@click.option("--sender", metavar="NAME", help="Who it is from; else the default_sender of [push.clients.local].")
@click.option("--ref", metavar="REF", help="Your own reference; a repeat with the same one is recognised.")
@click.option("--valid-for", type=_Span(), help="How long it may be tried.")
@click.option("--wait", is_flag=True, help="Wait for its end.")
@_wait_limit
@click.pass_obj
def send(  # one option each
    asked: Asked,
    to: str,
    text: str | None,
    traffic: str,
    sender: str | None,
    ref: str | None,
    valid_for: float | None,
    wait: bool,
    wait_limit: float,
) -> None:
    """Send one message. A text on the command line is seen by all who list processes: prefer stdin."""
    body = _stdin() if text is None or text == "-" else text
    given: dict[str, object] = {"ref": ref or f"cli-{uuid.uuid4()}", "to": to, "class": traffic, "text": body}
    if sender:
        given["sender"] = sender
    if valid_for is not None:
        given["valid_for"] = int(valid_for)
    daemon = asked.daemon()
    sent = daemon.post("/v1/messages", Sent, given)
    if wait:
        result = Result(1, sent.ref, "", sent.id, sent.state, "")
        (ended,) = pushing.settle(daemon, [result], wait_limit, time.monotonic, time.sleep, lambda _: None)
        sent = msgspec.structs.replace(sent, state=ended.state, reason=ended.reason)
    why = f" ({sent.reason})" if sent.reason else ""
    again = ", known already" if sent.duplicate else ""
    asked.say(sent, f"{sent.id}: {sent.state}{why}{again}")
    if wait and sent.state != "delivered":
        sys.exit(FAILED)


# ---- whole files -----------------------------------------------------------------------------------------------------


@click.command()
@common
@click.argument("file", metavar="FILE.csv", type=click.Path(path_type=Path))
@click.option("--map", "mapping", metavar="COLUMN=FIELD", multiple=True, help="A column with a name of its own.")
@click.option("--class", "traffic", type=click.Choice(list(CLASS_BY_WORD)), help="The class of rows that name none.")
@click.option("--sender", metavar="NAME", help="The sender of rows that name none.")
@click.option("--dry-run", is_flag=True, help="Only check the file; nothing is sent, no daemon is needed.")
@click.option("--result", metavar="OUT.csv", type=click.Path(path_type=Path), help="What became of each row.")
@click.option("--wait", is_flag=True, help="Wait for the end of every message.")
@_wait_limit
@click.pass_obj
def push(  # one option each
    asked: Asked,
    file: Path,
    mapping: tuple[str, ...],
    traffic: str | None,
    sender: str | None,
    dry_run: bool,
    result: Path | None,
    wait: bool,
    wait_limit: float,
) -> None:
    """Push the messages of a CSV file.

    Columns: to, text, class; and if you like ref, sender, valid_for, not_before, not_after, group, tags. A row without
    a ref gets one from the file's content and its number, so a file can be pushed again: what was taken is known.

    It goes over the admin socket. Programs push over sockets of their own or mutual TLS: "mgatectl status" shows them.
    """
    defaults = {field: value for field, value in (("class", traffic), ("sender", sender)) if value}
    sheet = open_sheet(file, _mapping(mapping), defaults)
    errand = Errand(sheet, result, wait_limit if wait else None, sys.stderr.isatty() and not asked.as_json)
    try:
        done = errand.rehearse() if dry_run else errand.run(asked.daemon())
    except KeyboardInterrupt:
        sys.exit("stopped; what was answered is taken. Push the same file again: it goes on where it stopped")
    asked.say(done, *(tables.rehearsal_tables(done) if dry_run else tables.push_tables(done)))
    if done.open:
        asked.note(f"{done.open} have not ended yet; ask for them with: mgatectl message find --ref REF")
    if done.later:
        asked.note(f"{done.later} were refused only for now: push the same file again later")
    if done.refused or done.open:
        sys.exit(FAILED)


def _mapping(pairs: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        column, mark, field = pair.rpartition("=")
        if not mark or not column or field not in FIELDS:
            raise click.BadParameter(f"say it as COLUMN=FIELD, FIELD one of {', '.join(FIELDS)}", param_hint="--map")
        found[column] = field
    return found
