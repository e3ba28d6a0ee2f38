"""The board: what the hatch asks of the running daemon. The roof implements it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from mgate.config import Config
from mgate.control.views import BindView, FeedView, QueueRow, ReloadView, StatusView


class Board(Protocol):
    """The daemon's own facts, and its few switches. Everything is called on the reactor's thread."""

    def status(self) -> StatusView:
        """The daemon at a glance; from memory, because it is asked when the disk is in trouble."""

    def queue(self, answer: Callable[[Sequence[QueueRow]], None]) -> None:
        """What lives in the spool, counted by route, class and client."""

    def feeds(self, answer: Callable[[Sequence[FeedView]], None]) -> None:
        """Every feed that was acknowledged once, by client and name."""

    def binds(self) -> Sequence[BindView]:
        """Every configured bind, by route and index."""

    def pause(self, route: str, bind: int | None) -> None:
        """Let nothing more leave on a bind, or on all binds of the route; what was written is still answered.

        Asked only for binds that `binds` shows. A bind that is paused stays so until it is resumed or mgated restarts.
        """

    def resume(self, route: str, bind: int | None) -> None:
        """Let it leave again."""


class Reload(Protocol):
    """The configuration, as it runs and as its file is now."""

    @property
    def config(self) -> Config:
        """By which the daemon runs now."""

    def reload(self, dry_run: bool) -> ReloadView:
        """Read the file again and take up what differs; ``dry_run`` only says what would be done."""
