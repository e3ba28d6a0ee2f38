"""The feed of events as a bank reads it: in order, once for who keeps the cursor, whatever dies in between."""

from __future__ import annotations

import http.client
import json
import resource
import socket
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.integration.instance import LIMIT, House, ask, batch, message, until

ENDED: Final = "delivered"
OTHER: Final = "[push.clients.core]\n"
FAST: Final = "[receipts]\ndelay = 0.01\n"


class Page(NamedTuple):
    status: int
    events: list[dict[str, Any]]
    place: str


class Feed:
    """One connection that reads a feed."""

    def __init__(self, path: Path, name: str = "") -> None:
        self._path = path
        self._name = f"feed={name}&" if name else ""
        self._connection = http.client.HTTPConnection("mgate", timeout=LIMIT)

    def read(self, after: str = "", wait: int = 0, limit: int = 5000) -> Page:
        if self._connection.sock is None:
            self._connection.sock = socket.socket(socket.AF_UNIX)
            self._connection.sock.settimeout(LIMIT)
            self._connection.sock.connect(str(self._path))
        given = f"after={after}&" if after else ""
        self._connection.request("GET", f"/v1/events?{self._name}{given}wait={wait}&limit={limit}")
        response = self._connection.getresponse()
        lines = [json.loads(line) for line in response.read().splitlines()]
        return Page(response.status, lines, response.headers.get("Mgate-Cursor", ""))

    def all(self, messages: int, after: str = "", limit: int = 5000) -> Iterator[dict[str, Any]]:
        """Every event until so many messages have been delivered."""
        while messages:
            page = self.read(after, 5, limit)
            assert page.status == 200, page
            yield from page.events
            messages -= sum(event["event"] == ENDED for event in page.events)
            after = page.events[-1]["cursor"]

    def close(self) -> None:
        self._connection.close()


def acknowledge(house: House, cursor: str, feed: str = "default") -> Any:
    return ask(house.push_socket, "POST", "/v1/events/ack", {"feed": feed, "cursor": cursor})


def feed(house: House, name: str = "") -> closing[Feed]:
    return closing(Feed(house.push_socket, name))


def test_a_message_is_told_of_until_its_end(house: House) -> None:
    house.begin(FAST)
    name = house.pushed("login-1", "otp", meta={"branch": "7", "till": [1, 2]})
    with feed(house) as reader:
        told = list(reader.all(1))
        assert reader.read(told[-1]["cursor"]) == Page(204, [], told[-1]["cursor"])
    assert [event["id"] for event in told] == [name] * len(told)
    assert [event["sequence"] for event in told] == sorted({event["sequence"] for event in told})
    assert {event["ref"] for event in told} == {"login-1"}
    assert all(event["meta"] == {"branch": "7", "till": [1, 2]} for event in told)
    last = told[-1]
    assert last["event"] == ENDED
    assert (last["may_have_been_sent"], last["parts"], last["reason"]) == (True, 1, "")
    seen = [(event["sequence"], event["event"], event["at"]) for event in house.show(name)["events"]]
    assert [(event["sequence"], event["event"], event["time"]) for event in told] == seen


def test_a_client_that_keeps_its_cursor_reads_every_event_once_over_kills(house: House) -> None:
    """It asks again from its own cursor after each SIGKILL, which comes between reading and acknowledging."""
    house.begin(FAST, window=50)
    told: list[dict[str, Any]] = []
    for round_ in range(3):
        batch(house.push_socket, [message(f"r{round_}-{n}") for n in range(200)])
        with feed(house) as reader:
            told += reader.read(told[-1]["cursor"] if told else "", wait=5, limit=50).events
        house.daemon.kill()
        house.start()
        house.wait_bound()
    with feed(house) as reader:
        while (page := reader.read(told[-1]["cursor"], wait=2)).status == 200:
            told += page.events
        first = reader.read(limit=1).events[0]
    assert [event["sequence"] for event in told] == sorted({event["sequence"] for event in told})
    heard = Counter((event["ref"], event["sequence"], event["event"]) for event in told)
    refs = [f"r{round_}-{n}" for round_ in range(3) for n in range(200)]
    assert heard == Counter(
        (ref, event["sequence"], event["event"]) for ref in refs for event in house.find(ref)[0]["events"]
    )
    assert first == told[0], "nothing was acknowledged, so an unsaid cursor is the first"


