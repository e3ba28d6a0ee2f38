"""What the demonstration counts and where it lives; the whole of it runs in tests/integration/test_demo.py."""

import io
import stat
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from mgate.channels.smpp.pdu import ESME_RINVDSTADR, ESME_ROK, ESME_RTHROTTLED
from mgate.model.view import AttemptView, MessageView
from mgate.peers.demo import tables
from mgate.peers.demo.reckoning import (
    Operator,
    Quantiles,
    Told,
    by_class,
    count_operator,
    quantiles,
    read_told,
    seconds_to_delivered,
    seconds_to_sent,
    unsettled,
    why_not,
)
from mgate.peers.demo.stage import new_folder
from mgate.peers.house import HouseError
from mgate.peers.smsc.ledger import Acknowledged, Delivered, Row, Submitted


def _view(
    state: str = "delivered", traffic: str = "otp", attempts: Sequence[AttemptView] = (), parts: int = 1
) -> MessageView:
    return MessageView(
        "m1", "r", "local", traffic, "+37529*****01", "Bank", state, "", parts, _at(0), "", "", "", True, False, (), (),
        tuple(attempts), (),
    )  # fmt: skip


def _try(part: int, attempt: int, answered: float | None, receipt: float | None = None) -> AttemptView:
    return AttemptView(
        part, attempt, "sms:op-a", 0, "open", _at(0), "" if answered is None else _at(answered),
        "" if receipt is None else _at(receipt),
    )  # fmt: skip


def _at(seconds: float) -> str:
    return f"2026-11-22T05:00:{seconds:06.3f}Z"


def _told(state: str, reason: str = "") -> Told:
    return Told(2, "r", "", "", state, reason)


def test_a_result_file_is_read() -> None:
    lines = ["row,ref,to,id,state,reason", "3,a,+37529*****01,m1,delivered,", '4,b,,,refused,"to: is empty, sorry"']
    assert read_told(lines) == [
        Told(3, "a", "+37529*****01", "m1", "delivered", ""),
        Told(4, "b", "", "", "refused", "to: is empty, sorry"),
    ]


def test_a_row_is_settled_by_a_final_state_or_by_a_reason() -> None:
    settled = [_told(state) for state in ("delivered", "undelivered", "expired", "no_receipt", "cancelled")]
    settled.append(_told("refused", "to: is empty"))
    open_ones = [_told(state) for state in ("sent", "uncertain", "ready", "accepted", "refused", "unknown")]
    assert unsettled([*settled, *open_ones]) == open_ones


def test_reasons_are_counted_by_their_first_word() -> None:
    told = [_told("undelivered", "UNDELIV err:011"), _told("undelivered", "UNDELIV err:012"), _told("expired")]
    told += [_told("delivered", "duplicate"), _told("refused", "to: is empty")]
    assert why_not(told) == Counter({"UNDELIV": 2, "expired": 1})


def test_the_time_to_sent_ends_with_the_last_answer_of_the_last_part() -> None:
    tries = [_try(1, 1, 5.0), _try(2, 1, None), _try(2, 2, 2.5), _try(1, 2, 1.5)]
    assert seconds_to_sent(_view(attempts=tries, parts=2)) == pytest.approx(2.5)


@pytest.mark.parametrize("tries", [[], [_try(1, 1, 1.0)], [_try(1, 1, 1.0), _try(2, 1, None)]])
def test_there_is_no_time_to_sent_while_a_part_has_no_answer(tries: list[AttemptView]) -> None:
    assert seconds_to_sent(_view(attempts=tries, parts=2)) is None


@pytest.mark.parametrize(
    ("state", "answered", "receipt", "seconds"),
    [
        ("delivered", 1.0, 1.75, 0.75),
        ("delivered", 1.0, 0.5, 0.0),
        ("delivered", None, 0.5, None),
        ("undelivered", 1.0, 1.75, None),
        ("sent", 1.0, None, None),
    ],
)
def test_the_time_to_delivered(state: str, answered: float, receipt: float, seconds: float | None) -> None:
    assert seconds_to_delivered(_view(state, attempts=[_try(1, 1, answered, receipt)])) == seconds


