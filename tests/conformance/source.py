"""What every source must do: the claims of ``mgate.model.source``, told of a ``Source`` and of the bank behind it.

A dialect's test module inherits `SourceClaims` and gives one fixture, ``bank``, for each way to take rows.
Nothing here may know which dialect it is. What a way cannot do it says in its ``Bank``, and the claims about it are
skipped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

import msgspec
import pytest
from twisted.internet.defer import Deferred

from mgate.model.message import Secret
from mgate.model.source import Result, Row, Source, SourceError

NUMBER = "+375291110001"
BEGAN = float(time.time() // 1 - 2000)
"""When the first rows were written: long enough ago for 500, recent enough for a source that looks back an hour."""
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Told:
    """A row of the result table."""

    sequence: int
    state: str
    reason: str
    may_have_been_sent: bool
    message: str
    at: float
    channel: str
    operator: str
    parts: int
    cost: str
    currency: str
    error: str


class Bank:
    """The bank's side of a source, and the source in front of it. ``run`` runs a claim in a task of asyncio.

    Attributes:
        locks: rows can be locked by somebody else. ``rewinds``: ``rewind`` and ``written`` are known. ``counts``:
            ``lag`` knows how many rows wait. ``versions``: rows have versions.
    """

    source: Source
    locks = True
    rewinds = True
    counts = True
    versions = True

    def run(self, claim: Coroutine[object, object, _T]) -> Deferred[_T]:
        raise NotImplementedError

    def put(self, *rows: Row) -> None:
        """INSERT and commit."""
        raise NotImplementedError

    def cancel(self, key: str) -> None:
        """The bank wants it cancelled."""
        raise NotImplementedError

    def delete(self, key: str) -> None:
        """The row is gone."""
        raise NotImplementedError

    def locked(self, key: str) -> AbstractContextManager[None]:
        """Somebody else holds a lock on the row."""
        raise NotImplementedError

    def lapse(self) -> None:
        """The lease of everything that is claimed is over."""
        raise NotImplementedError

    def results(self) -> Mapping[str, Told]:
        """The result table, by key."""
        raise NotImplementedError

    def answering(self, sql: str) -> str:
        """The name of a call that runs this."""
        raise NotImplementedError

    # ---- verbs, shorter --------------------------------------------------------------------------------------------

    async def claim(self, most: int = 100) -> Sequence[Row]:
        return await self.source.claim(most)

    async def keys(self, most: int = 100) -> list[str]:
        return [row.key for row in await self.claim(most)]

    async def ack(self, state: str, *keys: str, **more: Any) -> None:
        await self.source.ack([result(key, state, **more) for key in keys])


def row(key: int | str, **said: Any) -> Row:
    given: dict[str, Any] = {"to": NUMBER, "text": Secret("Code 482913"), "created": BEGAN + int(key), **said}
    return Row(key=str(key), **given)


def result(key: int | str, state: str, sequence: int = 0, **said: Any) -> Result:
    return Result(key=str(key), version=said.pop("version", ""), sequence=sequence, state=state, at=BEGAN, **said)


def rows(count: int, **said: Any) -> list[Row]:
    return [row(key, **said) for key in range(1, count + 1)]


def need(able: bool) -> None:
    if not able:
        pytest.skip("this way to take rows does not offer it")


_C = TypeVar("_C")


def in_a_task(claim: Callable[[_C, Bank], Coroutine[object, object, None]]) -> Callable[[_C, Bank], Deferred[None]]:
    """A test that pytest-twisted waits for, and whose body runs where asyncio's code must."""

    @wraps(claim)
    def run(self: _C, bank: Bank) -> Deferred[None]:
        return bank.run(claim(self, bank))

    return run