def test_an_acknowledgement_outlives_a_kill_and_only_grows(house: House) -> None:
    house.begin(FAST)
    for n in range(3):
        house.pushed(f"a{n}")
    with feed(house) as reader:
        told = list(reader.all(3))
    for cursor, durable in ((told[3], told[3]), (told[1], told[3]), (told[4], told[4])):
        answer = acknowledge(house, cursor["cursor"])
        assert (answer.status, answer.body) == (200, {"feed": "default", "cursor": durable["cursor"]})
    house.daemon.kill()
    house.start()
    with feed(house) as reader, feed(house, "audit") as other:
        assert reader.read().events == told[5:]
        assert reader.read(told[0]["cursor"]).events == told[1:], "a cursor that is said rules"
        assert other.read().events == told, "another feed has its own"


def test_a_cursor_beyond_the_journal_or_of_another_database_is_refused(house: House) -> None:
    house.begin(FAST)
    house.pushed("a1")
    with feed(house) as reader:
        last = list(reader.all(1))[-1]
    database, _, sequence = last["cursor"].partition("-")
    beyond = f"{database}-{int(sequence, 16) + 1:x}"
    foreign = f"{int(database, 16) ^ 1:016x}-1"
    for cursor, status, error in (
        (beyond, 409, "cursor_beyond"),
        (foreign, 409, "foreign_cursor"),
        ("yesterday", 400, "bad_cursor"),
    ):
        for answer in (
            acknowledge(house, cursor),
            ask(house.push_socket, "GET", f"/v1/events?after={cursor}"),
            ask(house.push_socket, "GET", f"/v1/events?after={cursor}&wait=5"),
        ):
            assert (answer.status, answer.body["error"]) == (status, error)
    for query in ("wait=61", "limit=0", "limit=5001", "feed=", "feed=A%20B", "after=%ff"):
        assert ask(house.push_socket, "GET", f"/v1/events?{query}").status in {400, 422}, query


def test_a_cursor_that_outlived_the_journal_is_told_where_to_go_on(house: House) -> None:
    house.begin(FAST)
    with feed(house) as reader:
        for n in range(3):
            house.pushed(f"a{n}")
            list(reader.all(n + 1))  # one after the other: each has runs of its own
        told = list(reader.all(3))
    assert acknowledge(house, told[0]["cursor"]).status == 200
    house.stop()
    with closing(sqlite3.connect(house.path / "spool" / "spool.db")) as spool:
        firsts = [first for (first,) in spool.execute("SELECT first FROM journal ORDER BY first")]
        kept = firsts[-2]
        spool.execute("DELETE FROM journal WHERE first < ?", (kept,))
        spool.commit()
    house.start()
    answer = ask(house.push_socket, "GET", "/v1/events")
    assert (answer.status, answer.body["error"]) == (410, "events_gone")
    assert answer.body["cursor"] == answer.headers["Mgate-Cursor"]
    with feed(house) as reader, feed(house, "new") as other:
        left = [event for event in told if event["sequence"] >= kept]
        assert reader.read(answer.body["cursor"]).events == left
        assert other.read().events == left, "a feed that never was there begins with what is kept"


def test_an_administrator_sees_how_far_each_feed_has_come(house: House) -> None:
    house.begin(FAST)
    house.pushed("a1")
    with feed(house) as reader:
        told = list(reader.all(1))
    assert acknowledge(house, told[0]["cursor"], "crm").status == 200
    (row,) = json.loads(house.mgatectl("feeds", "--json").stdout)["feeds"]
    behind = len(told) - 1
    first = {"client": "local", "feed": "crm", "cursor": told[0]["cursor"], "behind": behind, "oldest": told[1]["time"]}
    assert row == first

    def numbers() -> str:
        return str(ask(house.metrics_socket, "GET", "/metrics").body["text"])

    until(lambda: f'mgate_feed_behind_events{{client="local"}} {behind}.0' in numbers(), "the lag is known")
    assert f'mgate_events_delivered_total{{client="local"}} {len(told)}.0' in numbers()
    assert 'mgate_event_acks_total{client="local"} 1.0' in numbers()


