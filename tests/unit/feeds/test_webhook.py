"""A webhook, told by a clock: what is called when, what is tried again, and what is given up."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping
from hashlib import sha256

import pytest
from msgspec.structs import replace
from twisted.internet.defer import Deferred, fail, succeed

from mgate.feeds.bookmarks import Bookmarks
from mgate.feeds.dead import DeadList
from mgate.feeds.lines import render
from mgate.feeds.signature import HEADER, sign
from mgate.feeds.tap import Tap
from mgate.feeds.webhook import LONGEST_PAUSE, PAUSED, TOO_OLD, Manner, Verdict, Webhook, body_of, verdict_of
from mgate.net.calling import Answered, Unanswered
from mgate.spool.verbs import Ack, Acked, Bury, DeadRun, NotKept
from tests.unit.feeds.conftest import AT, CURSORS, World, event

FEED = "webhook.crm"
SECRET = b"a shared secret of the tests"
DAY = 86_400.0


class Spool:
    """The spool, as far as feeds go. Cursor and list are one disk: ``log`` has what became durable, in order."""

    def __init__(self, world: World) -> None:
        self.full = False
        self.cursor = 0
        self.dead: dict[int, DeadRun] = {}
        self.log: list[str] = []
        world.reader.dead = lambda: sorted(self.dead.values(), key=lambda run: run.first)  # type: ignore[attr-defined]

    def acknowledge(self, ack: Ack, done: Callable[[Acked | NotKept], None]) -> None:
        if self.full:
            done(NotKept("no room"))
            return
        self.cursor = max(self.cursor, ack.cursor)
        self.log.append(f"cursor {self.cursor}")
        done(Acked("acked", self.cursor))

    def bury(self, bury: Bury, done: Callable[[int | NotKept], None]) -> None:
        if self.full:
            done(NotKept("no room"))
            return
        for run in bury.dead:
            self.dead[run.first] = run
            self.log.append(f"dead {run.first}-{run.last} {run.reason}")
        for first in bury.raised:
            self.dead.pop(first, None)
        done(1)


class Notes:
    """Notes what the webhook tells."""

    def __init__(self) -> None:
        self.events = 0
        self.lag = 0.0
        self.pauses: list[float] = []
        self.deaths: list[tuple[int, int, int, str]] = []
        self.losses: list[tuple[int, int]] = []
        self.replays: list[tuple[int, int, str]] = []

    def took(self, events: int) -> None:
        self.events += events

    def lags(self, seconds: float) -> None:
        self.lag = seconds

    def failed(self, why: str, pause: float) -> None:
        self.pauses.append(pause)

    def died(self, first: int, last: int, events: int, reason: str) -> None:
        self.deaths.append((first, last, events, reason))

    def lost(self, after: int, place: int) -> None:
        self.losses.append((after, place))

    def replayed(self, runs: int, left: int, why: str) -> None:
        self.replays.append((runs, left, why))


class House:
    """A journal, a bank that is called, and the webhook between them."""

    def __init__(self, batch: int = 100, retry_for: float = 3 * DAY) -> None:
        self.world = World()
        self.spool = Spool(self.world)
        self.notes = Notes()
        self.answers: list[Answered | None] = []
        self.usual: Answered | None = Answered(200, 0.0)
        self.asked: list[tuple[float, dict[str, str], bytes]] = []
        self.manner = Manner(batch, retry_for, SECRET)
        self.begin()

    def begin(self) -> None:
        """A new life of the daemon, on the same disk."""
        self.world.reader.rows = [("core", FEED, self.spool.cursor)] if self.spool.cursor else []
        bookmarks = Bookmarks(self.world.journal, self.spool)
        tap = Tap("core", FEED, self.world.stream, bookmarks, self.world.clock)
        dead = DeadList("core", FEED, self.world.journal, self.spool)
        self.hook = Webhook(
            "crm", tap, dead, self.post, self.manner, CURSORS.prefix, self.world.clock, self.wall, self.notes
        )
        self.hook.start()

    def wall(self) -> float:
        return AT / 1000 + self.world.clock.seconds()

    def post(self, headers: Mapping[str, str], body: bytes) -> Deferred[Answered]:
        self.asked.append((self.world.clock.seconds(), dict(headers), body))
        answer = self.answers.pop(0) if self.answers else self.usual
        return fail(Unanswered("ConnectionRefusedError")) if answer is None else succeed(answer)

    def commit(self, *clients: str) -> None:
        self.world.commit(*clients)

    def run(self, seconds: float = 1.0, step: float = 0.05) -> None:
        self.world.clock.pump([step] * round(seconds / step))

    def told(self) -> list[list[int]]:
        return [[one["sequence"] for one in json.loads(body)["events"]] for _, _, body in self.asked]

    def dead(self) -> list[DeadRun]:
        return sorted(self.spool.dead.values(), key=lambda run: run.first)


# ---- the request -----------------------------------------------------------------------------------------------------


def test_each_event_is_the_one_of_the_events_api() -> None:
    events = [event(1, meta=b'{"branch":"7"}', route="sms:op-a"), event(2, ref='a "quoted" ref')]
    lines = render(events, CURSORS.prefix).splitlines()
    assert json.loads(body_of(events, CURSORS.prefix)) == {"events": [json.loads(line) for line in lines]}
    assert body_of(events, CURSORS.prefix) == b'{"events":[' + b",".join(lines) + b"]}"


def test_the_signature_is_over_its_moment_and_the_body() -> None:
    body = b'{"events":[]}'
    wanted = hmac.new(SECRET, b"1790000000." + body, sha256).hexdigest()
    assert sign(SECRET, 1_790_000_000, body) == f"t=1790000000,v1={wanted}"
    others = {sign(SECRET, 1_790_000_001, body), sign(SECRET + b"x", 1_790_000_000, body), sign(SECRET, 1, body + b" ")}
    assert not [one for one in others if one.endswith(wanted)]


@pytest.mark.parametrize(
    ("verdict", "statuses"),
    [
        (Verdict.TAKEN, (200, 201, 202, 204, 299)),
        (Verdict.LATER, (100, 301, 302, 307, 308, 408, 425, 429, 500, 502, 503, 504, 599)),
        (Verdict.NEVER, (400, 401, 403, 404, 405, 409, 410, 413, 415, 422, 451)),
    ],
)
def test_what_an_answer_means(verdict: Verdict, statuses: tuple[int, ...]) -> None:
    assert {verdict_of(status) for status in statuses} == {verdict}


# ---- the feed --------------------------------------------------------------------------------------------------------


def test_events_of_its_client_are_called_and_then_the_cursor_moves() -> None:
    house = House()
    house.commit("core", "local", "core")
    house.run()
    assert house.told() == [[1, 3]]
    ((_, headers, body),) = house.asked
    at = int(headers[HEADER].split(",")[0].removeprefix("t="))
    assert headers == {"Content-Type": "application/json", "Mgate-Webhook": "crm", HEADER: sign(SECRET, at, body)}
    assert house.spool.log == ["cursor 3"]
    assert house.notes.events == 2


def test_what_cannot_be_taken_now_is_tried_again_the_very_same_and_nothing_passes_it() -> None:
    house = House()
    house.answers = [None, Answered(503, 0.0), Answered(429, 0.0), None]
    house.commit("core")
    house.run(2)
    house.commit("core")
    house.run(30)
    assert house.told() == [[1]] * 5 + [[2]]
    assert len({body for _, _, body in house.asked}) == 2
    assert len({headers[HEADER] for _, headers, _ in house.asked}) == 6  # each is signed with its own moment
    assert house.notes.pauses == [1.0, 2.0, 4.0, 8.0]
    assert house.spool.log == ["cursor 1", "cursor 2"]


def test_pauses_grow_to_an_hour_and_begin_anew_after_a_success() -> None:
    house = House(retry_for=30 * DAY)
    house.usual = None
    house.commit("core")
    house.run(DAY, 60.0)
    assert house.notes.pauses[:4] == [1.0, 2.0, 4.0, 8.0]
    assert house.notes.pauses[-1] == max(house.notes.pauses) == LONGEST_PAUSE
    house.usual = Answered(200, 0.0)
    house.run(2 * LONGEST_PAUSE, 60.0)
    house.answers = [None]
    house.commit("core")
    house.run(60)
    assert house.notes.pauses[-1] == 1.0


def test_retry_after_is_honoured() -> None:
    house = House()
    house.answers = [Answered(503, 40.0), Answered(429, 0.5)]
    house.commit("core")
    house.run(10)
    assert 25.0 < house.hook.next_try < 40.0
    house.run(110)
    moments = [at for at, _, _ in house.asked]
    assert house.notes.pauses == [40.0, 2.0]
    assert house.hook.next_try == -1.0
    assert moments[1] - moments[0] >= 40.0


def test_what_is_refused_is_listed_before_the_cursor_passes_by_and_the_feed_goes_on() -> None:
    house = House(batch=2)
    house.answers = [Answered(200, 0.0), Answered(422, 0.0)]
    house.commit("core", "core", "core", "local", "core", "core")
    house.run()
    assert house.told() == [[1, 2], [3, 5], [6]]
    assert house.notes.deaths == [(3, 5, 2, "http_422")]
    assert house.spool.log == ["cursor 2", "dead 3-5 http_422", "cursor 5", "cursor 6"]


def test_a_list_that_cannot_be_written_holds_the_cursor() -> None:
    house = House()
    house.usual = Answered(400, 0.0)
    house.spool.full = True
    house.commit("core")
    house.run(5)
    assert (house.spool.log, house.notes.deaths) == ([], [])
    house.spool.full = False
    house.run(5)
    assert house.spool.log == ["dead 1-1 http_400", "cursor 1"]


def test_what_is_too_old_is_given_up_and_what_is_younger_is_not() -> None:
    house = House(batch=1, retry_for=DAY)
    house.usual = None
    house.commit("core")
    house.run(DAY / 2, 60.0)
    house.world.reader.keep([event(2, "core")])
    house.world.stream.wake()
    house.run(DAY / 2 + 2 * LONGEST_PAUSE, 60.0)
    # The events of this journal say that they happened at its beginning: both are too old, a day after it.
    assert [(run.first, run.reason) for run in house.dead()] == [(1, TOO_OLD), (2, TOO_OLD)]
    house.world.reader.keep([replace(event(3, "core"), at=int(house.wall() * 1000))])
    house.world.stream.wake()
    house.run(DAY / 2, 60.0)
    assert len(house.dead()) == 2
    house.usual = Answered(200, 0.0)
    house.run(2 * LONGEST_PAUSE, 60.0)
    assert house.told()[-1] == [3]
    assert house.spool.cursor == 3


def test_an_old_event_is_not_given_up_for_one_failure() -> None:
    """mgate was away, and not the receiver."""
    house = House(retry_for=DAY)
    house.run(5 * DAY, 3600.0)
    house.answers = [None] * 5
    house.commit("core")
    house.run(120)
    assert house.notes.deaths == []
    assert house.notes.events == 1


def test_a_receiver_that_was_away_for_longer_costs_what_is_too_old_at_once() -> None:
    house = House(batch=10, retry_for=DAY)
    house.usual = None
    for _ in range(50):
        house.commit(*["core"] * 10)
    house.run(DAY + 3 * LONGEST_PAUSE, 60.0)
    assert sum(run.events for run in house.dead()) == 500
    assert len(house.asked) < 50  # what is too old is not tried any more


def test_after_a_restart_it_goes_on_from_the_cursor_and_tells_again_what_was_not_acknowledged() -> None:
    house = House(batch=1)
    house.answers = [Answered(200, 0.0)] + [None] * 100
    house.commit("core", "core")
    house.run()
    house.hook.stop()
    house.answers = []
    house.begin()
    house.run()
    assert house.told()[-1] == [2]
    assert house.notes.events == 2


def test_a_person_pauses_and_resumes_it() -> None:
    house = House()
    house.hook.pause()
    house.commit("core")
    house.run(60)
    assert house.asked == []
    house.hook.resume()
    house.run()
    assert house.told() == [[1]]


def test_a_resume_tries_at_once_whatever_the_pause() -> None:
    house = House()
    house.answers = [Answered(503, 80_000.0)]
    house.commit("core")
    house.run()
    assert len(house.asked) == 1
    house.hook.resume()
    house.run()
    assert len(house.asked) == 2
    assert house.notes.events == 1


def test_what_retention_overtook_is_told_and_the_rest_goes_on() -> None:
    house = House()
    house.hook.stop()
    house.spool.cursor = 1
    for _ in range(4):
        house.commit("core", "core")
    del house.world.reader.runs[:2]
    house.begin()
    house.run()
    assert house.notes.losses == [(1, 4)]
    assert house.told() == [[5, 6, 7, 8]]


def test_a_webhook_that_is_stopped_calls_no_more() -> None:
    house = House()
    house.answers = [None]
    house.commit("core")
    house.run(0.5)
    house.hook.stop()
    house.run(60)
    assert len(house.asked) == 1


# ---- the dead --------------------------------------------------------------------------------------------------------


def refused(house: House) -> House:
    """Six events of which four were refused, in two batches."""
    house.answers = [Answered(422, 0.0), Answered(200, 0.0), Answered(400, 0.0)]
    house.commit("core", "local", "core", "core", "core", "core", "core")
    house.run()
    assert [(run.first, run.last, run.events) for run in house.dead()] == [(1, 3, 2), (6, 7, 2)]
    house.asked.clear()
    return house


def test_a_replay_calls_the_dead_again_and_takes_them_off_the_list() -> None:
    house = refused(House(batch=2))
    assert house.hook.replay(house.dead())
    house.run()
    assert house.told() == [[1, 3], [6, 7]]
    assert house.dead() == []
    assert house.notes.replays == [(2, 0, "")]
    assert not house.hook.replaying


def test_a_replay_that_is_refused_again_stops_and_leaves_the_list() -> None:
    house = refused(House(batch=2))
    house.answers = [Answered(200, 0.0), Answered(422, 0.0)]
    house.hook.replay(house.dead())
    house.run()
    assert [(run.first, run.reason) for run in house.dead()] == [(6, "http_400")]
    assert house.notes.replays == [(1, 1, "HTTP status 422")]


def test_a_replay_goes_on_beside_what_is_new() -> None:
    house = refused(House(batch=2))
    house.hook.replay(house.dead())
    house.commit("core")
    house.run()
    assert sorted(map(tuple, house.told())) == [(1, 3), (6, 7), (8,)]


def test_while_it_is_paused_no_replay_begins() -> None:
    house = refused(House(batch=2))
    house.hook.pause()
    assert not house.hook.replay(house.dead())
    house.run()
    assert house.told() == []
    house.hook.resume()
    assert house.hook.replay(house.dead())
    house.run()
    assert house.told() == [[1, 3], [6, 7]]


def test_a_pause_ends_a_replay_and_what_it_did_not_call_stays_on_the_list() -> None:
    house = refused(House(batch=2))
    house.hook.replay(house.dead())
    house.hook.pause()
    house.run()
    assert house.told() == []
    assert [run.first for run in house.dead()] == [1, 6]
    assert house.notes.replays == [(0, 2, PAUSED)]


def test_the_dead_that_the_journal_keeps_no_more_are_told_as_lost() -> None:
    house = refused(House(batch=2))
    del house.world.reader.runs[:]
    house.world.runs._runs.clear()
    house.world.runs._firsts.clear()
    house.world.reader.keep([event(8, "core")])
    house.world.stream.wake()
    house.hook.replay(house.dead())
    house.run(5)
    assert house.notes.losses == [(0, 3), (5, 7)]
    assert house.dead() == []
