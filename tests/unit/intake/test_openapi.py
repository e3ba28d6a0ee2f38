"""The document says what the server does: each request and answer is held to the schema that it names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

import jsonschema
import pytest

from mgate.intake import openapi
from mgate.intake.codes import Code
from mgate.model.message import MessageId, show_id
from tests.unit.intake.conftest import Socket, build, message
from tests.unit.intake.test_batch import begin, lines, results
from tests.unit.net import conftest as net

Tree = dict[str, "Tree"]
DOCUMENT = cast("Tree", json.loads(openapi.document()))
ONE = f"/v1/messages/{show_id(1 << 60)}"
NONE = f"/v1/messages/{show_id(7)}"


def check(value: object, name: str) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    jsonschema.Draft202012Validator(schema).validate(value)


def fits(value: object, name: str) -> bool:
    try:
        check(value, name)
    except jsonschema.ValidationError:
        return False
    return True


def ask(socket: Socket, sent: bytes) -> tuple[int, bytes]:
    client = socket.connect()
    client.send(sent)
    socket.turn()
    socket.acceptor.commit_all()
    ((status, body),) = client.answers()
    return status, body


def test_the_written_document_is_the_served_one() -> None:
    served = ask(build(), net.get("/v1/openapi.json"))
    assert served == (200, openapi.document())
    written = Path("docs/openapi.json").read_bytes()
    assert written == openapi.document(), "run: python -m mgate.intake.openapi > docs/openapi.json"


def test_every_code_is_in_the_document_under_its_status() -> None:
    text = openapi.document().decode()
    described = {code.word for code in Code if f"`{code.word}`" in text}
    elsewhere = {Code.WRONG_METHOD, Code.URL_TOO_LONG, Code.EXPECTATION, Code.HEADER_TOO_LARGE}
    assert described == {code.word for code in Code} - {code.word for code in elsewhere}


@pytest.mark.parametrize(
    ("path", "method", "sent", "status"),
    [
        ("/v1/messages", "post", net.post("/v1/messages", message()), 202),
        ("/v1/messages", "post", net.post("/v1/messages", message("known")), 200),
        ("/v1/messages", "post", net.post("/v1/messages", message("known", text="other")), 409),
        ("/v1/messages", "post", net.post("/v1/messages", message(to="1")), 422),
        ("/v1/messages", "post", net.post("/v1/messages", b"{"), 422),
        ("/v1/messages", "post", net.post("/v1/messages", b"x" * 66_000), 413),
        ("/v1/messages", "post", b"POST /v1/messages HTTP/1.1\r\n\r\n", 400),
        ("/v1/messages", "get", net.get("/v1/messages?ref=r1"), 200),
        ("/v1/messages", "get", net.get("/v1/messages?ref=none"), 200),
        ("/v1/messages", "get", net.get("/v1/messages"), 422),
        ("/v1/messages/{id}", "get", net.get(ONE), 200),
        ("/v1/messages/{id}", "get", net.get(NONE), 404),
        ("/v1/messages/{id}", "delete", net.get(ONE, method="DELETE"), 200),
        ("/v1/messages/{id}", "delete", net.get(NONE, method="DELETE"), 404),
        ("/v1/openapi.json", "get", net.get("/v1/openapi.json"), 200),
    ],
)
def test_an_answer_is_what_the_document_says(path: str, method: str, sent: bytes, status: int) -> None:
    socket = build()
    ask(socket, net.post("/v1/messages", message("known")))
    found, body = ask(socket, sent)
    assert found == status
    described = DOCUMENT["paths"][path][method]["responses"][str(status)]["content"]["application/json"]["schema"]
    value = json.loads(body)
    jsonschema.Draft202012Validator({**described, "components": DOCUMENT["components"]}).validate(value)
    if status >= 400:
        words = DOCUMENT["paths"][path][method]["responses"][str(status)]["description"]
        assert f"`{value['error']}`" in str(words)


@pytest.mark.parametrize("word", ["leaving", "left", "may_have_left", "ended", "busy"])
def test_a_refused_cancellation_is_what_the_document_says(word: str) -> None:
    socket = build()
    socket.desk.word = word
    _, body = ask(socket, net.get(f"/v1/messages/{show_id(MessageId(1 << 60))}", method="DELETE"))
    check(json.loads(body), "Error")


def test_a_batch_s_result_lines_are_what_the_document_says() -> None:
    socket = build()
    client = begin(socket)
    client.send(lines(message("a"), message("a"), message("a", text="x"), b"{", message("b", to="1"), b"x" * 70_000))
    socket.acceptor.commit_all()
    socket.acceptor.full = True
    client.send(lines(message("c")))
    socket.acceptor.commit_all()
    socket.api.close()
    rows = results(client)
    assert len(rows) == 8
    for row in rows:
        check(row, "BatchResult")
    assert not fits({**rows[0], "more": 1}, "BatchResult"), "the check can fail"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"sender": "EXBANK", "valid_for": 60, "group": "g", "tags": ["a"], "meta": {"a": [1]}},
        {"not_after": "2027-01-15T10:00:00+01:00", "not_before": "2027-01-15T08:30:00.5Z"},
        {"ref": ""},
        {"ref": "x" * 129},
        {"ref": "a\tb"},
        {"ref": None},
        {"to": ""},
        {"class": "sms"},
        {"text": 1},
        {"sender": "EXAMPLE BANK"},
        {"valid_for": 0},
        {"valid_for": 60, "not_after": "2027-01-15T09:00:00Z"},
        {"not_after": "2027-01-15"},
        {"group": "x" * 65},
        {"tags": ["A"]},
        {"tags": ["a"] * 17},
        {"colour": "red"},
    ],
)
def test_a_message_fits_the_schema_exactly_when_the_server_takes_it(fields: dict[str, object]) -> None:
    status, _ = ask(build(), net.post("/v1/messages", message(**fields)))
    assert fits(json.loads(message(**fields)), "Message") == (status == 202)
