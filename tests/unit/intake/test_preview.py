"""``POST /v1/preview``: what a text will be, and what is told when it cannot be looked at."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mgate.intake.codes import Code, refusal
from mgate.intake.preview import LONGEST, PreviewView, look
from mgate.model.message import TrafficClass
from mgate.model.ports import Refusal
from mgate.net.bounds import Limits
from tests.unit.intake.conftest import AsTheyAre, Socket, build
from tests.unit.intake.test_openapi import ask, check
from tests.unit.net import conftest as net


class Russian(AsTheyAre):
    """Texts of class service leave in Latin letters, and none may have a link."""

    def table(self, traffic: TrafficClass) -> str:
        return "ru" if traffic is TrafficClass.SERVICE else ""

    def text_refusal(self, traffic: TrafficClass, text: str) -> Refusal | None:
        return refusal(Code.LINK_NOT_ALLOWED, "text") if "http" in text else None


def looked(**given: Any) -> PreviewView | Refusal:
    return look(json.dumps(given).encode(), Russian())


def test_a_text_in_gsm_has_no_other_form() -> None:
    assert looked(text="Code 482913") == PreviewView("gsm7", 1, 11, 11, 149)


def test_a_text_says_which_characters_made_it_dear_and_how_it_leaves() -> None:
    told = looked(text="Счет 5. " * 10)
    assert isinstance(told, PreviewView)
    assert (told.alphabet, told.parts, told.forced[0].place) == ("ucs2", 2, 1)
    assert told.other is not None
    assert (told.other.parts, told.other.leaves_so, told.other.text[:7]) == (1, True, "Schet 5")


def test_a_form_that_saves_nothing_is_shown_and_not_used() -> None:
    told = looked(text="Счет")
    assert isinstance(told, PreviewView)
    assert told.other is not None
    assert not told.other.leaves_so


def test_another_table_can_be_tried() -> None:
    told = looked(text="Київ", table="uk", **{"class": "otp"})
    assert isinstance(told, PreviewView)
    assert told.other is not None
    assert (told.other.text, told.other.table, told.other.leaves_so) == ("Kyiv", "uk", False)


def test_what_a_guard_would_refuse_is_told() -> None:
    told = looked(text="see https://evil.example")
    assert isinstance(told, PreviewView)
    assert told.refused_as == "link_not_allowed"


@pytest.mark.parametrize(
    ("given", "code", "field"),
    [
        ({}, Code.MISSING, "text"),
        ({"text": ""}, Code.EMPTY, "text"),
        ({"text": 5}, Code.WRONG_TYPE, "text"),
        ({"text": "x" * (LONGEST + 1)}, Code.TOO_LONG, "text"),
        ({"text": "x", "class": "spam"}, Code.BAD_VALUE, "class"),
        ({"text": "x", "table": "xx"}, Code.BAD_VALUE, "table"),
        ({"text": "x", "to": "+375291110001"}, Code.UNKNOWN_FIELD, ""),
    ],
)
def test_what_cannot_be_looked_at_is_refused_by_name(given: dict[str, Any], code: Code, field: str) -> None:
    found = looked(**given)
    assert isinstance(found, Refusal)
    assert (found.code, found.field) == (code.word, field)


def test_what_is_no_json_is_refused() -> None:
    found = look(b"text", Russian())
    assert isinstance(found, Refusal)
    assert found.code == "bad_json"


def test_the_socket_answers_as_the_document_says() -> None:
    socket: Socket = build()
    status, body = ask(socket, net.post("/v1/preview", json.dumps({"text": "Счет «5»"}).encode()))
    assert status == 200
    check(json.loads(body), "PreviewView")
    assert ask(socket, net.post("/v1/preview", b"{}"))[0] == 422


def test_the_admin_socket_takes_single_messages_for_duty_numbers_only() -> None:
    socket = build()
    routes = socket.api.admin_routes(lambda: ("+375291110001",))
    admin = net.House(routes, Limits(), None, None, socket.house.clock)
    client = admin.connect()
    for number in ("+375291110001", "+375291110002"):
        message = {"ref": number, "to": number, "class": "otp", "text": "Test", "sender": "EXBANK"}
        client.send(net.post("/v1/messages", json.dumps(message).encode()))
        socket.turn()
        socket.acceptor.commit_all()
    (first, _), (second, body) = client.answers()
    assert (first, second) == (202, 403)
    assert json.loads(body)["error"] == "no_duty_number"
