"""The auditor is shown three true ledgers, then false ones: it must hold its peace, then speak."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec
import pytest

from mgate.peers.audit import Attempt, Findings, Kind, PartState, Says, compare
from mgate.peers.smsc.ledger import Acknowledged, Delivered, Row, Submitted
from mgate.peers.told import Told

NOW = 1_700_000_000.0
LIFE = 180.0


def stamp(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class Ledgers:
    """Three ledgers of one message that went well; tests bend them."""

    told: list[Told] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    says: dict[str, list[Says]] = field(default_factory=dict)

    def add(self, ref: str, parts: int = 1, traffic: str = "otp", state: str = "delivered") -> "Ledgers":
        texts = tuple(f"{ref}/{part}" for part in range(1, parts + 1))
        self.told.append(
            Told(ref, traffic, f"m{ref}", "accepted", False, "", 1, NOW - 0.01, NOW, LIFE, f"to-{ref}", texts)
        )
        attempts = []
        for part in range(1, parts + 1):
            self.submit(ref, part, parts)
            attempts.append(Attempt(part, 1, "delivered", stamp(NOW)))
        self.says[ref] = [Says(f"m{ref}", ref, state, parts, tuple(attempts))]
        return self

    def submit(self, ref: str, part: int = 1, parts: int = 1, **bent: object) -> None:
        """A submit, its receipt, and the receipt's acknowledgement."""
        name = f"op-{len(self.rows)}"
        row = Submitted(
            NOW + 1, name, 0, False, 1, 2, 3, f"to-{ref}", f"{ref}/{part}", 7 if parts > 1 else 0,
            part if parts > 1 else 0, parts if parts > 1 else 0, "000000000259000R", 0, 0, 20,
        )  # fmt: skip
        self.rows += [
            msgspec.structs.replace(row, **bent),
            Delivered(NOW + 2, name, "DELIVRD", 1, 1, 1),
            Acknowledged(NOW + 2, name, "DELIVRD", 1),
        ]

    def forget(self, kind: type[Row], index: int = 0) -> None:
        """Tear a row out of the operator's ledger."""
        found = [row for row in self.rows if isinstance(row, kind)]
        self.rows.remove(found[index])

    def bend(self, ref: str, **fields: object) -> None:
        """Have mgate say something else."""
        self.says[ref] = [msgspec.structs.replace(self.says[ref][0], **fields)]

    def bend_row(self, **fields: object) -> None:
        """Change the first submit."""
        index = next(index for index, row in enumerate(self.rows) if isinstance(row, Submitted))
        self.rows[index] = msgspec.structs.replace(self.rows[index], **fields)

    def compare(self, drained: bool = True) -> Findings:
        return compare(self.told, self.rows, self.says, drained)

    def kinds(self) -> list[Kind]:
        return [violation.kind for violation in self.compare().violations]


def test_true_ledgers_are_left_in_peace() -> None:
    ledgers = Ledgers().add("a").add("b", parts=3, traffic="service").add("c", traffic="marketing")
    findings = ledgers.compare()
    assert findings.violations == ()
    assert findings.counts["accepted"] == 3
    assert findings.counts["parts"] == findings.counts["submits"] == 5
    assert findings.counts["state delivered"] == 3


def test_a_message_that_mgate_forgot_is_lost() -> None:
    ledgers = Ledgers().add("a").add("b")
    ledgers.says["a"] = []
    assert ledgers.kinds() == [Kind.LOST]
    del ledgers.says["b"]
    assert ledgers.kinds() == [Kind.LOST, Kind.LOST]


def test_one_answer_in_two_messages_or_under_another_id_is_noticed() -> None:
    ledgers = Ledgers().add("a").add("b").add("c")
    ledgers.says["a"] *= 2
    ledgers.bend("b", id="mother")
    assert ledgers.kinds() == [Kind.TWICE, Kind.TWICE]


def test_two_references_under_one_id_are_noticed() -> None:
    ledgers = Ledgers().add("a").add("b")
    ledgers.told[1] = msgspec.structs.replace(ledgers.told[1], id="ma")
    ledgers.bend("b", id="ma")
    assert ledgers.kinds() == [Kind.TWICE, Kind.TWICE]


def test_a_row_torn_out_of_the_operators_ledger_is_missed() -> None:
    ledgers = Ledgers().add("a", parts=2)
    ledgers.forget(Submitted, 1)
    assert Kind.MISSING in ledgers.kinds()


@pytest.mark.parametrize("state", ["sent", "no_receipt"])
def test_a_message_said_to_be_sent_that_the_operator_never_saw_is_missed(state: str) -> None:
    ledgers = Ledgers().add("a", state=state)
    ledgers.rows.clear()
    assert ledgers.kinds() == [Kind.MISSING]
    ledgers.bend("a", attempts=())
    assert ledgers.kinds() == [Kind.MISSING]


