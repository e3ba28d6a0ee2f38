"""No nonce is given twice: not to two threads, not to a child, not to a machine that was asleep."""

import os
from concurrent.futures import ThreadPoolExecutor

from mgate.seal import nonces
from mgate.seal.nonces import DRAWN, NONCE_BYTES, STALE_AFTER, Nonces


class Still:
    """A clock that stands until it is told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_no_nonce_is_given_twice_however_many_are_drawn() -> None:
    stock = Nonces(Still())
    taken = [stock.take() for _ in range(5 * DRAWN + 1)]
    assert len(set(taken)) == len(taken)
    assert {len(nonce) for nonce in taken} == {NONCE_BYTES}


def test_many_threads_never_get_the_same_nonce() -> None:
    stock = Nonces(Still())
    with ThreadPoolExecutor(4) as threads:
        taken = list(threads.map(lambda _: [stock.take() for _ in range(1000)], range(40)))
    assert len({nonce for some in taken for nonce in some}) == 40_000


def test_a_child_begins_with_a_stock_of_its_own() -> None:
    nonces.take()
    hear, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(tell, b"".join(nonces.take() for _ in range(DRAWN)))
        finally:
            os._exit(0)
    os.close(tell)
    with os.fdopen(hear, "rb") as told:
        of_the_child = told.read()
    os.waitpid(child, 0)
    theirs = {of_the_child[at : at + NONCE_BYTES] for at in range(0, len(of_the_child), NONCE_BYTES)}
    assert len(theirs) == DRAWN
    assert not theirs & {nonces.take() for _ in range(DRAWN)}


def test_a_stock_that_was_frozen_for_a_while_is_not_used() -> None:
    clock = Still()
    stock = Nonces(clock)
    stock.take()
    frozen = stock._stock
    clock.now += STALE_AFTER
    after = {stock.take() for _ in range(DRAWN)}
    assert len(frozen) == DRAWN - 1
    assert not after & set(frozen)


def test_a_fresh_stock_is_used_up() -> None:
    clock = Still()
    stock = Nonces(clock)
    stock.take()
    drawn = set(stock._stock)
    clock.now += STALE_AFTER / 2
    assert {stock.take() for _ in range(DRAWN - 1)} == drawn
