"""The push API: single messages, questions, cancelling."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from mgate.model.message import MessageId, show_id
from tests.unit.intake.conftest import Socket, build, message
from tests.unit.net.conftest import Client, get, open_stream, post


def bodies(client: Client) -> list[tuple[int, dict[str, object]]]:
    return [(status, json.loads(body)) for status, body in client.answers()]


def push(socket: Socket, body: bytes) -> tuple[int, dict[str, object]]:
    client = socket.connect()
    client.send(post("/v1/messages", body))
    socket.turn()
    socket.acceptor.commit_all()
    (answer,) = bodies(client)
    return answer


def test_nothing_is_acknowledged_before_its_commit(socket: Socket) -> None:
    client = socket.connect()
    client.send(post("/v1/messages", message()))
    socket.turn()
    assert client.pipe.written == b""
    socket.acceptor.commit()
    assert bodies(client) == [(202, {"id": show_id(1 << 60), "ref": "r1", "state": "accepted", "parts": 1})]


def test_a_repeat_is_200_with_the_same_id_and_other_content_is_409(socket: Socket) -> None:
    first = push(socket, message())
    again = push(socket, message())
    other = push(socket, message(text="Code 900000"))
    assert again == (200, {**first[1], "duplicate": True})
    assert other[0] == 409
    assert (other[1]["error"], other[1]["field"]) == ("ref_conflict", "ref")


def test_the_order_of_keys_does_not_make_it_other_content(socket: Socket) -> None:
    push(socket, message())
    shuffled = json.dumps(dict(reversed(json.loads(message()).items())), indent=1).encode()
    assert push(socket, shuffled)[0] == 200


def test_a_refusal_names_code_and_field_and_repeats_nothing(socket: Socket) -> None:
    status, body = push(socket, message(to="+37529111000199", text="Code 482913"))
    assert (status, body["error"], body["field"]) == (422, "number_not_possible", "to")
    assert "37529" not in str(body)
    assert "482913" not in str(body)
    assert socket.acceptor.calls == []


def test_a_class_that_the_client_may_not_use_is_403(build_socket: Callable[..., Socket]) -> None:
    socket = build_socket(classes=frozenset())
    assert push(socket, message())[0] == 403


def test_what_cannot_be_kept_is_503_with_retry_after(socket: Socket) -> None:
    socket.acceptor.full = True
    client = socket.connect()
    client.send(post("/v1/messages", message()))
    socket.turn()
    socket.acceptor.commit()
    assert client.pipe.written.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 5\r\n" in client.pipe.written


def test_a_body_over_64_kib_is_413(socket: Socket) -> None:
    client = socket.connect()
    client.send(post("/v1/messages", message(text="x" * 66_000)))
    assert [status for status, _ in client.answers()] == [413]


def test_messages_of_one_turn_are_one_call_to_acceptance(socket: Socket) -> None:
    clients = [socket.connect() for _ in range(10)]
    for number, client in enumerate(clients):
        client.send(post("/v1/messages", message(f"r{number}")) + post("/v1/messages", message(f"s{number}")))
    assert socket.acceptor.calls == []
    socket.turn()
    assert socket.acceptor.calls == [20]
    clients[3].leave()
    socket.acceptor.commit()
    for number, client in enumerate(clients):
        told = [body["ref"] for _, body in bodies(client)]
        assert told == ([] if number == 3 else [f"r{number}", f"s{number}"])


def test_commits_that_answer_out_of_turn_are_answered_in_turn(socket: Socket) -> None:
    client = socket.connect()
    for ref in ("a", "b", "c"):
        client.send(post("/v1/messages", message(ref)))
        socket.turn()
    socket.acceptor.commit(2)
    socket.acceptor.commit(1)
    assert client.pipe.written == b""
    socket.acceptor.commit(0)
    assert [body["ref"] for _, body in bodies(client)] == ["a", "b", "c"]


def test_a_push_over_the_rate_is_429_and_says_when_to_come_again(build_socket: Callable[..., Socket]) -> None:
    socket = build_socket(rate=2.0)
    answers = [push(socket, message(f"r{n}"))[0] for n in range(3)]
    assert answers == [202, 202, 429]
    client = socket.connect()
    client.send(post("/v1/messages", message("r9")))
    assert b"Retry-After: 1\r\n" in client.pipe.written
    socket.house.wait(1)
    assert push(socket, message("r9"))[0] == 202


def test_a_refused_message_costs_no_token(build_socket: Callable[..., Socket]) -> None:
    socket = build_socket(rate=1.0)
    assert push(socket, b"{}")[0] == 422
    assert push(socket, message())[0] == 202


def test_a_message_is_shown_to_its_owner_only(socket: Socket) -> None:
    client, stranger = socket.connect(), build(name="other").connect()
    path = f"/v1/messages/{show_id(1 << 60)}"
    for one in (client, stranger):
        one.send(get(path) + get(f"/v1/messages/{show_id(5)}") + get("/v1/messages/rubbish"))
    found = bodies(client)
    assert [status for status, _ in found] == [200, 404, 404]
    assert (found[0][1]["id"], found[0][1]["class"]) == (show_id(1 << 60), "otp")
    assert [status for status, _ in bodies(stranger)] == [404, 404, 404]


def test_messages_are_found_by_ref(socket: Socket) -> None:
    client = socket.connect()
    client.send(get("/v1/messages?ref=r1") + get("/v1/messages?ref=r2") + get("/v1/messages"))
    (_, found), (_, nothing), (status, error) = bodies(client)
    assert isinstance(found["messages"], list)
    assert [view["ref"] for view in found["messages"]] == ["r1"]
    assert nothing == {"messages": []}
    assert (status, error["error"], error["field"]) == (422, "missing", "ref")


@pytest.mark.parametrize(
    ("word", "status", "told"),
    [
        ("cancelled", 200, "cancelled"),
        ("leaving", 409, "leaving"),
        ("left", 409, "left"),
        ("may_have_left", 409, "may_have_left"),
        ("ended", 409, "ended"),
        ("busy", 503, "busy"),
        ("unknown", 404, "unknown_message"),
    ],
)
def test_cancelling_says_what_became_of_the_wish(socket: Socket, word: str, status: int, told: str) -> None:
    socket.desk.word = word
    client = socket.connect()
    client.send(get(f"/v1/messages/{show_id(MessageId(1 << 60))}", method="DELETE"))
    ((found, body),) = bodies(client)
    assert found == status
    assert body.get("state", body.get("error")) == told


def test_a_stopping_service_takes_nothing_new_and_answers_what_it_took(socket: Socket) -> None:
    client, late = socket.connect(), socket.connect()
    client.send(post("/v1/messages", message("before")))
    socket.turn()
    socket.api.close()
    told: list[str] = []
    late.send(post("/v1/messages", message("after")) + get("/v1/messages?ref=r1"))
    assert b"Retry-After: 5\r\n" in late.pipe.written
    assert [status for status, _ in late.answers()] == [503, 200]
    late.send(open_stream("/v1/messages:batch"))
    assert [status for status, _ in late.answers()] == [503]
    socket.house.listener.drain(lambda: told.append("drained"))
    socket.acceptor.commit()
    assert [status for status, _ in client.answers()] == [202]
    assert client.pipe.closed
    client.leave()
    late.leave()
    assert told == ["drained"]
    assert socket.acceptor.calls == [1]


def test_what_comes_in_is_counted(socket: Socket) -> None:
    push(socket, message())
    push(socket, message())
    push(socket, message(text="other"))
    push(socket, b"{}")
    numbers = socket.telemetry.push
    assert sum(number.n for number in numbers.accepted.values()) == 1
    assert numbers.duplicates.n == 1
    assert (numbers.refused["ref_conflict"].n, numbers.refused["missing"].n) == (1, 1)