class ClaimClaims:
    @in_a_task
    async def test_a_row_comes_with_all_that_it_says(self, bank: Bank) -> None:
        said = row(
            7, version="2" if bank.versions else "", to="8 (029) 111-00-01", text=Secret("Ваш код 482913 % %s {}"),
            traffic="otp", sender="ExampleBank", expires=BEGAN + 600.5, not_before=BEGAN + 1, customer="c-1",
            group="g-1", meta=b'{"branch": 12}', created=BEGAN + 0.25,
        )  # fmt: skip
        bank.put(said)
        (found,) = await bank.claim()
        assert msgspec.structs.replace(found, meta=b"") == msgspec.structs.replace(said, meta=b"")
        assert msgspec.json.decode(found.meta) == {"branch": 12}
        assert found.text.reveal() == said.text.reveal()

    @in_a_task
    async def test_a_row_that_says_little_is_whole(self, bank: Bank) -> None:
        bank.put(row(1))
        assert await bank.claim() == [row(1)]

    @in_a_task
    async def test_rows_come_oldest_first_and_no_more_than_asked(self, bank: Bank) -> None:
        bank.put(*rows(12))
        assert await bank.keys(5) == ["1", "2", "3", "4", "5"]
        assert await bank.keys(5) == ["6", "7", "8", "9", "10"]
        assert await bank.keys(5) == ["11", "12"]
        assert await bank.keys(5) == []

    @in_a_task
    async def test_a_claimed_row_is_not_given_again_while_its_lease_lasts(self, bank: Bank) -> None:
        bank.put(*rows(3))
        assert await bank.keys() == ["1", "2", "3"]
        assert await bank.keys() == []

    @in_a_task
    async def test_a_row_that_was_never_marked_comes_again(self, bank: Bank) -> None:
        bank.put(*rows(3))
        await bank.keys()
        await bank.ack("taken", "2")
        bank.lapse()
        assert await bank.keys() == ["1", "3"]

    @in_a_task
    async def test_a_row_that_was_taken_or_refused_never_comes_again(self, bank: Bank) -> None:
        bank.put(*rows(3))
        await bank.keys()
        await bank.ack("taken", "1", "3")
        await bank.ack("refused", "2")
        bank.lapse()
        assert await bank.keys() == []

    @in_a_task
    async def test_a_row_that_was_given_back_comes_again_at_once(self, bank: Bank) -> None:
        bank.put(*rows(3))
        await bank.keys()
        await bank.ack("taken", "1", "3")
        await bank.ack("returned", "2")
        assert await bank.keys() == ["2"]

    @in_a_task
    async def test_a_row_that_was_taken_cannot_be_given_back(self, bank: Bank) -> None:
        bank.put(row(1))
        await bank.keys()
        await bank.ack("taken", "1")
        await bank.ack("returned", "1")
        assert await bank.keys() == []

    @in_a_task
    async def test_rows_that_come_later_are_found(self, bank: Bank) -> None:
        bank.put(row(1))
        assert await bank.keys() == ["1"]
        bank.put(row(2), row(3))
        assert await bank.keys() == ["2", "3"]

    @in_a_task
    async def test_an_empty_bank_gives_nothing(self, bank: Bank) -> None:
        assert await bank.keys() == []
        await bank.source.ack([])


class OrderClaims:
    @in_a_task
    async def test_rows_of_one_customer_come_together_in_their_order(self, bank: Bank) -> None:
        bank.put(*rows(4, customer="c-1"))
        assert await bank.keys() == ["1", "2", "3", "4"]

    @in_a_task
    async def test_a_row_waits_while_an_older_one_of_its_customer_is_neither_taken_nor_refused(
        self, bank: Bank
    ) -> None:
        bank.put(row(1, customer="c-1"), row(2, customer="c-1"), row(3, customer="c-2"), row(4))
        assert await bank.keys(1) == ["1"]
        assert await bank.keys() == ["3", "4"]
        await bank.ack("taken", "1")
        assert await bank.keys() == ["2"]

    @in_a_task
    async def test_a_refused_row_holds_up_nobody(self, bank: Bank) -> None:
        bank.put(*rows(2, customer="c-1"))
        assert await bank.keys(1) == ["1"]
        await bank.ack("refused", "1")
        assert await bank.keys() == ["2"]

    @in_a_task
    async def test_a_row_that_was_given_back_comes_before_the_younger(self, bank: Bank) -> None:
        bank.put(*rows(3, customer="c-1"))
        assert await bank.keys(1) == ["1"]
        await bank.ack("returned", "1")
        assert await bank.keys() == ["1", "2", "3"]

    @in_a_task
    async def test_a_row_whose_lease_is_over_comes_before_the_younger(self, bank: Bank) -> None:
        bank.put(*rows(2, customer="c-1"))
        assert await bank.keys(1) == ["1"]
        bank.lapse()
        assert await bank.keys() == ["1", "2"]

    @in_a_task
    async def test_a_customer_in_work_hides_nobody_else(self, bank: Bank) -> None:
        bank.put(*rows(60, customer="c-1"), row(61, customer="c-2"))
        assert await bank.keys(1) == ["1"]
        assert await bank.keys(10) == ["61"]

    @in_a_task
    async def test_a_locked_row_is_left_out_and_its_customer_waits(self, bank: Bank) -> None:
        need(bank.locks)
        bank.put(*rows(40, customer="c-1"), row(41, customer="c-2"), row(42))
        with bank.locked("1"):
            assert await bank.keys(10) == ["41", "42"]
        assert await bank.keys(2) == ["1", "2"]


