"""The poller between a database and a spool, on a clock that leaps: exactly once, in order, and never in a hurry."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgate.intake.polling import LONGEST, MOST_OUT, Pace, patience
from mgate.intake.taking import RUN, waves
from mgate.model.message import Secret
from mgate.model.source import Result, Row, SourceError
from mgate.model.view import EventView
from tests.conformance.memory_source import LEASE, MemorySource
from tests.unit.intake.bank import CLIENT, NOW, Bank, a_row
from tests.unit.intake.virtual import play

DOWN = SourceError("unreachable", "no route to db1", "ask the network team")
BAD = SourceError("mismatch", "column body is missing", "ask the DBA")


# ---- exactly once ----------------------------------------------------------------------------------------------------


def test_a_row_is_taken_and_marked_only_after_the_commit() -> None:
    async def act() -> None:
        async with Bank() as bank:
            bank.spool.delay = 5.0
            bank.source.put(a_row(1))
            await asyncio.sleep(4.0)
            assert bank.source.statuses() == {"1": "claimed"}
            await asyncio.sleep(3.0)
            assert bank.source.statuses() == {"1": "taken"}
            assert bank.result(1) == ("taken", "")
            assert bank.source.results["1", ""].message.startswith("m")

    play(act())


def test_a_row_whose_mark_was_lost_comes_again_and_is_known() -> None:
    async def act() -> None:
        async with Bank() as bank:
            bank.source.put(a_row(1))
            await asyncio.sleep(2.0)
            bank.source.outbox["1", ""].status = "new"
            await asyncio.sleep(2.0)
            assert bank.source.statuses() == {"1": "taken"}
            assert len(bank.spool.kept) == 1
            assert (bank.numbers.taken.n, bank.numbers.duplicates.n) == (2, 1)

    play(act())


def test_a_row_that_was_taken_is_taken_still_when_its_life_is_over_meanwhile() -> None:
    async def act() -> None:
        async with Bank() as bank:
            bank.source.put(a_row(1, expires=NOW + 30))
            await asyncio.sleep(2.0)
            bank.source.outbox["1", ""].status = "new"
            await asyncio.sleep(40.0)
            bank.source.outbox["1", ""].status = "new"
            await asyncio.sleep(2.0)
            assert bank.result(1) == ("taken", "")
            bank.source.put(a_row(2, expires=NOW + 30))
            await asyncio.sleep(2.0)
            assert bank.result(2) == ("refused", "out_of_range")

    play(act())


def test_a_row_that_comes_again_after_its_message_ended_is_told_its_end() -> None:
    async def act() -> None:
        async with Bank() as bank:
            bank.source.put(a_row(1), a_row(2))
            await asyncio.sleep(2.0)
            bank.spool.events["1"] = EventView(900, "delivered", "2027-01-15T08:00:00.000Z", "DELIVRD", True)
            # The database is restored to a moment before they were taken.
            bank.source.results.clear()
            for held in bank.source.outbox.values():
                held.status = "new"
            await asyncio.sleep(2.0)
            assert bank.source.statuses() == {"1": "taken", "2": "taken"}
            told = bank.source.results["1", ""]
            assert (told.state, told.sequence, told.operator, told.reason) == ("delivered", 900, "op-a", "DELIVRD")
            states, marks = [[each.state for each in ack] for ack in bank.source.acks[-2:]]
            assert (states, marks) == (["delivered"], ["taken", "taken"])
            assert bank.result(2) == ("taken", "")
            assert (bank.numbers.taken.n, bank.numbers.duplicates.n) == (4, 2)
            assert sum(number.n for number in bank.numbers.refused.values()) == 0

    play(act())


def test_a_row_that_can_be_read_no_more_is_told_the_end_of_its_message_too() -> None:
    async def act() -> None:
        async with Bank() as bank:
            bank.source.put(a_row(1))
            await asyncio.sleep(2.0)
            bank.spool.events["1"] = EventView(901, "undelivered", "2027-01-15T08:00:00.000Z")
            bank.source.put(msgspec.structs.replace(a_row(1), to="nobody"))
            bank.source.outbox["1", ""].status = "new"
            await asyncio.sleep(2.0)
            assert bank.result(1) == ("undelivered", "")
            assert bank.source.statuses() == {"1": "taken"}

    play(act())


def test_a_row_that_is_to_be_cancelled_after_its_end_is_told_that_end() -> None:
    async def act() -> None:
        async with Bank() as bank:
            bank.source.put(a_row(1))
            await asyncio.sleep(2.0)
            bank.spool.events["1"] = EventView(903, "delivered", "2027-01-15T08:00:00.000Z")
            bank.spool.words["1"] = "ended"
            bank.source.put(msgspec.structs.replace(a_row(1), cancel=True))
            await asyncio.sleep(2.0)
            assert bank.result(1) == ("delivered", "")

    play(act())


def test_a_known_row_whose_state_cannot_be_looked_up_now_comes_again() -> None:
    async def act() -> None:
        async with Bank() as bank:
            bank.source.put(a_row(1))
            await asyncio.sleep(2.0)
            bank.spool.doubt = True
            bank.source.outbox["1", ""].status = "new"
            await asyncio.sleep(2.0)
            bank.spool.doubt = False
            bank.spool.events["1"] = EventView(902, "expired", "2027-01-15T08:00:00.000Z")
            await asyncio.sleep(5.0)
            assert bank.result(1) == ("expired", "")

    play(act())


def test_a_row_with_other_content_under_a_known_key_is_refused_with_its_reason() -> None:
    async def act() -> None:
        async with Bank() as bank:
            bank.source.put(a_row(1))
            await asyncio.sleep(2.0)
            bank.source.put(a_row(1, text=Secret("Code 111111")))
            bank.source.outbox["1", ""].status = "new"
            await asyncio.sleep(2.0)
            assert bank.result(1) == ("refused", "ref_conflict")
            assert bank.numbers.refused["conflict"].n == 1

    play(act())


def test_poison_rows_are_refused_and_hold_up_nobody() -> None:
    async def act() -> None:
        async with Bank() as bank:
            bank.source.put(a_row(1, to="8017 211-10-01"), a_row(2), a_row(3, text=Secret("")), a_row(4))
            await asyncio.sleep(2.0)
            assert bank.source.statuses() == {"1": "refused", "2": "taken", "3": "refused", "4": "taken"}
            assert bank.result(1) == ("refused", "landline")
            assert [(row.key, row.reason, row.shape) for row in bank.unread.rows] == [
                ("1", "landline", "8017 ***-**-01")
            ]
            assert bank.unread.counts == {"landline": 1}
            assert (bank.numbers.refused["landline"].n, bank.numbers.refused["empty"].n) == (1, 1)

    play(act())


def test_a_row_that_our_own_mistake_cannot_take_keeps_no_other_back() -> None:
    async def act() -> None:
        async with Bank() as bank:
            bank.spool.broken = "2"
            bank.source.put(*map(a_row, range(4)))
            await asyncio.sleep(2.0)
            assert bank.source.statuses() == {"0": "taken", "1": "taken", "2": "claimed", "3": "taken"}
            assert bank.heard.said == ["bug ZeroDivisionError"] * 2
            bank.spool.broken = ""
            await asyncio.sleep(LEASE + 2)
            assert bank.counts() == {"taken": 4}

    play(act())


def test_a_result_that_the_database_cannot_hold_keeps_no_other_back() -> None:
    class Narrow(MemorySource):
        async def ack(self, results: Sequence[Result]) -> None:
            if any(result.key == "2" for result in results):
                raise BAD
            await super().ack(results)

    async def act() -> None:
        async with Bank(source=Narrow()) as bank:
            bank.source.put(*map(a_row, range(8)))
            await asyncio.sleep(2.0)
            assert bank.counts() == {"taken": 7, "claimed": 1}
            assert bank.heard.said == ["stuck 2"]

    play(act())


def test_when_the_database_can_hold_no_result_at_all_that_is_a_fault_and_nothing_more_is_claimed() -> None:
    async def act() -> None:
        async with Bank(batch=10) as bank:
            bank.source.fail("ack", BAD, 10_000)
            bank.source.put(*map(a_row, range(1000)))
            await asyncio.sleep(30.0)
            assert bank.poller.state == "failing"
            assert bank.heard.said == ["failed mismatch"]
            assert bank.numbers.claimed.n <= 10 * (MOST_OUT + 1)
            bank.source._failing.clear()
            await asyncio.sleep(LONGEST + 60)
            assert bank.counts() == {"taken": 1000}

    play(act())


# ---- cancelling ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("cancelled", ("taken", "cancelled")),
        ("left", ("taken", "left")),
        ("may_have_left", ("taken", "may_have_left")),
        ("ended", ("taken", "ended")),
    ],
)
def test_a_row_that_the_bank_cancels_is_cancelled_by_its_reference_and_answered(
    word: str, told: tuple[str, str]
) -> None:
    async def act() -> None:
        async with Bank() as bank:
            bank.source.put(a_row(1))
            await asyncio.sleep(2.0)
            bank.spool.words["1"] = word
            bank.source.put(a_row(1, cancel=True))
            await asyncio.sleep(2.0)
            assert bank.result(1) == told
            assert bank.spool.cancelled == (["1"] if word == "cancelled" else [])

    play(act())


def test_a_row_that_is_cancelled_before_it_was_taken_is_never_sent() -> None:
    async def act() -> None:
        async with Bank() as bank:
            bank.source.put(a_row(1, cancel=True))
            await asyncio.sleep(2.0)
            assert bank.result(1) == ("refused", "cancelled")
            assert not bank.spool.kept

    play(act())


def test_a_row_that_is_cancelled_while_its_first_claim_is_in_the_spools_hands_waits_for_the_answer() -> None:
    async def act() -> None:
        async with Bank(batch=1) as bank:
            bank.spool.delay = 3.0
            bank.source.put(a_row(1))
            await asyncio.sleep(1.5)
            held = bank.source.outbox["1", ""]
            held.row, held.status = a_row(1, cancel=True), "new"
            await asyncio.sleep(6.0)
            assert bank.spool.cancelled == ["1"]
            assert bank.result(1) == ("taken", "cancelled")

    play(act())


@pytest.mark.parametrize("word", ["leaving", "busy"])
def test_a_wish_that_cannot_be_met_now_comes_again(word: str) -> None:
    async def act() -> None:
        async with Bank() as bank:
            bank.source.put(a_row(1))
            await asyncio.sleep(2.0)
            bank.spool.words["1"] = word
            bank.source.put(a_row(1, cancel=True))
            await asyncio.sleep(10.0)
            assert 5 <= bank.numbers.returned.n <= 10
            bank.spool.words.clear()
            await asyncio.sleep(3.0)
            assert bank.spool.cancelled == ["1"]

    play(act())


def test_rows_that_go_back_are_not_claimed_again_at_once_though_the_batch_was_full() -> None:
    async def act() -> None:
        async with Bank(batch=1) as bank:
            bank.spool.doubt = True
            bank.source.put(*[a_row(n, to="rubbish") for n in range(50)])
            await asyncio.sleep(60.0)
            assert bank.source.calls["claim"] <= (MOST_OUT + 1) * 62

    play(act())


def test_while_the_desk_cannot_answer_nothing_is_refused_or_cancelled() -> None:
    async def act() -> None:
        async with Bank() as bank:
            bank.spool.doubt = True
            bank.source.put(a_row(1, to="rubbish"), a_row(2, cancel=True), a_row(3))
            await asyncio.sleep(3.0)
            assert bank.source.statuses()["3"] == "taken"
            assert not {"1", "2"} & {key for key, _ in bank.source.results}
            bank.spool.doubt = False
            await asyncio.sleep(3.0)
            assert bank.counts() == {"refused": 2, "taken": 1}

    play(act())


# ---- order -----------------------------------------------------------------------------------------------------------


def test_the_order_of_each_customer_is_kept_over_batches_that_overlap() -> None:
    async def act() -> None:
        async with Bank(batch=7) as bank:
            bank.spool.delay = 0.3
            bank.source.put(*[a_row(n, customer=f"c{n % 5}") for n in range(100)])
            await asyncio.sleep(100.0)
            order = [int(ref) for run in bank.spool.runs for ref in run]
            assert sorted(order) == list(range(100))
            for customer in range(5):
                mine = [n for n in order if n % 5 == customer]
                assert mine == sorted(mine)

    play(act())


@given(st.lists(st.sampled_from(["", "a", "b", "c"]), max_size=60), st.integers(1, 7))
def test_waves_keep_every_row_once_and_every_customer_in_order(customers: list[str], most: int) -> None:
    found = waves(customers, most)
    assert sorted(place for wave in found for run in wave for place in run) == list(range(len(customers)))
    assert all(0 < len(run) <= most for wave in found for run in wave)
    for customer in ("a", "b", "c"):
        mine = [place for wave in found for run in wave for place in run if customers[place] == customer]
        assert mine == sorted(mine)
        assert all(sum(any(customers[place] == customer for place in run) for run in wave) <= 1 for wave in found)


def test_rows_behind_one_that_was_given_back_go_back_too() -> None:
    async def act() -> None:
        async with Bank(batch=500) as bank:
            bank.spool.room = RUN - 1
            bank.source.put(*[a_row(n, customer="c") for n in range(RUN + 50)])
            await asyncio.sleep(2.0)
            assert len(bank.spool.runs) == 1
            assert bank.counts() == {"taken": RUN - 1, "new": 51}

    play(act())


# ---- room ------------------------------------------------------------------------------------------------------------


def test_a_spool_without_room_gives_rows_back_and_stops_the_claiming_until_there_is() -> None:
    async def act() -> None:
        async with Bank(batch=10) as bank:
            bank.spool.room = 25
            bank.source.put(*map(a_row, range(100)))
            await asyncio.sleep(60.0)
            assert bank.counts() == {"taken": 25, "new": 75}
            assert bank.poller.state == "held"
            assert bank.heard.said == ["held"]
            assert bank.source.calls["claim"] < 20
            bank.spool.room = 1000
            await asyncio.sleep(LONGEST + 1)
            assert bank.counts() == {"taken": 100}
            assert bank.heard.said == ["held", "goes on"]

    play(act())


def test_while_nothing_may_come_in_nothing_is_claimed_at_all() -> None:
    async def act() -> None:
        async with Bank() as bank:
            bank.why_not = "the disk of the spool does not answer"
            await asyncio.sleep(2.0)
            before = bank.source.calls["claim"]
            bank.source.put(a_row(1))
            await asyncio.sleep(600.0)
            assert bank.source.calls["claim"] == before
            assert bank.poller.state == "held"
            bank.why_not = ""
            await asyncio.sleep(2.1)
            assert bank.counts() == {"taken": 1}
            assert bank.heard.said == ["held", "goes on"]

    play(act())


def test_a_source_keeps_to_its_own_rate() -> None:
    async def act() -> None:
        async with Bank(client=replace(CLIENT, rate=10.0)) as bank:
            bank.source.put(*map(a_row, range(100)))
            await asyncio.sleep(5.0)
            assert 50 <= len(bank.spool.kept) <= 70
            await asyncio.sleep(6.0)
            assert len(bank.spool.kept) == 100
            assert bank.numbers.returned.n == 0

    play(act())


# ---- the database ----------------------------------------------------------------------------------------------------


def test_a_database_that_fails_is_asked_ever_more_seldom_and_told_of_once() -> None:
    async def act() -> None:
        async with Bank() as bank:
            bank.source.fail("claim", DOWN, 10_000)
            bank.source.fail("lag", DOWN, 10_000)
            await asyncio.sleep(3600.0)
            assert 60 <= bank.source.calls["claim"] + bank.source.calls["lag"] <= 100
            assert bank.heard.said == ["failed unreachable"]
            assert bank.poller.state == "failing"
            assert bank.poller.fault is not None
            assert bank.poller.fault.todo == "ask the network team"
            bank.source._failing.clear()
            bank.source.put(a_row(1))
            await asyncio.sleep(LONGEST + 3)
            assert bank.counts() == {"taken": 1}
            assert bank.heard.said[1].startswith("well after 36")

    play(act())


def test_a_database_that_answers_again_is_well_though_it_has_no_rows() -> None:
    async def act() -> None:
        async with Bank() as bank:
            bank.source.fail("claim", DOWN, 3)
            await asyncio.sleep(60.0)
            assert [word.partition(" ")[0] for word in bank.heard.said] == ["failed", "well"]
            assert bank.poller.state == "running"

    play(act())


def test_another_reason_is_told_again() -> None:
    async def act() -> None:
        async with Bank() as bank:
            bank.source.fail("claim", DOWN, 3)
            bank.source.fail("claim", BAD, 2)
            bank.source.put(a_row(1))
            await asyncio.sleep(120.0)
            assert bank.heard.said[:2] == ["failed unreachable", "failed mismatch"]
            assert bank.heard.said[2].startswith("well")

    play(act())


def test_marks_that_the_database_did_not_take_are_kept_and_made_when_it_is_well() -> None:
    async def act() -> None:
        async with Bank() as bank:
            bank.source.fail("ack", DOWN, 4)
            bank.source.put(a_row(1))
            await asyncio.sleep(30.0)
            assert bank.result(1) == ("taken", "")
            assert bank.source.calls["claim"] < 30
            assert len(bank.spool.runs) == 1

    play(act())


def test_a_driver_that_hangs_is_a_database_that_fails() -> None:
    class Hanging(MemorySource):
        hang = True

        async def claim(self, most: int) -> Sequence[Row]:
            if self.hang:
                await asyncio.sleep(1e5)
            return await super().claim(most)

    async def act() -> None:
        source = Hanging()
        async with Bank(source=source) as bank:
            source.put(a_row(1))
            await asyncio.sleep(60.0)
            assert bank.heard.said == ["failed busy"]
            source.hang = False
            await asyncio.sleep(60.0)
            assert bank.counts() == {"taken": 1}

    play(act())


def test_somebody_who_mended_it_need_not_wait() -> None:
    async def act() -> None:
        async with Bank() as bank:
            bank.source.fail("lag", DOWN, 100)
            bank.source.fail("claim", DOWN, 100)
            await asyncio.sleep(600.0)
            bank.source._failing.clear()
            bank.source.put(a_row(1))
            bank.poller.wake()
            await asyncio.sleep(0.1)
            assert bank.counts() == {"taken": 1}

    play(act())


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_patience_is_between_a_second_and_a_minute(tries: int, chance: float) -> None:
    assert 1.0 <= patience(tries, chance) <= LONGEST
    assert patience(tries, 0.5) <= patience(tries + 1, 0.5)


# ---- pace ------------------------------------------------------------------------------------------------------------


def test_an_idle_source_costs_one_question_a_poll_interval() -> None:
    async def act() -> None:
        async with Bank() as bank:
            await asyncio.sleep(100.0)
            asked = sum(count for verb, count in bank.source.calls.items() if verb != "wait")
            assert 99 <= asked <= 101

    play(act())


def test_a_full_batch_is_followed_by_the_next_at_once_while_the_last_commits() -> None:
    async def act() -> None:
        async with Bank(batch=10) as bank:
            bank.spool.delay = 0.5
            bank.source.put(*map(a_row, range(10 * MOST_OUT)))
            await asyncio.sleep(0.4)
            assert sum(map(len, bank.spool.runs)) in {0, 10 * MOST_OUT}
            bank.poller.wake()
            await asyncio.sleep(0.4)
            assert sum(map(len, bank.spool.runs)) == 10 * MOST_OUT
            await asyncio.sleep(0.6)
            assert bank.counts() == {"taken": 10 * MOST_OUT}

    play(act())


def test_rows_that_are_announced_are_claimed_at_once() -> None:
    async def act() -> None:
        async with Bank(poll=60.0, announces=True) as bank:
            await asyncio.sleep(5.0)
            bank.source.put(a_row(1))
            await asyncio.sleep(0.1)
            assert bank.counts() == {"taken": 1}

    play(act())


def test_a_driver_whose_wait_comes_back_at_once_is_not_asked_at_once() -> None:
    class Hasty(MemorySource):
        async def wait(self, most: float) -> bool:
            return False

    async def act() -> None:
        async with Bank(source=Hasty()) as bank:
            await asyncio.sleep(50.0)
            assert bank.source.calls["claim"] + bank.source.calls["lag"] <= 52

    play(act())


def test_other_rules_and_another_pace_are_taken_up_while_it_runs() -> None:
    async def act() -> None:
        async with Bank(poll=10.0) as bank:
            rules = replace(bank.poller._taking.rules, client=replace(CLIENT, default_sender="OTHER"))
            bank.poller.apply(rules, Pace(5, 1.0))
            await asyncio.sleep(11.0)
            bank.source.put(a_row(1))
            await asyncio.sleep(2.0)
            assert bank.spool.kept["1"].sender == "OTHER"

    play(act())


# ---- pause and end ---------------------------------------------------------------------------------------------------


def test_a_paused_source_finishes_what_is_claimed_and_claims_no_more_until_it_is_resumed() -> None:
    async def act() -> None:
        async with Bank() as bank:
            bank.spool.delay = 1.0
            bank.source.put(a_row(1))
            await asyncio.sleep(1.1)
            bank.poller.pause()
            bank.source.put(a_row(2))
            await asyncio.sleep(60.0)
            assert bank.source.statuses() == {"1": "taken", "2": "new"}
            assert bank.poller.state == "paused"
            assert bank.numbers.state["paused"].n == 1
            bank.poller.resume()
            await asyncio.sleep(1.5)
            assert bank.counts() == {"taken": 2}

    play(act())


def test_at_the_end_what_is_claimed_is_finished() -> None:
    async def act() -> None:
        async with Bank(batch=10) as bank:
            bank.spool.delay = 2.0
            bank.source.put(*map(a_row, range(500)))
            bank.poller.wake()
            await asyncio.sleep(1.0)
            assert bank.counts()["claimed"] > 0
        assert set(bank.counts()) <= {"taken", "new"}
        assert bank.counts()["taken"] == len(bank.spool.kept)
        assert bank.poller.state == "stopped"

    play(act())


def test_rows_of_a_claim_that_comes_back_after_the_end_began_are_given_back() -> None:
    class Slow(MemorySource):
        async def claim(self, most: int) -> Sequence[Row]:
            rows = await super().claim(most)
            await asyncio.sleep(3.0)
            return rows

    async def act() -> None:
        async with Bank(source=Slow()) as bank:
            await asyncio.sleep(4.5)
            bank.source.put(a_row(1))
            bank.poller.wake()
            await asyncio.sleep(1.0)
            assert bank.source.statuses() == {"1": "claimed"}
        assert bank.source.statuses() == {"1": "new"}
        assert not bank.spool.kept

    play(act())


def test_the_end_does_not_wait_for_a_database_that_is_away() -> None:
    async def act() -> None:
        async with Bank() as bank:
            bank.source.fail("claim", DOWN, 100)
            bank.source.fail("lag", DOWN, 100)
            await asyncio.sleep(100.0)
            before = bank.loop.time()
        assert bank.loop.time() - before < 0.1

    play(act())
