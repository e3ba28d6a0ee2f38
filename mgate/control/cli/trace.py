"""The command that tells a message's story."""

from __future__ import annotations

import re
import sys
import time
from zoneinfo import ZoneInfo

import click

from mgate.control import tables
from mgate.control.asked import Asked
from mgate.control.cli.root import FAILED, common
from mgate.control.story import Stories, bank_zone, facts_of, tell
from mgate.control.telling import Facts
from mgate.control.views import BindsView, MessagesView
from mgate.model.message import read_id
from mgate.model.view import MessageView

_ENDED = frozenset({"delivered", "undelivered", "expired", "cancelled", "no_receipt"})
_NOT_IN_A_NUMBER = re.compile(r"[\s().-]")


@click.command()
@common
@click.argument("wanted", metavar="ID|NUMBER")
@click.option("--most", type=click.IntRange(1, 100), default=10, show_default=True, help="So many of a number at most.")
@click.option("--time-zone", metavar="ZONE", default="", help="Whose clock; else the time_zone of [guards].")
@click.option("--steps", is_flag=True, help="Every step in a table, times in UTC, instead of sentences.")
@click.pass_obj
def trace(asked: Asked, wanted: str, most: int, time_zone: str, steps: bool) -> None:
    """Tell the story of a message in words that can be read to a customer, or of the newest messages to a number."""
    zone = _zone(time_zone or bank_zone(asked.tree_if_right()))
    if read_id(wanted) is not None:
        views = [asked.daemon().get(f"/v1/messages/{wanted.lower()}", MessageView)]
        more = False
    else:
        number = _NOT_IN_A_NUMBER.sub("", wanted)
        if not re.fullmatch(r"\+[0-9]{7,15}", number, re.ASCII):
            raise click.BadParameter("say an id (m and 13 letters and digits) or a number with + and country code")
        found = asked.daemon().get("/v1/messages", MessagesView, number=number, limit=str(min(most + 1, 100)))
        views, more = list(found.messages[:most]), len(found.messages) > most
    facts = _facts(asked, views, zone)
    stories = Stories(tuple(tell(view, facts) for view in views), more)
    single = read_id(wanted) is not None
    asked.say(stories.stories[0] if single else stories, *tables.stories(stories.stories, steps=steps))
    asked.note(f"times are those of {zone.key}" if not steps else "times are UTC")
    if more:
        asked.note(f"there are more messages to this number; the newest {most} are told (--most)")
    if not views:
        asked.note("nothing is known of this number; what is known ends with its retention")
        sys.exit(FAILED)


def _facts(asked: Asked, views: list[MessageView], zone: ZoneInfo) -> Facts:
    """Only a message that is still under way is asked what its binds say."""
    live = any(view.state not in _ENDED for view in views)
    binds = asked.daemon().get("/v1/binds", BindsView).binds if live else ()
    return facts_of(binds, time.time(), zone)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:
        raise click.BadParameter('is no time zone; one is "Asia/Tashkent"', param_hint="--time-zone") from error
