"""mgatectl: the command line. It asks the daemon over the admin socket and shows what it says.

Only this file knows click. Exit status: 0 done, 1 refused or failed, 2 usage, 3 the daemon cannot be reached. Tables
go to stdout, notes and progress to stderr; ``--json`` puts one JSON object on stdout, and an error as one on stderr.
"""

from __future__ import annotations

import platform
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

import click
import msgspec

from mgate import __version__
from mgate.config import ConfigError, Setting, changed, read_span, settings
from mgate.control import files, pushing, tables
from mgate.control.asked import Asked
from mgate.control.errand import Errand
from mgate.control.instance import Account, CannotInit, make_instance
from mgate.control.results import CannotKeep, Result
from mgate.control.sheets import FIELDS, SheetError, open_sheet
from mgate.control.story import tell
from mgate.control.talk import NotReachable, Refused, segment
from mgate.control.views import BindsView, Cancelled, ConfigView, MessagesView, QueueView, Sent, StatusView, VersionView
from mgate.model.message import CLASS_BY_WORD, read_id
from mgate.model.view import MessageView

FAILED: Final = 1
NOT_REACHABLE: Final = 3

_CODES: Final = {ConfigError: "config", SheetError: "sheet", CannotInit: "init", CannotKeep: "result"}
_F = TypeVar("_F", bound=Callable[..., object])


class Failure(click.ClickException):
    """Ends the command with a sentence and a status."""

    def __init__(self, sentence: str, code: str, as_json: bool) -> None:
        super().__init__(sentence)
        self._code = code
        self._as_json = as_json

    def show(self, file: object = None) -> None:
        """Say it on stderr."""
        if self._as_json:
            click.echo(msgspec.json.encode({"error": self._code, "detail": self.message}), err=True)
        else:
            click.echo("\n".join(f"mgatectl: {line}" for line in self.message.splitlines()), err=True)


class Unreachable(Failure):
    """The daemon cannot be reached."""

    exit_code = NOT_REACHABLE


class _Commands(click.Group):
    """Turns what goes wrong below into a sentence and an exit status."""

    def invoke(self, ctx: click.Context) -> object:
        asked = ctx.ensure_object(Asked)
        try:
            return super().invoke(ctx)
        except NotReachable as error:
            raise Unreachable(str(error), "not_reachable", asked.as_json) from error
        except Refused as error:
            raise Failure(str(error), error.error.error, asked.as_json) from error
        except (ConfigError, SheetError, CannotInit, CannotKeep) as error:
            raise Failure(str(error), _CODES[type(error)], asked.as_json) from error
        finally:
            asked.leave()