class CancelClaims:
    @in_a_task
    async def test_a_row_that_is_cancelled_in_time_says_so(self, bank: Bank) -> None:
        bank.put(row(1), row(2))
        bank.cancel("2")
        assert [(each.key, each.cancel) for each in await bank.claim()] == [("1", False), ("2", True)]

    @in_a_task
    async def test_a_taken_row_that_is_cancelled_comes_once_more(self, bank: Bank) -> None:
        bank.put(row(1))
        await bank.keys()
        await bank.ack("taken", "1")
        bank.cancel("1")
        assert [(each.key, each.cancel) for each in await bank.claim()] == [("1", True)]
        assert await bank.keys() == []
        await bank.ack("taken", "1")
        bank.lapse()
        assert await bank.keys() == []

    @in_a_task
    async def test_a_row_that_is_cancelled_between_claim_and_mark_comes_once_more(self, bank: Bank) -> None:
        bank.put(row(1))
        assert [each.cancel for each in await bank.claim()] == [False]
        bank.cancel("1")
        await bank.ack("taken", "1")
        assert [(each.key, each.cancel) for each in await bank.claim()] == [("1", True)]

    @in_a_task
    async def test_a_wish_that_was_given_back_comes_again(self, bank: Bank) -> None:
        bank.put(row(1))
        await bank.keys()
        await bank.ack("taken", "1")
        bank.cancel("1")
        await bank.keys()
        await bank.ack("returned", "1")
        assert [(each.key, each.cancel) for each in await bank.claim()] == [("1", True)]

    @in_a_task
    async def test_a_wish_whose_lease_is_over_comes_again(self, bank: Bank) -> None:
        bank.put(row(1))
        bank.cancel("1")
        await bank.keys()
        bank.lapse()
        assert [(each.key, each.cancel) for each in await bank.claim()] == [("1", True)]

    @in_a_task
    async def test_a_refused_row_is_not_cancelled(self, bank: Bank) -> None:
        bank.put(row(1))
        await bank.keys()
        await bank.ack("refused", "1")
        bank.cancel("1")
        assert await bank.keys() == []


