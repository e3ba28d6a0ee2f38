"""What every command of mgatectl has in common: its options, its errors and their exit statuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import click
import msgspec

from mgate.config import ConfigError
from mgate.control.asked import Asked
from mgate.control.counts import CountsError
from mgate.control.instance import CannotInit
from mgate.control.results import CannotKeep
from mgate.control.sheets import SheetError
from mgate.control.talk import NotReachable, Refused

FAILED: Final = 1
NOT_REACHABLE: Final = 3

_CODES: Final = {
    ConfigError: "config", SheetError: "sheet", CannotInit: "init", CannotKeep: "result", CountsError: "counts"
}  # fmt: skip
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
        except (ConfigError, SheetError, CannotInit, CannotKeep, CountsError) as error:
            raise Failure(str(error), _CODES[type(error)], asked.as_json) from error
        finally:
            asked.leave()


def _set_config(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value:
        ctx.ensure_object(Asked).config = value


def _set_socket(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value:
        ctx.ensure_object(Asked).socket = value


def _set_json(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(Asked).as_json = True


def common(command: _F) -> _F:
    """--config, --socket and --json, which every command takes, before its name or after it."""
    config = click.option(
        "--config",
        metavar="FILE",
        type=click.Path(),
        expose_value=False,
        callback=_set_config,
        help="The configuration; else $MGATE_CONFIG, else /etc/mgate/mgate.toml.",
    )
    socket = click.option(
        "--socket",
        metavar="PATH",
        type=click.Path(),
        expose_value=False,
        callback=_set_socket,
        help="The daemon's admin socket; else the one that the configuration names.",
    )
    as_json = click.option(
        "--json", is_flag=True, expose_value=False, callback=_set_json, help="Answer with one JSON object."
    )
    return config(socket(as_json(command)))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@common
def main() -> None:
    """Look into mgate and tell it what to do.

    Exit status: 0 done, 1 refused or failed, 2 usage, 3 the daemon cannot be reached.
    """
