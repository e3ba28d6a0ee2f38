"""The table, written down again as the page on states has it, and the folds, over every small set there is."""

from itertools import chain, combinations, product

import pytest

from mgate.model.message import ENDED, Fate, State
from mgate.spool.lifecycle import (
    JOURNALLED,
    MAY_HAVE_LEFT,
    CannotHappen,
    Event,
    advance,
    failed_beside,
    fold_fates,
    fold_parts,
    may_become,
)

# The page, column by column: a state's name, `=` for "stays", `!` for "cannot happen". `note` stays too. The answers
# 409 to a CANCEL are no event, so they stand here as `!`; `200` (cancelled before) stays.
COLUMNS = "READY LEASED SENT UNCERTAIN DELIVERED UNDELIVERED EXPIRED NO_RECEIPT CANCELLED"
PAGE = """
LEASE          LEASED       !            !            !            !  !     !     !          !
RETURN         !            READY        !            !            =  !     !     !          !
ACCEPT         SENT         SENT         =            SENT         =  =     =     =          !
DEFER          =            READY        READY        READY        =  =     =     =          !
EXHAUST        UNDELIVERED  UNDELIVERED  UNDELIVERED  UNDELIVERED  =  =     =     =          !
LOSE_REPLY     UNCERTAIN    UNCERTAIN    UNCERTAIN    =            =  =     =     =          !
REPEAT         !            !            !            READY        !  !     !     !          !
CONFIRM        DELIVERED    DELIVERED    DELIVERED    DELIVERED    =  note  note  DELIVERED  !
LAPSE          EXPIRED      =            =            =            =  =     =     =          =
LOSE_PATIENCE  EXPIRED      =            NO_RECEIPT   NO_RECEIPT   =  =     =     =          =
CANCEL         CANCELLED    !            !            !            !  !     !     !          =
"""
CELLS = [
    (Event[event], State[column], cell)
    for event, *cells in (line.split() for line in PAGE.strip().splitlines())
    for column, cell in zip(COLUMNS.split(), cells, strict=True)
]


def test_the_page_has_a_cell_for_every_event_in_every_state() -> None:
    assert {(event, state) for event, state, _ in CELLS} == set(product(Event, State))


@pytest.mark.parametrize(("event", "state", "cell"), CELLS, ids=lambda value: getattr(value, "name", value))
def test_a_cell_of_the_table_is_as_the_page_has_it(event: Event, state: State, cell: str) -> None:
    if cell == "!":
        with pytest.raises(CannotHappen, match=f"{event.name} in state {state.name}"):
            advance(state, event)
    else:
        assert advance(state, event) is (state if cell in ("=", "note") else State[cell])


def test_only_no_receipt_can_be_left_once_it_is_reached() -> None:
    moves = {(state, advance(state, event)) for event, state, cell in CELLS if cell != "!" and state in ENDED}
    assert {(old, new) for old, new in moves if old is not new} == {(State.NO_RECEIPT, State.DELIVERED)}


# ---- fates ---------------------------------------------------------------------------------------------------------

# Open to anything, in doubt to anything but open, accepted to delivered or undelivered: written pair by pair.
MOVES = {
    (Fate.OPEN, Fate.ACCEPTED),
    (Fate.OPEN, Fate.REFUSED),
    (Fate.OPEN, Fate.IN_DOUBT),
    (Fate.OPEN, Fate.DELIVERED),
    (Fate.OPEN, Fate.UNDELIVERED),
    (Fate.IN_DOUBT, Fate.ACCEPTED),
    (Fate.IN_DOUBT, Fate.REFUSED),
    (Fate.IN_DOUBT, Fate.DELIVERED),
    (Fate.IN_DOUBT, Fate.UNDELIVERED),
    (Fate.ACCEPTED, Fate.DELIVERED),
    (Fate.ACCEPTED, Fate.UNDELIVERED),
}


@pytest.mark.parametrize(("old", "new"), list(product(Fate, Fate)), ids=lambda fate: fate.name)
def test_a_fate_moves_as_the_page_says_and_no_other_way(old: Fate, new: Fate) -> None:
    assert may_become(old, new) is ((old, new) in MOVES)


def test_what_was_surely_not_sent_is_only_what_was_refused() -> None:
    assert set(Fate) - MAY_HAVE_LEFT == {Fate.REFUSED}


FIRST_THAT_SPEAKS = (
    (Fate.DELIVERED, Event.CONFIRM),
    (Fate.OPEN, None),
    (Fate.ACCEPTED, Event.ACCEPT),
    (Fate.IN_DOUBT, Event.LOSE_REPLY),
)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_attempts_fold_by_the_first_fate_that_speaks(count: int) -> None:
    for fates in product(Fate, repeat=count):
        told = next((event for fate, event in FIRST_THAT_SPEAKS if fate in fates), Event.EXHAUST)
        assert fold_fates(fates) is told, fates


# ---- parts ---------------------------------------------------------------------------------------------------------


def stands(parts: tuple[State, ...]) -> str:
    """The page's sentence on the fold, clause by clause."""

    def any_is(*names: str) -> bool:
        return any(part.name in names for part in parts)

    if any_is("LEASED"):
        return "LEASED"
    if any_is("READY"):
        return "READY"
    if any_is("UNCERTAIN"):
        return "UNCERTAIN"
    if any_is("SENT"):
        return "SENT"
    if all(part.name == "DELIVERED" for part in parts):
        return "DELIVERED"
    if any_is("UNDELIVERED") or (any_is("DELIVERED") and any_is("EXPIRED", "CANCELLED")):
        return "UNDELIVERED"
    if any_is("NO_RECEIPT"):
        return "NO_RECEIPT"
    if any_is("EXPIRED"):
        return "EXPIRED"
    return "CANCELLED"


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_message_stands_where_the_page_says(count: int) -> None:
    for parts in product(State, repeat=count):
        assert fold_parts(parts).name == stands(parts), parts


def test_a_message_is_as_its_only_part() -> None:
    assert [fold_parts([state]) for state in State] == list(State)


def test_a_message_has_ended_when_and_only_when_all_its_parts_have() -> None:
    for parts in product(State, repeat=3):
        assert (fold_parts(parts) in ENDED) is all(part in ENDED for part in parts), parts


def test_a_late_receipt_moves_an_ended_message_only_out_of_no_receipt() -> None:
    for others in chain.from_iterable(product(ENDED, repeat=count) for count in (1, 2, 3)):
        before, after = fold_parts((*others, State.NO_RECEIPT)), fold_parts((*others, State.DELIVERED))
        assert before is after or before is State.NO_RECEIPT, others


def test_every_state_but_ready_and_leased_has_its_word_in_the_journal() -> None:
    assert set(State) - set(JOURNALLED) == {State.READY, State.LEASED}
    assert {state.word: word for state, word in JOURNALLED.items()} == {word: word for word in JOURNALLED.values()}


def test_a_part_fails_its_siblings_when_it_ended_without_being_delivered() -> None:
    failing = {state for state in State if failed_beside([State.SENT, state])}
    assert failing == {State.UNDELIVERED, State.EXPIRED, State.NO_RECEIPT, State.CANCELLED}
    for pair in combinations(set(State) - failing, 2):
        assert not failed_beside(pair)
