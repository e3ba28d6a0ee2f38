"""mgatectl operator probe: what is sent, what is asked, and what the fates of the probes propose."""

from __future__ import annotations

import pytest
from click.testing import CliRunner, Result

from mgate.control import talk
from mgate.control.cli import main
from mgate.control.operator_views import OperatorRow, OperatorsView
from mgate.control.probing import PROBES, Answered, proposals, settle
from mgate.model.view import AttemptView, MessageView, PartView
from mgate.policy.segments import count
from tests.unit.control.conftest import Shell

ROUTE = "sms:op-a"
PLAIN, GSM, UCS2, LONG = PROBES
NOTHING = OperatorRow("op-a", "generic", "learning", "", 0, 0)


def view(
    *states: str, fate: str = "accepted", reason: str = "", route: str = ROUTE, parts: int = 0, state: str = ""
) -> MessageView:
    """A message with parts in these states."""
    parts = parts or len(states)
    attempts = tuple(
        AttemptView(n, 1, route, 0, fate, "2026-11-22T15:00:00Z", reason=reason) for n in range(1, parts + 1)
    )
    told = tuple(PartView(n, each) for n, each in enumerate(states, 1))
    return MessageView(
        "m1", "probe-1", "local", "service", "+37529...01", "Example", state or states[0], reason, parts,
        "2026-11-22T15:00:00Z", "", "", "", True, False, ("probe",), told, attempts, (),
    )  # fmt: skip


def proposed(*answered: Answered, before: OperatorRow = NOTHING, after: OperatorRow = NOTHING) -> list[str]:
    return proposals(ROUTE, answered, before, after)


def test_the_probes_are_one_part_each_and_the_long_one_is_two() -> None:
    assert [count(each.text) for each in PROBES] == [1, 1, 1, 2]


def test_probes_that_came_right_propose_nothing() -> None:
    assert (
        proposed(Answered(PLAIN, view("delivered"), True), Answered(LONG, view("delivered", "delivered"), True)) == []
    )


@pytest.mark.parametrize(
    ("reason", "line"),
    [
        ("ESME_RINVSRCADR", "[numbers] name_ton"),
        ("ESME_RINVDSTADR", "[numbers] to_prefix"),
        ("ESME_RINVEXPIRY", "[submit] validity"),
        ("ESME_ROPTPARNOTALLWD", "[submit] reference = false"),
        ("ESME_RINVESMCLASS", '[text] concatenation = "sar"'),
        ("status 0x00000400", "[errors]: say what it means (status 0x00000400)"),
    ],
)
def test_a_refusal_proposes_the_setting_that_it_points_at(reason: str, line: str) -> None:
    (said,) = proposed(Answered(PLAIN, view("undelivered", fate="refused", reason=reason), None))
    assert said.startswith(line)
    assert reason in said


def test_what_the_telephone_shows_wrongly_proposes_the_alphabet_or_the_parts() -> None:
    lines = proposed(
        Answered(GSM, view("delivered"), False),
        Answered(UCS2, view("delivered"), False),
        Answered(LONG, view("delivered", "delivered"), False),
    )
    assert [line.split(":")[0] for line in lines] == [
        '[text] alphabet = "latin1"', "[text] ucs2_coding", '[text] concatenation = "udh8"',
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("states", "line"),
    [
        (("delivered", "sent"), '[receipts] per_part = "first"'),
        (("sent", "delivered"), '[receipts] per_part = "last"'),
        (("sent", "sent"), "no receipt came for the probe long"),
    ],
)
def test_parts_that_nobody_tells_of_propose_whose_receipts_come(states: tuple[str, ...], line: str) -> None:
    (said,) = proposed(Answered(LONG, view(*states), True))
    assert said.startswith(line)


def test_unread_receipts_and_learnt_ids_are_proposed() -> None:
    after = OperatorRow("op-a", "generic", "learnt", "hex then decimal", 20, 2)
    lines = proposed(Answered(PLAIN, view("delivered"), True), after=after)
    assert lines[0].startswith("[receipts] dialect, forms")
    assert lines[1] == '[receipts] ids = "hex_then_decimal": learnt by 20 matches'


def test_a_probe_that_left_by_another_account_says_nothing_of_this_one_without_a_word() -> None:
    (said,) = proposed(Answered(PLAIN, view("delivered", route="sms:op-b"), True))
    assert "left by sms:op-b" in said


def test_it_waits_for_the_end_and_no_longer_than_it_may() -> None:
    clock, asked = [0.0], [view("sent"), view("sent"), view("delivered")]
    ended = settle(
        lambda: asked.pop(0), 60.0, lambda: clock[0], lambda seconds: clock.__setitem__(0, clock[0] + seconds)
    )
    assert (ended.state, clock[0]) == ("delivered", 1.0)
    late = settle(lambda: view("sent"), 3.0, lambda: clock[0], lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    assert (late.state, clock[0]) == ("sent", 4.0)


# ---- the command ---------------------------------------------------------------------------------------------------


class Talk:
    """The daemon, as the command hears it."""

    def __init__(self) -> None:
        self.sent: list[dict[str, object]] = []

    def get(self, _daemon: object, path: str, _kind: object, **_query: str) -> object:
        return OperatorsView((NOTHING,)) if path == "/v1/operators" else view("delivered")

    def post(self, _daemon: object, _path: str, kind: type[object], body: dict[str, object]) -> object:
        self.sent.append(body)
        return kind("m1")  # type: ignore[call-arg]  # it is the answer's type, with an id


@pytest.fixture
def daemon(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Talk:
    assert shell.init().exit_code == 0
    talking = Talk()
    monkeypatch.setattr(talk.Daemon, "get", lambda self, *args, **query: talking.get(self, *args, **query))
    monkeypatch.setattr(talk.Daemon, "post", lambda self, *args: talking.post(self, *args))
    return talking


def probed(shell: Shell, *more: str, answers: str = "") -> Result:
    words = ["operator", "probe", "op-a", "--to", "+375291110001", "--config", str(shell.config), *more]
    return CliRunner().invoke(main, words, input=answers)


def test_only_what_is_allowed_is_sent_and_the_telephone_is_asked_of_it(shell: Shell, daemon: Talk) -> None:
    result = probed(shell, answers="y\ny\nn\nn\ny\nn\n")
    assert result.exit_code == 0, result.output
    assert [body["text"] for body in daemon.sent] == [PLAIN.text, LONG.text]
    assert {body["to"] for body in daemon.sent} == {"+375291110001"}
    assert result.stdout.strip().startswith('[text] concatenation = "udh8"')


def test_yes_sends_the_chosen_one_and_asks_nothing(shell: Shell, daemon: Talk) -> None:
    result = probed(shell, "--yes", "--probe", "ucs2", "--sender", "Example")
    assert [(body["text"], body["sender"]) for body in daemon.sent] == [(UCS2.text, "Example")]
    assert "generic: nothing to change" in result.stderr