class ResultClaims:
    @in_a_task
    async def test_what_became_of_a_row_is_written_whole(self, bank: Bank) -> None:
        bank.put(row(1))
        await bank.keys()
        await bank.ack(
            "sent", "1", sequence=41, message="m-1", reason="", may_have_been_sent=True, channel="sms",
            operator="op-a", parts=2, cost="0.0280", currency="BYN",
        )  # fmt: skip
        (told,) = bank.results().values()
        assert told == Told(41, "sent", "", True, "m-1", BEGAN, "sms", "op-a", 2, "0.0280", "BYN", "")

    @in_a_task
    async def test_a_refused_row_has_its_reason_and_a_returned_one_has_nothing(self, bank: Bank) -> None:
        bank.put(*rows(3))
        await bank.keys()
        await bank.ack("taken", "1", message="m-1")
        await bank.ack("refused", "2", reason="landline", error="to: this is the number of a landline")
        await bank.ack("returned", "3")
        told = bank.results()
        assert {key: each.state for key, each in told.items()} == {"1": "taken", "2": "refused"}
        assert (told["2"].reason, told["2"].error) == ("landline", "to: this is the number of a landline")

    @in_a_task
    async def test_the_newest_word_holds_whatever_the_order_of_writing(self, bank: Bank) -> None:
        bank.put(row(1))
        await bank.keys()
        for sequence, state in ((5, "sent"), (9, "delivered"), (7, "sent"), (0, "taken"), (9, "delivered")):
            await bank.ack(state, "1", sequence=sequence)
        assert (bank.results()["1"].state, bank.results()["1"].sequence) == ("delivered", 9)

    @in_a_task
    async def test_of_one_batch_the_newest_word_of_a_row_holds(self, bank: Bank) -> None:
        bank.put(*rows(2))
        await bank.keys()
        words = [result(1, "sent", 5), result(1, "delivered", 6), result(2, "sent", 8), result(1, "sent", 4)]
        await bank.source.ack(words)
        assert {key: each.state for key, each in bank.results().items()} == {"1": "delivered", "2": "sent"}

    @in_a_task
    async def test_saying_it_twice_is_saying_it_once(self, bank: Bank) -> None:
        bank.put(*rows(2))
        await bank.keys()
        for _ in range(2):
            await bank.source.ack([result(1, "taken"), result(2, "refused", reason="empty")])
        assert {key: each.state for key, each in bank.results().items()} == {"1": "taken", "2": "refused"}
        bank.lapse()
        assert await bank.keys() == []

    @in_a_task
    async def test_a_word_that_the_journal_never_saw_hides_none_of_the_journal_s(self, bank: Bank) -> None:
        bank.put(row(1))
        await bank.keys()
        await bank.ack("accepted", "1", sequence=3)
        await bank.ack("taken", "1")
        assert bank.results()["1"].state == "accepted"
        bank.lapse()
        assert await bank.keys() == []

    @in_a_task
    async def test_a_row_that_the_bank_has_deleted_troubles_nobody(self, bank: Bank) -> None:
        bank.put(*rows(2))
        await bank.keys()
        bank.delete("1")
        await bank.ack("taken", "1", "2")
        await bank.ack("delivered", "1", "2", sequence=4)
        bank.lapse()
        assert await bank.keys() == []
        assert bank.results()["2"].state == "delivered"

    @in_a_task
    async def test_whole_batches_are_marked(self, bank: Bank) -> None:
        bank.put(*rows(500))
        taken = await bank.keys(500)
        assert len(taken) == 500
        await bank.ack("taken", *taken)
        bank.lapse()
        assert await bank.keys(500) == []
        assert len(bank.results()) == 500


