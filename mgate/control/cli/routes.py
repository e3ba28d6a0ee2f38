"""The commands for routes: by which account a message would leave, and why. They send nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from mgate.control.asked import Asked
from mgate.control.cli.root import FAILED, common
from mgate.control.pushing import check
from mgate.control.route_tables import explained_tables, simulated_tables
from mgate.control.route_views import RouteAnswers, RouteAsked, RoutesAsked
from mgate.control.sheets import open_sheet
from mgate.control.simulation import Simulation
from mgate.model.message import CLASS_BY_WORD


@click.group()
def route() -> None:
    """By which operator account a message would leave, and why."""


@route.command("explain")
@common
@click.argument("number", metavar="NUMBER")
@click.option("--class", "traffic", type=click.Choice(list(CLASS_BY_WORD)), required=True, help="The message's class.")
@click.option("--sender", metavar="NAME", default="", help="Its sender; else the client's default.")
@click.option("--client", metavar="NAME", default="local", show_default=True, help="Whose message it would be.")
@click.option("--tag", "tags", metavar="TAG", multiple=True, help="A tag that it would bear.")
@click.option("--text", metavar="TEXT", default="", help="Its text, for its parts and for approved texts.")
@click.option(
    "--at", metavar="TIME", default="", help='When, such as "2026-11-23 22:30" in the zone of [routing]; else now.'
)
@click.pass_obj
def route_explain(  # one option each
    asked: Asked, number: str, traffic: str, sender: str, client: str, tags: tuple[str, ...], text: str, at: str
) -> None:
    """Show every route that a message may leave by, the best first, and why. Nothing is sent."""
    wanted = RouteAsked(number, traffic, sender, tags, text, at)
    answers = asked.daemon().post("/v1/routes:explain", RouteAnswers, RoutesAsked((wanted,), client))
    answer = answers.answers[0]
    asked.say(answer, *([] if answer.wrong else explained_tables(answer)))
    if answer.wrong:
        asked.note(answer.wrong)
    elif not answer.choices:
        asked.note("no route may have it: mgate would refuse it")
    if not answer.choices:
        sys.exit(FAILED)


@route.command("simulate")
@common
@click.argument("file", metavar="FILE.csv", type=click.Path(path_type=Path))
@click.option("--class", "traffic", type=click.Choice(list(CLASS_BY_WORD)), help="The class of rows that name none.")
@click.option("--sender", metavar="NAME", help="The sender of rows that name none.")
@click.option("--client", metavar="NAME", default="local", show_default=True, help="Whose messages they would be.")
@click.option(
    "--at", metavar="TIME", default="", help='When, such as "2026-11-23 22:30" in the zone of [routing]; else now.'
)
@click.option("--rows", metavar="N", default=20, show_default=True, help="Show so many rows beside the sums.")
@click.pass_obj
def route_simulate(  # one option each
    asked: Asked, file: Path, traffic: str | None, sender: str | None, client: str, at: str, rows: int
) -> None:
    """Show where the messages of a CSV file would go, in how many parts, at what cost and why. Nothing is sent.

    The file is one for "mgatectl push". How the routes stand now is taken into account.
    """
    defaults = {field: value for field, value in (("class", traffic), ("sender", sender)) if value}
    sheet = open_sheet(file, {}, defaults)
    total, _ = check(sheet)
    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=Console(stderr=True),
        disable=not sys.stderr.isatty() or asked.as_json,
    ) as bar:  # fmt: skip
        task = bar.add_task("asking", total=total)
        done = Simulation(sheet, client, at, rows).run(
            asked.daemon(), lambda so_far: bar.update(task, completed=so_far)
        )
    asked.say(done, *simulated_tables(done))
    if done.nowhere:
        asked.note(f"{done.nowhere} of {done.rows} would go nowhere")
        sys.exit(FAILED)
