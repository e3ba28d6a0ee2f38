"""The commands for operators and what is peculiar about them."""

from __future__ import annotations

import datetime as dt
import platform
import sys
import time
import uuid
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click
import msgspec
from rich.table import Table

from mgate.config import Config, read_profile
from mgate.config.operators import Profile
from mgate.config.tree import Sms
from mgate.control.asked import Asked
from mgate.control.cli.root import FAILED, common
from mgate.control.operator_forms import operator_form
from mgate.control.operator_views import OperatorRow, OperatorsView
from mgate.control.operator_words import in_words
from mgate.control.probing import PROBES, Answered, proposals, settle
from mgate.control.talk import Daemon, NotReachable
from mgate.model.view import MessageView

_LEARNT = {
    "pinned": "The profile says how ids pair: {pairing}.",
    "learnt": "Learnt: ids pair as {pairing} (by {votes} matches).",
    "learning": "How ids pair is being learnt: {votes} matches so far.",
    "open": "Matches do not prove how ids pair; every form is tried.",
}


@click.group()
def operator() -> None:
    """The operators, and what is peculiar about them."""


@operator.command("check")
@common
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.pass_obj
def operator_check(asked: Asked, file: Path) -> None:
    """Find everything that is wrong with an operator's profile at once; needs no daemon and no configuration."""
    profile = read_profile(file)
    if asked.as_json:
        asked.say({"profile": profile.name, "ending": [entry.sender for entry in profile.ending(_today())]})
    for sentence in _alarms(profile):
        asked.note(sentence)
    asked.note(f"{profile.name}: can be used" + ("" if profile.operator.tried_live else "; not tried live"))


@operator.command("show")
@common
@click.argument("name", metavar="NAME")
@click.pass_obj
def operator_show(asked: Asked, name: str) -> None:
    """Say in words what mgate does for the operator of an account, and what it has found out about it.

    Exit status 1 when a registration of a sender has ended or ends within 30 days.
    """
    account = _account(asked.tree(), name)
    said = list(in_words(account.profile, _today()))
    known = _known(asked, name)
    if known is not None:
        said.append(("found out", _LEARNT[known.ids].format(pairing=known.pairing, votes=known.votes)))
        if known.unread:
            said.append(("", f"{known.unread} receipts since the start could not be read; they are kept as they came."))
    alarms = _alarms(account.profile)
    asked.say(
        {"account": name, "profile": account.profile.name, "words": said, "found_out": known, "alarms": alarms},
        _words_table(said),
    )
    for sentence in alarms:
        asked.note(sentence)
    if alarms:
        sys.exit(FAILED)


@operator.command("request-form")
@common
@click.argument("name", metavar="NAME")
@click.option("--from", "host", metavar="HOST", default="", help="The host of mgate; else this one's name.")
@click.pass_obj
def operator_request_form(asked: Asked, name: str, host: str) -> None:
    """Write what to ask the operator and the network team for; needs no daemon."""
    config = asked.tree()
    account = _account(config, name)
    tls = next((each for each in config.tls if each.name == account.tls), None)
    text = operator_form(account, tls, host or platform.node() or "mgate-host")
    if asked.as_json:
        asked.say({"account": name, "form": text})
    else:
        click.echo(text, nl=False)


class _Sent(msgspec.Struct, frozen=True):
    id: str


@operator.command("probe")
@common
@click.argument("name", metavar="NAME")
@click.option("--to", metavar="NUMBER", required=True, help="A telephone of your own, with + and country code.")
@click.option("--sender", metavar="SENDER", help="Who it is from; else the default_sender of [push.clients.local].")
@click.option(
    "--probe", "chosen", multiple=True, type=click.Choice([each.word for each in PROBES]), help="Only this one."
)
@click.option("--yes", is_flag=True, help="Send without asking, and ask nothing of the telephone either.")
@click.option(
    "--wait", "patience", type=click.IntRange(1, 3600), default=60, show_default=True, help="Seconds for each."
)
@click.pass_obj
def operator_probe(
    asked: Asked, name: str, to: str, sender: str | None, chosen: tuple[str, ...], yes: bool, patience: int
) -> None:  # fmt: skip
    """Send a few messages that you allow to a telephone of yours, and propose changes of the profile.

    Each is a real message that costs what a message costs, and leaves as any other does. Nothing is changed.
    """
    account = _account(asked.tree(), name)
    daemon = asked.daemon()
    before = _found_out(daemon, name)
    answered: list[Answered] = []
    for each in (each for each in PROBES if not chosen or each.word in chosen):
        if not yes and not click.confirm(f'Send "{each.text}" to {to}?', err=True):
            continue
        given = {"ref": f"probe-{uuid.uuid4()}", "to": to, "class": "service", "text": each.text, "tags": ["probe"]}
        sent = daemon.post("/v1/messages", _Sent, given | ({"sender": sender} if sender else {}))
        ask = partial(daemon.get, f"/v1/messages/{sent.id}", MessageView)
        view = settle(ask, patience, time.monotonic, time.sleep)
        asked.note(f"{each.word}: {view.state}" + (f" ({view.reason})" if view.reason else ""))
        answered.append(Answered(each, view, None if yes else click.confirm(each.question, err=True)))
    lines = proposals(account.route, answered, before, _found_out(daemon, name))
    asked.say({"account": name, "sent": [each.view.id for each in answered], "proposals": lines}, *lines)
    if answered and not lines:
        asked.note(f"{account.profile.name}: nothing to change")


def _found_out(daemon: Daemon, name: str) -> OperatorRow:
    rows = daemon.get("/v1/operators", OperatorsView).operators
    return next((row for row in rows if row.name == name), OperatorRow(name, "", "learning", "", 0, 0))


def _account(config: Config, name: str) -> Sms:
    found = next((each for each in config.sms if each.name == name), None)
    if found is None:
        known = ", ".join(each.name for each in config.sms)
        raise click.BadParameter(f"there is no [sms.{name}] in {config.file}; known: {known}", param_hint="NAME")
    return found


def _known(asked: Asked, name: str) -> OperatorRow | None:
    """What the daemon has found out; None, and a note, when it is not there to be asked."""
    try:
        view = asked.daemon().get("/v1/operators", OperatorsView)
    except NotReachable:
        asked.note("mgated is not running: what it found out about ids is not known")
        return None
    return next((row for row in view.operators if row.name == name), None)


def _alarms(profile: Profile) -> list[str]:
    today = _today()
    return [
        f"the registration of {entry.sender} ({', '.join(entry.classes)}) "
        + (f"ended on {entry.until}" if entry.until is not None and entry.until < today else f"ends on {entry.until}")
        for entry in profile.ending(today)
    ]


def _words_table(said: Sequence[tuple[str, str]]) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for heading, sentence in said:
        table.add_row(heading, sentence)
    return table


def _today() -> dt.date:
    return dt.datetime.now().astimezone().date()