def _set_config(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value:
        ctx.ensure_object(Asked).config = value


def _set_json(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(Asked).as_json = True


def _common(command: _F) -> _F:
    """--config and --json, which every command takes, before its name or after it."""
    config = click.option(
        "--config",
        metavar="FILE",
        type=click.Path(),
        expose_value=False,
        callback=_set_config,
        help="The configuration; else $MGATE_CONFIG, else /etc/mgate/mgate.toml.",
    )
    as_json = click.option(
        "--json", is_flag=True, expose_value=False, callback=_set_json, help="Answer with one JSON object."
    )
    return config(as_json(command))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@_common
def main() -> None:
    """Look into mgate and tell it what to do.

    Exit status: 0 done, 1 refused or failed, 2 usage, 3 the daemon cannot be reached.
    """


# ---- the instance and its configuration ----------------------------------------------------------------------------


@main.command()
@_common
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--smsc", metavar="HOST:PORT", required=True, help="The operator's SMSC.")
@click.option("--system-id", metavar="ID", required=True, help="What the operator knows us by.")
@click.option(
    "--password-file", metavar="F", required=True, type=click.Path(path_type=Path), help="A file with one line."
)
@click.option("--binds", metavar="N", type=click.IntRange(1, 32), default=1, help="Binds to hold.")
@click.option("--window", metavar="N", type=click.IntRange(1, 1000), default=10, help="Open submits on each.")
@click.option("--rate", metavar="N", type=click.IntRange(0, 10_000), default=0, help="PDUs a second, 0: no limit.")
@click.pass_obj
def init(
    asked: Asked,
    folder: Path,
    smsc: str,
    system_id: str,
    password_file: Path,
    binds: int,
    window: int,
    rate: int,
) -> None:
    """Make a ready instance in DIR, which must be new or empty."""
    host, mark, port = smsc.rpartition(":")
    if not mark or not host or not port.isdecimal():
        raise click.BadParameter("say it as HOST:PORT, such as 127.0.0.1:2775", param_hint="--smsc")
    config = make_instance(folder, Account(host.strip("[]"), int(port), system_id, password_file, binds, window, rate))
    asked.say(
        {"folder": str(config.home), "config": str(config.file), "push_socket": str(config.local.socket)},
        f"Made {config.home}. Keep a copy of {config.keys.kek_file} apart: without that key all is unreadable.\n"
        f"Next: mgated --config {config.file}",
    )


@main.group()
def config() -> None:
    """The configuration."""


@config.command("check")
@_common
@click.pass_obj
def config_check(asked: Asked) -> None:
    """Find every mistake in the configuration; needs no daemon."""
    try:
        tree = asked.tree()
        mistakes = files.missing(tree)
    except ConfigError as error:
        mistakes = list(error.mistakes)
    found = [{"section": each.section, "key": each.key, "problem": each.problem} for each in mistakes]
    asked.say({"file": str(asked.path()), "mistakes": found}, *map(str, mistakes))
    if mistakes:
        sys.exit(FAILED)
    asked.note(f"{asked.path()}: no mistakes")


@config.command("show")
@_common
@click.option("--changed", "only_changed", is_flag=True, help="Only what differs from the defaults, or has none.")
@click.option("--running", is_flag=True, help="As the daemon read it when it started, not as the file is now.")
@click.pass_obj
def config_show(asked: Asked, only_changed: bool, running: bool) -> None:
    """Show the settings; needs no daemon."""
    if running:
        view = asked.daemon().get("/v1/config", ConfigView, changed="1" if only_changed else "")
    else:
        tree = asked.tree()
        chosen: Sequence[Setting] = changed(tree) if only_changed else settings(tree)
        view = ConfigView(str(tree.file), tuple(chosen))
    asked.say(view, tables.setting_table(view.settings))


@main.command()
@_common
@click.pass_obj
def version(asked: Asked) -> None:
    """Show the version of mgatectl, and the daemon's if it runs."""
    try:
        running = asked.daemon().get("/v1/version", VersionView).version
    except (NotReachable, ConfigError):
        running = ""
    asked.say(
        {"mgatectl": __version__, "python": platform.python_version(), "daemon": running},
        f"mgatectl {__version__}, daemon {running or 'not reachable'}",
    )


# ---- the daemon ----------------------------------------------------------------------------------------------------


@main.command()
@_common
@click.pass_obj
def status(asked: Asked) -> None:
    """Show the daemon at a glance."""
    view = asked.daemon().get("/v1/status", StatusView)
    asked.say(view, *tables.status_tables(view))


@main.command()
@_common
@click.pass_obj
def queue(asked: Asked) -> None:
    """Show what lives in the spool, by route, class and client."""
    view = asked.daemon().get("/v1/queue", QueueView)
    asked.say(view, tables.queue_table(view.rows))


@main.group()
def bind() -> None:
    """The connections to the operator."""


@bind.command("list")
@_common
@click.pass_obj
def bind_list(asked: Asked) -> None:
    """Show every bind."""
    view = asked.daemon().get("/v1/binds", BindsView)
    asked.say(view, tables.bind_table(view.binds))


@bind.command("pause")
@_common
@click.argument("name", metavar="ROUTE[/BIND]")
@click.pass_obj
def bind_pause(asked: Asked, name: str) -> None:
    """Let nothing more leave on a bind, or on a whole route, until it is resumed or mgated restarts."""
    _switch(asked, name, "pause")


@bind.command("resume")
@_common
@click.argument("name", metavar="ROUTE[/BIND]")
@click.pass_obj
def bind_resume(asked: Asked, name: str) -> None:
    """Let it leave again."""
    _switch(asked, name, "resume")


def _switch(asked: Asked, name: str, act: str) -> None:
    route, mark, index = name.partition("/")
    path = f"{segment(route)}/{segment(index)}" if mark else segment(route)
    view = asked.daemon().post(f"/v1/binds/{path}:{act}", BindsView)
    asked.say(view, tables.bind_table(view.binds))


# ---- messages ------------------------------------------------------------------------------------------------------


@main.group()
def message() -> None:
    """Single messages."""


@message.command("show")
@_common
@click.argument("message_id", metavar="ID")
@click.pass_obj
def message_show(asked: Asked, message_id: str) -> None:
    """Show where a message stands."""
    view = _look_up(asked, message_id)
    asked.say(view, *tables.message_card(view))


@message.command("trace")
@_common
@click.argument("message_id", metavar="ID")
@click.pass_obj
def message_trace(asked: Asked, message_id: str) -> None:
    """Tell the story of a message, in order and in words."""
    story = tell(_look_up(asked, message_id))
    asked.say(story, f"{story.id}: {story.state}", tables.story_table(story))


@message.command("find")
@_common
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
@_common
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


@main.command()
@_common
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


# ---- whole files ---------------------------------------------------------------------------------------------------


@main.command()
@_common
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