def test_classes_stand_in_the_order_of_their_urgency_and_the_sum_is_last() -> None:
    views = [_view(traffic="marketing", state="undelivered"), _view(attempts=[_try(1, 1, 0.5, 0.75)]), _view(parts=3)]
    lines = by_class(views)
    assert [(line.name, line.messages, line.parts) for line in lines] == [
        ("otp", 2, 4),
        ("marketing", 1, 1),
        ("all", 3, 5),
    ]
    assert lines[-1].states == Counter(delivered=2, undelivered=1)
    assert lines[0].sent == Quantiles(0.5, 0.5)
    assert lines[1].sent is None


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=300))
def test_half_are_not_above_the_median_and_one_in_a_hundred_may_be_above_the_other(seconds: list[float]) -> None:
    found = quantiles(seconds)
    assert found is not None
    for value, share in ((found.p50, 0.5), (found.p99, 0.99)):
        assert value in seconds
        assert sum(each <= value for each in seconds) >= share * len(seconds)
        assert sum(each < value for each in seconds) < share * len(seconds)


def test_nothing_has_no_quantiles() -> None:
    assert quantiles([]) is None


def test_the_ledger_is_counted_by_what_was_answered() -> None:
    rows = [_submit(ESME_ROK), _submit(ESME_ROK, silent=True), _submit(ESME_RTHROTTLED), _submit(ESME_RINVDSTADR)]
    others: list[Row] = [Delivered(0.0, "1", "DELIVRD", 1, 1, 1), Acknowledged(0.0, "1", "DELIVRD", 1)]
    assert count_operator([*rows, *others]) == Operator(taken=2, silent=1, later=1, never=1, receipts=1)


def _submit(status: int, silent: bool = False) -> Submitted:
    return Submitted(0.0, "1", status, silent, 1, 1, 1, "", "", 0, 0, 0, "", 0, 0, 1)


def test_the_table_fits_on_a_screen_of_80_columns() -> None:
    tries = [_try(1, 1, 12.34, 55.56)]
    views = [_view("delivered", "transaction", tries)] * 999 + [_view("undelivered", "transaction", tries)] * 999
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(tables.class_table(by_class(views)))
    shown = console.export_text()
    assert "…" not in shown
    assert "transaction  1998  1998        999          999" in shown


def test_a_reason_is_shown_as_it_is() -> None:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(tables.refused_table([Told(7, "[red]", "", "", "refused", "[bold]: no")]))
    assert "[red]" in (shown := console.export_text())
    assert "[bold]: no" in shown


# ---- the folder


def test_a_folder_of_its_own_is_open_to_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(prefix="mgt-") as parent:
        monkeypatch.setattr(tempfile, "tempdir", parent)
        first, second = new_folder(None), new_folder(None)
        assert first == Path(parent) / "mgate-demo"
        assert second.parent == first.parent
        assert second != first
        assert {stat.S_IMODE(folder.stat().st_mode) for folder in (first, second)} == {0o700}


def test_a_place_too_deep_for_sockets_is_not_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 90)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    chosen = new_folder(None)
    try:
        assert len(str(chosen)) < 81
        assert not any(deep.iterdir())
    finally:
        chosen.rmdir()


@pytest.mark.parametrize("name", ["full", "file", "d" * 90, "none/below"])
def test_a_folder_that_will_not_do_is_named_and_left(tmp_path: Path, name: str) -> None:
    (tmp_path / "full" / "mine").mkdir(parents=True)
    (tmp_path / "file").touch()
    with pytest.raises(HouseError, match="--folder"):
        new_folder(tmp_path / name)
    assert (tmp_path / "full" / "mine").exists()


def test_an_empty_folder_will_do() -> None:
    with tempfile.TemporaryDirectory(prefix="mgt-") as folder:
        assert new_folder(Path(folder)) == Path(folder)
