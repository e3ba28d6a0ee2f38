"""The rows at hand: answers from memory only where the disk would say the same, and no more memory than was said."""

from mgate.model.message import Fate, State, TrafficClass
from mgate.spool.hand import HELD, Hand
from mgate.spool.rows import Attempt, Row
from mgate.spool.shelf import StoredHead

ACCOUNT = "sms:op-a"


def attempt(tag: bytes | None, fate: Fate = Fate.ACCEPTED, n: int = 1) -> Attempt:
    return Attempt(n, ACCOUNT, 0, 1, 0, fate, operator_tag=tag)


def row(part: int, *tries: Attempt) -> Row:
    return Row(
        part, 1, 1, "local", TrafficClass.SERVICE, ACCOUNT, State.SENT, 0, 0, 0, 0, 7, b"", tries=list(tries)
    )  # fmt: skip


def head(message: int) -> StoredHead:
    return StoredHead(message, "local", b"", b"", b"", b"", "", b"")


def kept(hand: Hand, part: int, *tries: Attempt) -> Row:
    made = row(part, *tries)
    hand.heads[part] = head(part)
    hand.keep(made)
    return made


def test_the_attempt_that_waits_for_its_receipt_is_found_by_its_id_and_account() -> None:
    hand = Hand()
    made = kept(hand, 1, attempt(b"x"))
    assert hand.operator_id(ACCOUNT, b"x") == (made, made.tries[-1])
    assert hand.operator_id("sms:op-b", b"x") is None
    assert hand.operator_id(ACCOUNT, b"y") is None


def test_only_one_that_waits_is_answered_from_hand() -> None:
    hand = Hand()
    made = kept(hand, 1, attempt(b"x"))
    for fate in set(Fate) - {Fate.ACCEPTED}:
        made.tries[-1].fate = fate
        assert hand.operator_id(ACCOUNT, b"x") is None


def test_an_id_of_an_earlier_attempt_is_left_to_the_disk() -> None:
    hand = Hand()
    made = kept(hand, 1, attempt(b"x"))
    made.tries.append(attempt(b"y", n=2))
    hand.keep(made)
    assert hand.operator_id(ACCOUNT, b"x") is None
    assert hand.operator_id(ACCOUNT, b"y") == (made, made.tries[-1])


def test_an_id_that_was_given_twice_is_left_to_the_disk_even_when_one_of_the_two_has_gone() -> None:
    for gone in (1, 2):
        hand = Hand()
        kept(hand, 1, attempt(b"x"))
        kept(hand, 2, attempt(b"x"))
        assert hand.operator_id(ACCOUNT, b"x") is None
        hand.let_go(gone)
        assert hand.operator_id(ACCOUNT, b"x") is None


def test_a_row_kept_again_is_not_given_twice() -> None:
    hand = Hand()
    made = kept(hand, 1, attempt(b"x"))
    hand.keep(made)
    assert hand.operator_id(ACCOUNT, b"x") is not None


def test_letting_go_of_a_row_lets_its_head_and_its_id_go() -> None:
    hand = Hand()
    kept(hand, 1, attempt(b"x"))
    kept(hand, 2, attempt(b"y"))
    hand.let_go(1)
    hand.let_go(3)
    assert (list(hand.rows), list(hand.heads)) == ([2], [2])
    assert hand.operator_id(ACCOUNT, b"x") is None
    assert hand.operator_id(ACCOUNT, b"y") is not None


def test_a_head_whose_row_is_not_at_hand_goes_too() -> None:
    hand = Hand()
    hand.heads[1] = head(1)
    hand.let_go(1)
    assert not hand.heads


def test_trimming_lets_those_go_that_were_touched_longest_ago() -> None:
    hand = Hand(held=3)
    rows = [kept(hand, part, attempt(b"%d" % part)) for part in range(1, 6)]
    hand.keep(rows[0])
    hand.trim()
    assert list(hand.rows) == [4, 5, 1]
    hand.trim()
    assert list(hand.rows) == [4, 5, 1]


def test_memory_is_bounded_whatever_is_kept() -> None:
    hand = Hand()
    most = [0, 0, 0]
    for start in range(0, 100_000, 500):
        for part in range(start, start + 500):
            made = kept(hand, part, attempt(b"%d" % (part // 2)))  # every id twice
            made.tries.append(attempt(b"second %d" % part, n=2))  # and every part named again
            hand.keep(made)
            hand.heads[1_000_000 + part] = head(part)  # a head of a message whose first part is not at hand
        hand.trim()
        sizes = (len(hand.rows), len(hand.heads), len(hand._by_tag) + len(hand._twice))
        most = [max(pair) for pair in zip(most, sizes, strict=True)]
    assert most[0] <= HELD
    assert most[1] <= 2 * HELD
    assert most[2] <= 2 * HELD
    assert list(hand.rows) == list(range(100_000 - HELD, 100_000))


def test_nothing_is_at_hand_after_a_transaction_that_failed() -> None:
    hand = Hand()
    kept(hand, 1, attempt(b"x"))
    kept(hand, 2, attempt(b"x"))
    hand.clear()
    assert (hand.rows, hand.heads) == ({}, {})
    made = kept(hand, 3, attempt(b"x"))
    assert hand.operator_id(ACCOUNT, b"x") == (made, made.tries[-1])


def test_what_merely_waits_pushes_out_nothing_that_is_under_way() -> None:
    hand = Hand(held=4)
    under_way = kept(hand, 1, attempt(b"a"))
    waiting = [kept(hand, part) for part in range(2, 9)]
    hand.heads[8] = head(8)
    hand.trim()
    assert list(hand.rows) == [1, 2]
    assert list(hand.heads) == [1, 2]
    assert hand.rows[1] is under_way
    waiting[-1].tries.append(attempt(b"b"))
    hand.keep(waiting[-1])
    hand.trim()
    assert list(hand.rows) == [1, 2, 8]
