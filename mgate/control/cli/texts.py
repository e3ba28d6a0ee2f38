"""The commands for texts and guards."""

from __future__ import annotations

import sys

import click

from mgate.control.asked import Asked
from mgate.control.cli.root import FAILED, common
from mgate.control.guard_views import GuardsView
from mgate.control.talk import segment
from mgate.control.text_tables import forced_table, guard_tables, preview_lines
from mgate.control.text_views import PreviewView
from mgate.model.message import CLASS_BY_WORD
from mgate.policy.transliteration import TABLES


@click.group()
def text() -> None:
    """Texts of messages, before they are sent."""


@text.command("preview")
@common
@click.argument("words", metavar="[TEXT]", required=False)
@click.option("--class", "traffic", type=click.Choice(list(CLASS_BY_WORD)), default="service", show_default=True)
@click.option("--table", type=click.Choice(TABLES), help="In other letters; else by the table of the class in [texts].")
@click.pass_obj
def text_preview(asked: Asked, words: str | None, traffic: str, table: str | None) -> None:
    """Show what a text would be: alphabet, parts, the room left, and whether a guard would refuse it.

    Without TEXT, or with -, it is read from stdin.
    """
    if words is None or words == "-":
        try:
            words = sys.stdin.buffer.read().decode().removesuffix("\n")
        except UnicodeDecodeError as error:
            raise click.UsageError("the text on stdin is not UTF-8") from error
    given: dict[str, object] = {"text": words, "class": traffic, **({"table": table} if table else {})}
    view = asked.daemon().post("/v1/preview", PreviewView, given)
    asked.say(view, *preview_lines(view), *([forced_table(view.forced)] if view.forced else []))
    if view.refused_as:
        sys.exit(FAILED)


@click.group()
def guard() -> None:
    """What is held back, and why."""


@guard.command("list")
@common
@click.option("--number", metavar="NUMBER", help="Only what was refused to this number, with + and country code.")
@click.pass_obj
def guard_list(asked: Asked, number: str | None) -> None:
    """Show the ranges that are blocked, and the last messages that were refused since mgated started."""
    view = asked.daemon().get("/v1/guards", GuardsView, number=number or "")
    asked.say(view, *guard_tables(view))
    if view.learning:
        asked.note("the watch over ranges is younger than seven days: it blocks nothing yet")
    if not view.blocked and not view.refused:
        asked.note("nothing is blocked, and nothing was refused")


@guard.command("release")
@common
@click.argument("name", metavar="RANGE")
@click.pass_obj
def guard_release(asked: Asked, name: str) -> None:
    """Let codes go to a range that is blocked; what it got in this hour is usual from now on."""
    view = asked.daemon().post(f"/v1/guards/ranges/{segment(name)}:release", GuardsView)
    asked.say(view, *guard_tables(view))
    asked.note(f"{name} is released")
