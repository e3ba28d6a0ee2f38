"""The feeds over HTTP: what is asked, answered and refused."""

from __future__ import annotations

import json
from collections.abc import Callable

import jsonschema
import pytest

from mgate.feeds.api import FEED, LARGEST_LIMIT, LONGEST_WAIT, USUAL_FEED, USUAL_LIMIT, FeedApi, Feeds
from mgate.feeds.bookmarks import Bookmarks
from mgate.intake import openapi
from mgate.intake.codes import Code
from mgate.net.bounds import Limits
from mgate.spool.verbs import Ack, Acked, NotKept
from mgate.spool.wishes import acknowledge
from mgate.telemetry import Telemetry
from tests.unit.feeds.conftest import CURSORS, World
from tests.unit.net.conftest import Client, House, get, post

DOCUMENT = json.loads(openapi.document())


class Spool:
    """Makes cursors durable as the store does; answers when it is told to."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.full = False
        self.waiting: list[Callable[[], None]] = []

    def acknowledge(self, ack: Ack, done: Callable[[Acked | NotKept], None]) -> None:
        rows = self._world.reader.rows
        durable = {feed: cursor for client, feed, cursor in rows if client == ack.client}
        acks: dict[tuple[str, str], int] = {}
        acked: Acked | NotKept = acknowledge(ack, durable, acks, self._world.reader.last_event())
        if self.full:
            acked, acks = NotKept("no room"), {}
        self.waiting.append(lambda: done(acked))
        rows[:] = [row for row in rows if row[:2] not in acks] + [(*key, cursor) for key, cursor in acks.items()]


class Bank:
    """Clients with their sockets, on one journal."""

    def __init__(self) -> None:
        self.world = World()
        self.spool = Spool(self.world)
        self.telemetry = Telemetry("0", {}, [])
        self.feeds = Feeds(self.world.stream, Bookmarks(self.world.journal, self.spool), CURSORS)
        self.apis: dict[str, FeedApi] = {}

    def socket(self, client: str = "local") -> Client:
        clock = self.world.clock
        api = self.apis[client] = FeedApi(client, self.feeds, clock, self.telemetry.feeds_of(client))
        return House(api.routes(), Limits(), None, None, clock).connect()

    def ask(self, sent: bytes, client: str = "local") -> tuple[int, bytes, str]:
        """Status, body and the place."""
        return self.answer(self.begin(sent, client))

    def begin(self, sent: bytes, client: str = "local") -> Client:
        socket = self.socket(client)
        socket.send(sent)
        self.world.turn()
        return socket

    def answer(self, socket: Client) -> tuple[int, bytes, str]:
        while self.spool.waiting:
            self.spool.waiting.pop()()
        head, _, body = socket.pipe.take().partition(b"\r\n\r\n")
        _, found, rest = head.partition(b"Mgate-Cursor: ")
        return int(head.split(b" ")[1]), body, rest.split(b"\r\n")[0].decode() if found else ""

    def events(self, query: str = "", client: str = "local") -> tuple[int, list[int], str]:
        status, body, place = self.ask(get(f"/v1/events{query}"), client)
        return status, [json.loads(line)["sequence"] for line in body.splitlines()], place

    def ack(self, sequence: int, feed: str = "default") -> tuple[int, dict[str, str]]:
        status, body, _ = self.ask(post("/v1/events/ack", ack(CURSORS.show(sequence), feed)))
        return status, json.loads(body)


def ack(cursor: str, feed: str = "default") -> bytes:
    return json.dumps({"feed": feed, "cursor": cursor}).encode()


@pytest.fixture
def bank() -> Bank:
    return Bank()


def test_a_feed_goes_on_from_where_it_was_acknowledged(bank: Bank) -> None:
    bank.world.commit("local", "core", "local")
    assert bank.events() == (200, [1, 3], CURSORS.show(3))
    assert bank.ack(1) == (200, {"feed": "default", "cursor": CURSORS.show(1)})
    assert bank.events() == (200, [3], CURSORS.show(3))
    assert bank.events("?feed=other") == (200, [1, 3], CURSORS.show(3))
    assert bank.events(f"?after={CURSORS.show(0)}&limit=1") == (200, [1], CURSORS.show(1))
    assert bank.events(client="core") == (200, [2], CURSORS.show(3))
    bank.ack(3)
    assert bank.events() == (204, [], CURSORS.show(3))


def test_an_older_acknowledgement_answers_the_durable_cursor(bank: Bank) -> None:
    bank.world.commit("local", "local")
    bank.ack(2)
    assert bank.ack(1) == (200, {"feed": "default", "cursor": CURSORS.show(2)})
    assert bank.events()[0] == 204


def test_cursors_are_read_from_the_disk_after_a_start(bank: Bank) -> None:
    bank.world.commit("local", "local")
    bank.world.reader.rows = [("local", "default", 1), ("core", "default", 2)]
    assert bank.events() == (200, [2], CURSORS.show(2))


def test_an_acknowledgement_beside_the_reading_of_cursors_is_not_forgotten(bank: Bank) -> None:
    bank.world.commit("local", "local")
    bank.world.reader.rows = [("local", "default", 1)]
    bank.world.journal.at_once = False
    socket = bank.begin(get("/v1/events"))  # the cursors are being read
    assert bank.ack(2)[0] == 200
    for _ in range(3):
        bank.world.journal.come()
        bank.world.turn()
    assert bank.answer(socket)[0] == 204


def test_a_poll_waits_for_its_seconds(bank: Bank) -> None:
    socket = bank.begin(get("/v1/events?wait=60"))
    bank.world.clock.advance(59)
    assert not socket.pipe.written
    bank.world.clock.advance(1)
    assert bank.answer(socket) == (204, b"", CURSORS.show(0))


def test_a_poll_that_waits_is_answered_after_a_commit(bank: Bank) -> None:
    socket = bank.begin(get("/v1/events?wait=60"))
    bank.world.commit("local")
    bank.world.pause()
    assert bank.answer(socket)[0] == 200
    assert bank.telemetry.feeds_of("local").delivered.n == 1


def test_a_client_that_hangs_up_is_let_go(bank: Bank) -> None:
    socket = bank.begin(get("/v1/events?wait=60"))
    socket.leave()
    bank.world.commit("local")
    bank.world.pause()
    assert bank.world.stream.waiting == 0
    assert bank.telemetry.feeds_of("local").delivered.n == 0


def test_nobody_waits_at_a_door_that_closes(bank: Bank) -> None:
    socket = bank.begin(get("/v1/events?wait=60"))
    bank.apis["local"].close()
    assert bank.answer(socket)[0] == 204
    socket.send(get("/v1/events?wait=60"))
    bank.world.turn()
    assert bank.answer(socket)[0] == 204


def test_what_is_gone_is_told_with_the_place_to_go_on(bank: Bank) -> None:
    for _ in range(3):
        bank.world.commit("local", "local")
    del bank.world.reader.runs[0]
    status, body, place = bank.ask(get(f"/v1/events?after={CURSORS.show(1)}"))
    assert (status, json.loads(body)["error"], json.loads(body)["cursor"]) == (410, "events_gone", place)
    assert bank.events(f"?after={place}") == (200, [3, 4, 5, 6], CURSORS.show(6))


BAD = "0001020304050607"


@pytest.mark.parametrize(
    ("query", "code", "field"),
    [
        ("after=", Code.BAD_CURSOR, "after"),
        (f"after={BAD}", Code.BAD_CURSOR, "after"),
        (f"after={BAD}-1%20", Code.BAD_CURSOR, "after"),
        (f"after={'0' * 16}-1", Code.FOREIGN_CURSOR, "after"),
        (f"after={BAD}-2", Code.CURSOR_BEYOND, "after"),
        (f"after={BAD}-2&wait=5", Code.CURSOR_BEYOND, "after"),
        ("after=%ff", Code.BAD_VALUE, ""),
        ("feed=", Code.BAD_VALUE, "feed"),
        ("feed=A", Code.BAD_VALUE, "feed"),
        (f"feed={'a' * 33}", Code.BAD_VALUE, "feed"),
        ("wait=61", Code.OUT_OF_RANGE, "wait"),
        ("wait=-1", Code.OUT_OF_RANGE, "wait"),
        ("wait=0.5", Code.OUT_OF_RANGE, "wait"),
        ("limit=0", Code.OUT_OF_RANGE, "limit"),
        ("limit=5001", Code.OUT_OF_RANGE, "limit"),
    ],
)
def test_what_cannot_be_meant_is_refused(bank: Bank, query: str, code: Code, field: str) -> None:
    bank.world.commit("local")
    status, body, _ = bank.ask(get(f"/v1/events?{query}"))
    refused = json.loads(body)
    assert (status, refused["error"], refused["field"]) == (code.status, code.word, field)


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        (b"", Code.BAD_JSON, ""),
        (b"[]", Code.BAD_JSON, ""),
        (b"\xff", Code.BAD_JSON, ""),
        (b'{"cursor": "x", "more": 1}', Code.UNKNOWN_FIELD, ""),
        (b"{}", Code.MISSING, "cursor"),
        (b'{"cursor": 1}', Code.WRONG_TYPE, "cursor"),
        (b'{"cursor": "x", "feed": 1}', Code.WRONG_TYPE, "feed"),
        (ack("x", "A"), Code.BAD_VALUE, "feed"),
        (ack("x"), Code.BAD_CURSOR, "cursor"),
        (ack(f"{'0' * 16}-1"), Code.FOREIGN_CURSOR, "cursor"),
        (ack(f"{BAD}-2"), Code.CURSOR_BEYOND, "cursor"),
    ],
)
def test_an_acknowledgement_that_cannot_be_meant_is_refused(bank: Bank, body: bytes, code: Code, field: str) -> None:
    bank.world.commit("local")
    status, answer, _ = bank.ask(post("/v1/events/ack", body))
    refused = json.loads(answer)
    assert (status, refused["error"], refused["field"]) == (code.status, code.word, field)


def test_a_seventeenth_feed_is_refused(bank: Bank) -> None:
    bank.world.commit("local")
    assert {bank.ack(1, f"f{n}")[0] for n in range(16)} == {200}
    for status, body, _ in (
        bank.ask(post("/v1/events/ack", ack(CURSORS.show(1), "f16"))),
        bank.ask(get("/v1/events?feed=f16")),
    ):
        assert (status, json.loads(body)["error"]) == (409, Code.TOO_MANY_FEEDS.word)
    assert bank.events("?feed=f7")[0] == 204
    assert bank.telemetry.feeds_of("local").acks.n == 16


def test_what_cannot_be_read_or_written_now_may_be_tried_again(bank: Bank) -> None:
    bank.world.commit("local")
    bank.world.journal.broken = True
    assert bank.ask(get("/v1/events"))[0] == 503
    bank.world.journal.broken = False
    bank.spool.full = True
    assert bank.ack(1) == (503, {"error": "not_kept", "field": "", "detail": bank.ack(1)[1]["detail"]})
    bank.spool.full = False
    assert bank.events()[1] == [1], "nothing was acknowledged"


# ---- what the document says ------------------------------------------------------------------------------------------


def check(value: object, name: str) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    jsonschema.Draft202012Validator(schema).validate(value)


def test_events_and_what_is_gone_are_what_the_document_says(bank: Bank) -> None:
    bank.world.commit("core")
    bank.world.commit("local", meta=b'{"branch":"7"}')
    bank.world.commit("local")
    del bank.world.reader.runs[0]
    _, body, place = bank.ask(get("/v1/events"))
    for line in body.splitlines():
        check(json.loads(line), "FeedEvent")
    assert b'"meta"' in body
    _, body, _ = bank.ask(get(f"/v1/events?after={CURSORS.show(0)}"))
    check(json.loads(body), "EventsGone")
    _, body, _ = bank.ask(get("/v1/events?limit=0"))
    check(json.loads(body), "Error")
    assert len(place) >= 18


def test_the_document_has_the_limits() -> None:
    parameters = {each["name"]: each["schema"] for each in DOCUMENT["paths"]["/v1/events"]["get"]["parameters"]}
    assert (parameters["wait"]["maximum"], parameters["limit"]["maximum"]) == (LONGEST_WAIT, LARGEST_LIMIT)
    assert (parameters["feed"]["pattern"], parameters["feed"]["default"]) == (f"^{FEED}$", USUAL_FEED)
    assert parameters["limit"]["default"] == USUAL_LIMIT


def test_the_faults_of_feeds_are_documented_codes() -> None:
    answers = {
        **DOCUMENT["paths"]["/v1/events"]["get"]["responses"],
        **DOCUMENT["paths"]["/v1/events/ack"]["post"]["responses"],
    }
    for code in (Code.BAD_CURSOR, Code.FOREIGN_CURSOR, Code.CURSOR_BEYOND, Code.TOO_MANY_FEEDS, Code.EVENTS_GONE):
        assert f"`{code.word}`" in answers[str(code.status)]["description"]