def test_a_doubt_that_the_class_does_not_repeat_explains_an_absence() -> None:
    for traffic in ("marketing", "transaction", "service"):
        ledgers = Ledgers().add("a", traffic=traffic, state="uncertain")
        ledgers.rows.clear()
        ledgers.bend("a", attempts=(Attempt(1, 1, "in_doubt", stamp(NOW)),))
        findings = ledgers.compare()
        assert findings.violations == ()
        assert findings.counts["parts not at the operator, explained"] == 1
        assert findings.counts["parts in doubt"] == 1


def test_a_part_that_expired_beside_one_in_doubt_is_no_loss() -> None:
    ledgers = Ledgers().add("a", parts=2, traffic="marketing", state="uncertain")
    ledgers.rows.clear()
    ledgers.bend("a", attempts=(Attempt(1, 1, "in_doubt", stamp(NOW)),))
    assert ledgers.kinds() == [Kind.MISSING]
    ledgers.bend("a", part_states=(PartState(1, "uncertain"), PartState(2, "expired")))
    assert ledgers.kinds() == []


def test_a_code_in_doubt_with_time_to_live_must_have_been_sent_again() -> None:
    ledgers = Ledgers().add("a", traffic="otp", state="uncertain")
    ledgers.rows.clear()
    ledgers.bend("a", attempts=(Attempt(1, 1, "in_doubt", stamp(NOW)),))
    assert ledgers.kinds() == [Kind.MISSING]
    assert ledgers.compare(drained=False).violations == ()
    ledgers.bend("a", attempts=(Attempt(1, 1, "in_doubt", stamp(NOW + LIFE - 40)),))
    assert ledgers.kinds() == []


def test_a_code_in_doubt_is_not_sent_again_beside_a_part_that_failed() -> None:
    ledgers = Ledgers().add("a", parts=2, traffic="otp", state="uncertain")
    del ledgers.rows[3:]
    attempts = (Attempt(1, 1, "undelivered", stamp(NOW)), Attempt(2, 1, "in_doubt", stamp(NOW)))
    ledgers.bend("a", attempts=attempts, part_states=(PartState(1, "sent"), PartState(2, "uncertain")))
    assert ledgers.kinds() == [Kind.MISSING]
    ledgers.bend("a", part_states=(PartState(1, "undelivered"), PartState(2, "uncertain")))
    assert ledgers.kinds() == []


def test_an_extra_row_is_a_repeat_unless_mgate_marks_it() -> None:
    ledgers = Ledgers().add("a")
    ledgers.submit("a")
    assert ledgers.kinds() == [Kind.REPEATED]
    ledgers.bend("a", attempts=(Attempt(1, 1, "delivered"), Attempt(1, 2, "delivered", repeat=True)))
    findings = ledgers.compare()
    assert findings.violations == ()
    assert findings.counts["repeats"] == findings.counts["repeats marked"] == 1


def test_a_mark_on_another_part_excuses_nothing() -> None:
    ledgers = Ledgers().add("a", parts=2)
    ledgers.submit("a", 1, 2)
    attempts = (Attempt(1, 1, "delivered"), Attempt(2, 1, "delivered"), Attempt(2, 2, "delivered", repeat=True))
    ledgers.bend("a", attempts=attempts)
    assert ledgers.kinds() == [Kind.REPEATED]


def test_a_third_submit_is_too_many_though_marked_and_marketing_has_one() -> None:
    ledgers = Ledgers().add("a")
    ledgers.submit("a")
    ledgers.submit("a")
    marks = tuple(Attempt(1, n, "delivered", repeat=n > 1) for n in (1, 2, 3))
    ledgers.bend("a", attempts=marks)
    assert ledgers.kinds() == [Kind.REPEATED]
    ledgers = Ledgers().add("a", traffic="marketing")
    ledgers.submit("a")
    ledgers.bend("a", attempts=marks[:2])
    assert ledgers.kinds() == [Kind.REPEATED]


def test_a_retry_after_a_certain_refusal_is_no_repeat() -> None:
    ledgers = Ledgers().add("a", traffic="marketing")
    ledgers.rows.insert(0, msgspec.structs.replace(ledgers.rows[0], id="", status=0x58))
    ledgers.bend("a", attempts=(Attempt(1, 1, "refused"), Attempt(1, 2, "delivered")))
    findings = ledgers.compare()
    assert findings.violations == ()
    assert findings.counts["refused submits"] == 1


def test_a_submit_without_an_answer_has_happened() -> None:
    ledgers = Ledgers().add("a")
    ledgers.submit("a", silent=True)
    assert ledgers.kinds() == [Kind.REPEATED]


def test_a_late_row_is_noticed() -> None:
    ledgers = Ledgers().add("a")
    ledgers.bend_row(at=NOW + LIFE + 2)
    (late,) = ledgers.compare().violations
    assert late.kind is Kind.LATE
    assert "submitted 1.0 s after its life" in late.sentence
    ledgers.bend_row(at=NOW + LIFE + 0.5, validity="000000000001000R")
    assert ledgers.kinds() == []


