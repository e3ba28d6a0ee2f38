"""How far feeds have come, as an administrator and Prometheus see it."""

from __future__ import annotations

from collections.abc import Sequence

from mgate.feeds.bookmarks import Bookmarks
from mgate.feeds.lines import moment
from mgate.feeds.survey import FeedState, Survey
from tests.unit.feeds.conftest import AT, CURSORS, World
from tests.unit.feeds.test_api import Spool


def survey(world: World) -> Survey:
    bookmarks = Bookmarks(world.journal, Spool(world))
    return Survey(world.journal, world.stream, bookmarks, world.runs, CURSORS)


def states(world: World) -> Sequence[FeedState]:
    found: list[FeedState] = []
    survey(world).feeds(found.extend)
    return found


def test_a_feed_is_behind_by_what_comes_after_its_cursor(world: World) -> None:
    world.commit("local", "local", "core")
    world.reader.rows = [("local", "default", 1), ("core", "crm", 3)]
    assert states(world) == [
        FeedState("core", "crm", CURSORS.show(3), 0, ""),
        FeedState("local", "default", CURSORS.show(1), 2, moment(AT + 2)),
    ]


def test_a_run_that_cannot_be_opened_leaves_the_moment_out(world: World) -> None:
    world.commit("local")
    world.box.damaged = {1}
    world.reader.rows = [("local", "default", 0)]
    assert states(world) == [FeedState("local", "default", CURSORS.show(0), 1, "")]


def test_a_journal_that_cannot_be_read_shows_no_feed(world: World) -> None:
    world.reader.rows = [("local", "default", 0)]
    world.journal.broken = True
    assert states(world) == []


def test_the_slowest_feed_of_a_client_counts_though_nobody_polls(world: World) -> None:
    world.commit("local", "local", "local")
    world.reader.rows = [("local", "default", 2), ("local", "crm", 1), ("core", "x", 0)]
    watched = survey(world)
    assert watched.behind("local") == 2
    world.commit("core")
    watched.behind("local")
    assert watched.behind("local") == 3
    assert watched.behind("nobody") == 0