class RewindClaims:
    @in_a_task
    async def test_what_has_no_end_comes_again_and_what_has_one_does_not(self, bank: Bank) -> None:
        need(bank.rewinds)
        bank.put(*rows(6))
        await bank.keys()
        await bank.ack("taken", "1", "2", "3", "4", "5")
        await bank.ack("refused", "6")
        await bank.ack("delivered", "3", sequence=30)
        await bank.ack("sent", "4", sequence=40)
        assert await bank.source.rewind(BEGAN + 2, dry_run=True) == (3, 2)
        assert await bank.keys() == []
        assert await bank.source.rewind(BEGAN + 2, dry_run=False) == (3, 2)
        assert await bank.keys() == ["2", "4", "5"]

    @in_a_task
    async def test_the_numbers_of_a_restored_journal_prevail_after_a_rewind(self, bank: Bank) -> None:
        need(bank.rewinds)
        bank.put(*rows(2))
        await bank.keys()
        await bank.ack("taken", "1", "2")
        await bank.ack("sent", "1", sequence=900)
        await bank.ack("delivered", "2", sequence=901)
        await bank.source.rewind(BEGAN, dry_run=False)
        assert await bank.keys() == ["1"]
        await bank.ack("taken", "1")
        await bank.ack("sent", "1", sequence=12)
        await bank.ack("sent", "2", sequence=13)
        assert {key: each.state for key, each in bank.results().items()} == {"1": "sent", "2": "delivered"}

    @in_a_task
    async def test_a_rewind_takes_nothing_back_that_was_told_and_what_is_told_then_holds(self, bank: Bank) -> None:
        need(bank.rewinds)
        bank.put(*rows(2))
        await bank.keys()
        await bank.ack("taken", "1", "2")
        for key in ("1", "2"):
            await bank.ack("accepted", key, sequence=40, operator="op-a")
        await bank.source.rewind(BEGAN, dry_run=False)
        assert {(each.state, each.operator) for each in bank.results().values()} == {("accepted", "op-a")}
        assert await bank.keys() == ["1", "2"]
        await bank.ack("sent", "1", sequence=41, operator="op-a")
        await bank.ack("taken", "1", "2")
        assert {key: each.state for key, each in bank.results().items()} == {"1": "sent", "2": "taken"}
        bank.lapse()
        assert await bank.keys() == []

    @in_a_task
    async def test_rewinding_twice_is_rewinding_once(self, bank: Bank) -> None:
        need(bank.rewinds)
        bank.put(*rows(3))
        await bank.keys()
        await bank.ack("taken", "1", "2", "3")
        for _ in range(2):
            await bank.source.rewind(BEGAN, dry_run=False)
        assert await bank.keys() == ["1", "2", "3"]
        await bank.ack("taken", "1", "2", "3")
        assert await bank.keys() == []

    @in_a_task
    async def test_what_was_written_within_a_span_is_told_page_by_page(self, bank: Bank) -> None:
        need(bank.rewinds)
        bank.put(*rows(9))
        found: list[str] = []
        while page := await bank.source.written(BEGAN + 2, BEGAN + 8, found[-1] if found else "", 4):
            assert len(page) <= 4
            found += [each.key for each in page]
            assert all(each.created == BEGAN + int(each.key) for each in page)
        assert found == ["2", "3", "4", "5", "6", "7"]

    @in_a_task
    async def test_the_last_word_is_told_with_what_was_written(self, bank: Bank) -> None:
        need(bank.rewinds)
        bank.put(*rows(5))
        await bank.keys()
        await bank.ack("taken", "1", "3", "4")
        await bank.ack("refused", "2")
        await bank.ack("delivered", "3", sequence=7)
        await bank.ack("sent", "4", sequence=8)
        written = await bank.source.written(BEGAN, BEGAN + 10, "", 10)
        told = {"1": "", "2": "refused", "3": "delivered", "4": "", "5": ""}
        assert {each.key: each.final for each in written} == told


class LineClaims:
    @in_a_task
    async def test_lag_counts_what_waits(self, bank: Bank) -> None:
        bank.put(*rows(7))
        await bank.keys(2)
        lag = await bank.source.lag()
        assert abs(lag.clock_difference) < 1.0
        if bank.counts:
            assert lag.waiting == 5
            assert lag.oldest > 0

    @in_a_task
    async def test_a_fit_source_has_no_problem(self, bank: Bank) -> None:
        bank.put(*rows(3))
        assert list(await bank.source.survey()) == []
        assert await bank.keys() == ["1", "2", "3"]

    @in_a_task
    async def test_nothing_new_is_announced_to_nobody(self, bank: Bank) -> None:
        assert await bank.source.wait(0.01) is False

    @in_a_task
    async def test_a_call_answers_with_rows(self, bank: Bank) -> None:
        name = bank.answering("SELECT %(account)s::text AS account, n FROM generate_series(1, 3) n")
        answer = await bank.source.call(name, {"account": "A-1"}, 2.0)
        assert [dict(each) for each in answer] == [{"account": "A-1", "n": n} for n in (1, 2, 3)]

    @in_a_task
    async def test_a_call_that_is_not_configured_is_refused(self, bank: Bank) -> None:
        with pytest.raises(SourceError) as caught:
            await bank.source.call("nobody-knows", {}, 2.0)
        assert caught.value.reason == "mismatch"

    @in_a_task
    async def test_a_closed_source_does_nothing_more(self, bank: Bank) -> None:
        bank.put(row(1))
        await bank.source.close()
        await bank.source.close()
        with pytest.raises(SourceError):
            await bank.keys()


class SourceClaims(ClaimClaims, OrderClaims, CancelClaims, ResultClaims, RewindClaims, LineClaims):
    """All of them."""