@pytest.mark.parametrize(
    ("validity", "kinds"),
    [
        ("000000000259000R", []),
        ("000000000500000R", [Kind.LATE]),
        ("", [Kind.LATE]),
        ("rubbish", [Kind.LATE]),
        ("231114221600000+", []),
        ("231114231600004+", []),
        ("231114231600000+", [Kind.LATE]),
        ("239914231600000+", [Kind.LATE]),
    ],
)
def test_the_validity_period_must_not_outlive_the_message(validity: str, kinds: list[Kind]) -> None:
    ledgers = Ledgers().add("a")
    ledgers.bend_row(validity=validity)
    assert ledgers.kinds() == kinds


def test_a_stranger_at_the_operator_is_noticed() -> None:
    ledgers = Ledgers().add("a")
    ledgers.submit("b")
    assert ledgers.kinds() == [Kind.STRANGER]


def test_a_refused_message_must_not_leave() -> None:
    ledgers = Ledgers().add("a")
    ledgers.told[0] = msgspec.structs.replace(ledgers.told[0], state="refused", error="bad_number", id="")
    assert ledgers.kinds() == [Kind.STRANGER]


def test_an_unanswered_push_that_left_must_be_known() -> None:
    ledgers = Ledgers().add("a")
    ledgers.told[0] = msgspec.structs.replace(ledgers.told[0], state="unanswered", id="")
    assert ledgers.kinds() == []
    ledgers.says["a"] = []
    assert ledgers.kinds() == [Kind.LOST]


def test_another_number_or_another_cut_is_noticed() -> None:
    ledgers = Ledgers().add("a")
    ledgers.bend_row(to="to-b")
    assert ledgers.kinds() == [Kind.MANGLED]
    ledgers = Ledgers().add("a", parts=2)
    ledgers.bend_row(parts=3)
    assert ledgers.kinds() == [Kind.MANGLED]


def test_a_state_without_a_name_is_noticed_and_one_under_way_when_time_is_over() -> None:
    assert Ledgers().add("a", state="limbo").kinds() == [Kind.NAMELESS, Kind.RECEIPT_LOST]
    ledgers = Ledgers().add("a", state="ready")
    ledgers.rows.clear()
    ledgers.bend("a", attempts=())
    assert ledgers.kinds() == [Kind.STUCK]
    assert ledgers.compare(drained=False).violations == ()


def test_a_receipt_that_was_acknowledged_and_forgotten_is_noticed() -> None:
    assert Ledgers().add("a", state="sent").kinds() == [Kind.RECEIPT_LOST]
    ledgers = Ledgers().add("a", parts=2, state="sent")
    ledgers.forget(Acknowledged)
    assert ledgers.kinds() == []


def test_a_receipt_for_an_id_that_was_never_told_cannot_be_lost() -> None:
    ledgers = Ledgers().add("a", state="sent")
    ledgers.bend_row(nameless=True)
    assert ledgers.kinds() == []


def test_a_final_state_needs_its_ground() -> None:
    ledgers = Ledgers().add("a")
    ledgers.forget(Acknowledged)
    ledgers.forget(Delivered)
    assert ledgers.kinds() == [Kind.WRONG_END]
    assert Ledgers().add("a", state="undelivered").kinds() == [Kind.WRONG_END, Kind.RECEIPT_LOST]
    ledgers = Ledgers().add("a", state="expired")
    assert Kind.WRONG_END in ledgers.kinds()


def test_a_part_that_never_left_is_ground_for_undelivered_beside_delivered_ones() -> None:
    ledgers = Ledgers().add("a", parts=2, state="undelivered")
    assert Kind.WRONG_END in ledgers.kinds()
    del ledgers.rows[3:]
    ledgers.bend("a", attempts=(Attempt(1, 1, "delivered"), Attempt(2, 1, "refused")))
    ledgers.bend("a", part_states=(PartState(1, "delivered"), PartState(2, "expired")))
    assert ledgers.kinds() == []
    ledgers.submit("a", 2, 2)
    assert Kind.WRONG_END in ledgers.kinds()


def test_a_refusal_is_ground_enough_for_undelivered() -> None:
    ledgers = Ledgers().add("a", state="undelivered")
    ledgers.rows = [msgspec.structs.replace(ledgers.rows[0], id="", status=0x0B)]
    ledgers.bend("a", attempts=(Attempt(1, 1, "refused"),))
    assert ledgers.kinds() == []


def test_what_lapsed_unsent_is_no_loss() -> None:
    ledgers = Ledgers().add("a", state="expired")
    ledgers.rows.clear()
    ledgers.bend("a", attempts=())
    assert ledgers.kinds() == []