def test_a_seventeenth_feed_is_refused(house: House) -> None:
    house.begin(FAST)
    house.pushed("a1")
    with feed(house) as reader:
        first = next(reader.all(1))["cursor"]
    assert {acknowledge(house, first, f"f{n}").status for n in range(16)} == {200}
    answer = acknowledge(house, first, "f16")
    assert (answer.status, answer.body["error"]) == (409, "too_many_feeds")
    house.daemon.kill()
    house.start()
    answer = ask(house.push_socket, "GET", "/v1/events?feed=f16")
    assert (answer.status, answer.body["error"]) == (409, "too_many_feeds")
    assert acknowledge(house, first, "f3").status == 200


def test_a_client_sees_its_own_events_only_and_moves_on_over_those_of_others(house: House) -> None:
    house.begin(FAST, more=OTHER, window=50)
    core = house.path / "run" / "push-core.sock"
    batch(house.push_socket, [message(f"mine-{n}") for n in range(300)])
    with feed(house) as reader, closing(Feed(core)) as other:
        mine = list(reader.all(300))
        page = other.read()
        assert (page.status, page.place) == (204, mine[-1]["cursor"])
        assert ask(core, "POST", "/v1/messages", message("theirs")).status == 202
        theirs = list(other.all(1, page.place))
        assert {event["ref"] for event in theirs} == {"theirs"}
        assert reader.read(mine[-1]["cursor"]).status == 204
        assert list(other.all(1)) == theirs, "from the beginning it sees the same"


def test_a_poll_that_waits_is_answered_soon_after_the_commit(house: House) -> None:
    house.begin(FAST)
    house.pushed("a0")
    with feed(house) as reader:
        after = list(reader.all(1))[-1]["cursor"]
        late: list[float] = []
        for n in range(10):
            waiting = threading.Timer(0.05, lambda n=n: house.pushed(f"w{n}"))
            waiting.start()
            page = reader.read(after, 10)
            now = time.time()
            waiting.join()
            first = page.events[0]
            at = time.mktime(time.strptime(first["time"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
            late.append(now - at - int(first["time"][20:23]) / 1000)
            after = [*page.events, *(reader.all(1, page.place) if page.events[-1]["event"] != ENDED else ())][-1][
                "cursor"
            ]
        assert sorted(late)[5] < 0.05, late
        begun = time.monotonic()
        assert reader.read(after, 1).status == 204
        assert 0.9 < time.monotonic() - begun < 5.0


def test_a_thousand_polls_that_wait_cost_no_threads_and_each_is_answered(house: House) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    house.begin(FAST, more="[push]\nconnections = 1100\n")
    told = house.config.read_text()
    house.config.write_text(told.replace("[push.clients.local]", "[push.clients.local]\nconnections = 1100"))
    assert house.mgatectl("reload").returncode == 0
    house.pushed("a0")
    with feed(house) as reader:
        after = list(reader.all(1))[-1]["cursor"]
    tasks = Path(f"/proc/{house.daemon.pid}/task")
    before = len(list(tasks.iterdir()))
    asked = f"GET /v1/events?after={after}&wait=60&limit=1 HTTP/1.1\r\nHost: mgate\r\n\r\n".encode()
    with ExitStack() as stack:
        sockets = [stack.enter_context(closing(socket.socket(socket.AF_UNIX))) for _ in range(1000)]
        for one in sockets:
            one.connect(str(house.push_socket))
            one.sendall(asked)

        def not_waiting() -> int:
            try:
                return ask(house.push_socket, "GET", f"/v1/events?after={after}").status
            except BlockingIOError:
                return 0  # the thousand are still at the door

        assert until(not_waiting, "a place in the line") == 204
        assert len(list(tasks.iterdir())) == before
        for one in sockets[:500]:
            one.close()
        house.pushed("a1")
        for one in sockets[500:]:
            one.settimeout(LIMIT)
            assert one.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_a_feed_that_was_away_reads_all_in_order(house: House) -> None:
    house.begin("", window=200)
    count = 6_000  # four pages
    for begin in range(0, count, 2_000):
        batch(house.push_socket, [message(f"b{n}") for n in range(begin, begin + 2_000)])
    with feed(house) as reader:
        told = list(reader.all(count))
        again = reader.read(limit=5000)
    sequences = [event["sequence"] for event in told]
    assert sequences == sorted(set(sequences))
    assert Counter(event["ref"] for event in told if event["event"] == ENDED) == {f"b{n}": 1 for n in range(count)}
    assert again.events == told[: len(again.events)]
    until(lambda: acknowledge(house, told[-1]["cursor"]).status == 200, "the acknowledgement")
