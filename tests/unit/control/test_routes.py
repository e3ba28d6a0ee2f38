"""mgatectl route, down to the router: what it shows, and how it ends. Only the socket between them is left out."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
import phonenumbers
import pytest
from click.testing import Result
from twisted.internet.task import Clock

from mgate.config import read
from mgate.control import talk
from mgate.control.route_views import WORDS, RouteAsked, RoutesAsked
from mgate.control.routes import MOST, RouteHatch
from mgate.control.views import ErrorView
from mgate.daemon.quality import Deliveries
from mgate.daemon.routes import Countries, RouteRoom, network_of
from mgate.dispatch.foreign import Foreign
from mgate.dispatch.router import Router
from mgate.net.exchange import Head, Request
from mgate.net.peers import Peer
from mgate.policy.routing import Barred
from mgate.policy.routing_table import Why
from mgate.telemetry import Log, Telemetry
from tests.unit.control.conftest import Shell
from tests.unit.control.test_server import NoLine

NUMBER = "+375291110001"
NOW = datetime(2026, 11, 23, 6, 15, tzinfo=UTC).timestamp()  # a Monday
ROUTES = """
price = "0.014"
currency = "BYN"
[sms.op-b]
host = "b.example"
port = 2775
system_id = "examplebank"
password_file = "b.password"
plain_tcp = "a test"
profile = "b.toml"
[routing]
time_zone = "Europe/Minsk"
[routes.rest]
accounts = ["op-a", "op-b"]
[routes.night]
times = ["mon-sun 22:00-06:00"]
accounts = ["op-b"]
[routes.abroad]
countries = ["PL"]
accounts = ["op-a at 0.09"]
"""
_T = TypeVar("_T")
Run = Callable[..., Result]


class House:
    """An instance with two accounts and its router; both have a bind."""

    def __init__(self, shell: Shell) -> None:
        assert shell.init().exit_code == 0
        shell.write("i/b.toml", '[[senders]]\nsender = "ExampleBank"\n')
        text = shell.config.read_text()
        shell.config.write_text(text.replace("\n[log]", ROUTES + "\n[log]") if "\n[log]" in text else text + ROUTES)
        self.config = read(shell.config)
        self.seconds = 100.0
        self.foreign, countries = Foreign(86_400.0, bytes(32)), Countries()
        self.router = Router(network_of(self.config), self.foreign, lambda: self.seconds, lambda: NOW, countries.of)
        for route in self.router.routes:
            self.router.stands(route, True)
        self.clock = Clock()
        self.room = RouteRoom(
            self.config, self.router, self.router, self.foreign, countries, Deliveries(self.clock.seconds), self.clock,
            lambda: NOW, Telemetry("0", {}, []), Log(lambda _line: None),
        )  # fmt: skip
        self.hatch = RouteHatch(self.room)
        self.asked = 0

    def post(self, body: object) -> tuple[int, bytes]:
        """Ask the hatch."""
        self.asked += 1
        head = Head(self.hatch.explain, "POST", b"/v1/routes:explain", b"", ())
        request = Request(
            NoLine(), head, Peer(1000, 1000, 7), body if isinstance(body, bytes) else msgspec.json.encode(body)
        )
        self.hatch.explain(request)
        assert request.answer is not None
        answered, _, content = request.answer.partition(b"\r\n\r\n")
        return int(answered.split()[1]), content


@pytest.fixture
def house(shell: Shell) -> House:
    return House(shell)


@pytest.fixture
def run(shell: Shell, house: House, monkeypatch: pytest.MonkeyPatch) -> Run:
    def post(_self: talk.Daemon, path: str, kind: type[_T], body: object) -> _T:
        assert path == "/v1/routes:explain"
        status, content = house.post(body)
        if status != 200:
            raise talk.Refused(status, msgspec.json.decode(content, type=ErrorView))
        return msgspec.json.decode(content, type=kind)

    monkeypatch.setattr(talk.Daemon, "post", post)
    return lambda *words: shell.run("route", *words)


def lines(result: Result) -> list[str]:
    return [" ".join(line.split()) for line in result.stdout.splitlines()]


# ---- explain ----


def test_explain_shows_the_rule_and_every_route_with_its_reason(run: Run) -> None:
    result = run("explain", NUMBER, "--class", "otp", "--sender", "ExampleBank")
    assert result.exit_code == 0
    shown = lines(result)
    for line in (
        "to +37529*****01, BY",
        "at Mon 2026-11-23 09:15 +03",
        "rule [routes.rest]",
        "cost 0.014 BYN",
        "1 sms:op-a 0.014 BYN yes its place in the rule's list",
        "2 sms:op-b yes its place in the rule's list",
    ):
        assert line in shown
    assert NUMBER not in result.output


def test_explain_says_why_a_route_is_put_behind_or_left_out(run: Run, house: House) -> None:
    house.router.stands("sms:op-a", False)
    shown = lines(run("explain", NUMBER, "--class", "otp", "--sender", "Other"))
    assert "1 sms:op-a 0.014 BYN no behind: it has had no bind for too long" in shown
    assert "sms:op-b no left out: the sender is not registered with its operator" in shown


def test_explain_asks_for_another_moment_in_the_banks_zone(run: Run) -> None:
    words = ("explain", NUMBER, "--class", "otp", "--sender", "ExampleBank", "--json", "--at")
    assert json.loads(run(*words, "2026-11-23 22:30").stdout)["rule"] == "night"
    assert json.loads(run(*words, "2026-11-23T22:30:00Z").stdout)["rule"] == "night"
    assert json.loads(run(*words, "2026-11-23 06:00").stdout)["rule"] == "rest"


def test_explain_knows_countries_parts_and_what_they_cost(run: Run) -> None:
    text = "x" * 200
    result = run("explain", "+48601110001", "--class", "service", "--sender", "ExampleBank", "--text", text, "--json")
    answer = json.loads(result.stdout)
    assert (answer["rule"], answer["country"], answer["parts"], answer["cost"]) == ("abroad", "PL", 2, "0.18")


def test_who_has_no_route_fails_and_says_so(run: Run) -> None:
    result = run("explain", NUMBER, "--class", "otp", "--sender", "Other", "--at", "2026-11-23 23:00")
    assert result.exit_code == 1
    assert "no route may have it" in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("12", "--sender", "B"), "the number cannot be read"),
        ((NUMBER,), "there is no sender"),
        ((NUMBER, "--sender", "B", "--at", "noon"), "the moment cannot be read"),
        ((NUMBER, "--sender", "B", "--client", "nobody"), "there is no such client; known: local"),
    ],
)
def test_what_cannot_be_asked_is_told(run: Run, words: tuple[str, ...], said: str) -> None:
    result = run("explain", "--class", "otp", *words)
    assert result.exit_code == 1
    assert said in result.stderr


# ---- simulate ----

SHEET = "to,class,text,sender\n" + "".join(
    f"{number},{traffic},{text},ExampleBank\n"
    for number, traffic, text in [
        (NUMBER, "service", "Your card is ready"),
        ("+375291110002", "service", "x" * 200),
        ("+48601110001", "service", "Your card is ready"),
        ("12345", "service", "Your card is ready"),
        ("+375291110003", "nothing", "Your card is ready"),
    ]
)


def test_simulate_sums_parts_and_cost_by_route_and_rule(run: Run, shell: Shell) -> None:
    result = run("simulate", shell.write("a.csv", SHEET))
    assert result.exit_code == 1
    shown = lines(result)
    for line in (
        "sms:op-a [routes.rest] 2 3 0.042 BYN",
        "sms:op-a [routes.abroad] 1 1 0.09 BYN",
        "together 3 4 0.132 BYN",
        "nowhere 2",
    ):
        assert line in shown
    assert any(line.startswith("3 ") and "sms:op-a 2 0.028 BYN its place in the rule's list" in line for line in shown)
    assert any("class: is none of" in line for line in shown)
    assert "2 of 5 would go nowhere" in result.stderr


def test_simulate_tells_a_program_the_same(run: Run, shell: Shell) -> None:
    done = json.loads(run("simulate", shell.write("a.csv", SHEET), "--json", "--rows", "1").stdout)
    assert (done["rows"], done["nowhere"], len(done["shown"]), len(done["lost"])) == (5, 2, 1, 1)
    assert done["sums"][0] == {
        "route": "sms:op-a", "rule": "rest", "messages": 2, "parts": 3, "cost": "0.042", "currency": "BYN",
        "unpriced": 0,
    }  # fmt: skip


def test_simulate_asks_in_batches(run: Run, shell: Shell, house: House) -> None:
    rows = "".join(f"+37529{at:07},otp,Code 482913,ExampleBank\n" for at in range(450))
    done = json.loads(run("simulate", shell.write("a.csv", "to,class,text,sender\n" + rows), "--json").stdout)
    assert (done["rows"], done["sums"][0]["messages"], house.asked) == (450, 450, 3)


def test_where_a_price_is_not_known_the_parts_are_counted(run: Run, shell: Shell, house: House) -> None:
    done = json.loads(run("simulate", shell.write("a.csv", SHEET), "--at", "2026-11-23 23:00", "--json").stdout)
    assert [(each["rule"], each["cost"], each["unpriced"]) for each in done["sums"]] == [
        ("night", "", 3), ("abroad", "0.09", 0),
    ]  # fmt: skip


def test_another_configuration_is_chosen_by_at_once(run: Run, house: House) -> None:
    routing = msgspec.structs.replace(house.config.routing, time_zone="UTC", foreign_network=60.0)
    house.room.apply(msgspec.structs.replace(house.config, routing=routing, routes=()))
    answer = json.loads(run("explain", NUMBER, "--class", "otp", "--sender", "ExampleBank", "--json").stdout)
    assert (answer["rule"], answer["at"], house.foreign.keep) == ("", "Mon 2026-11-23 06:15 UTC", 60.0)


# ---- the door, and the words ----


def test_what_is_no_question_is_refused(house: House) -> None:
    assert house.post(b"{")[0] == 422
    assert house.post({"messages": [{"to": 7, "class": "otp"}]})[0] == 422
    assert house.post(RoutesAsked((RouteAsked(NUMBER, "otp"),) * (MOST + 1)))[0] == 413


def test_an_unknown_class_is_an_answer_like_others(house: House) -> None:
    status, content = house.post(RoutesAsked((RouteAsked(NUMBER, "secret", "ExampleBank"),)))
    assert (status, json.loads(content)["answers"][0]["wrong"]) == (200, "there is no such class")


def test_every_reason_has_words_for_people() -> None:
    assert set(WORDS) == {why.value for why in (*Why, *Barred)}


def test_the_beginning_of_a_mobile_number_tells_its_country() -> None:
    countries = Countries()
    for region in phonenumbers.SUPPORTED_REGIONS:
        example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
        if example is not None:
            number = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
            assert countries.of(number) == (phonenumbers.region_code_for_number(example) or region)


def test_a_range_that_nobody_knows_is_of_the_country_of_its_code() -> None:
    assert Countries().of("+375999999999") == "BY"
    assert Countries().of("+999123456789") == ""
