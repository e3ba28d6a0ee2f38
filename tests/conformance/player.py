"""A hand at a store: short words for the verbs, made-up messages, and a clock that is moved by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import NamedTuple, TypeVar

from mgate.model.entry import Told
from mgate.model.message import COUNT_BITS, Fate, State, TrafficClass
from mgate.model.outcome import Accepted, Outcome
from mgate.model.ports import Slot
from mgate.policy.classes import RULES
from mgate.spool.engine import Reader, Record, Store
from mgate.spool.lifecycle import fold_parts
from mgate.spool.rows import Row
from mgate.spool.verbs import (
    Accept,
    Cancel,
    Cancelled,
    Clash,
    End,
    Ends,
    Fit,
    Forget,
    Hear,
    Heard,
    Kept,
    Lease,
    Leased,
    NewMessage,
    Release,
    Released,
    Result,
    Verb,
    Wake,
    Wish,
    Woken,
)

NOW = 1_790_000_000_000
ROUTE, OTHER_ROUTE = "sms:op-a", "sms:op-b"
NUMBER, OTHER_NUMBER = "+375291110001", "+375291110002"
OK = Accepted("0f3a")
HOUR = 3_600_000

_T = TypeVar("_T")


class Place(NamedTuple):
    """A store and a reader of the same rows."""

    store: Store
    reader: Reader


Open = Callable[[], Place]
"""Opens the place, or opens it again after an end of the process; nothing but what was committed may be there."""


def tag(word: str) -> bytes:
    return blake2b(word.encode(), digest_size=16).digest()


def phone_tag(period: int, number: str) -> bytes:
    return tag(f"{period} {number}")


def same_number(period: int, phone: bytes, numbers: Sequence[str]) -> bool:
    return any(phone_tag(period, number) == phone for number in numbers)


def slot(reference: int, *, route: str = ROUTE, bind: int = 0) -> Slot:
    return Slot(route, bind, reference, urgent=False)


def number_of(count: int) -> int:
    """The id of the ``count``-th message of the suite; there is room for the parts of each."""
    return (NOW << COUNT_BITS) + count * 1_000


def message(
    count: int,
    *,
    ref: str = "",
    client: str = "local",
    traffic: TrafficClass = TrafficClass.TRANSACTION,
    route: str = ROUTE,
    parts: int = 1,
    due: int = NOW,
    life: int = 0,
    content: str = "balance 120",
    number: str = NUMBER,
    group: str = "",
    slots: Sequence[Slot] = (),
) -> NewMessage:
    return NewMessage(
        id=number_of(count),
        client=client,
        traffic=traffic,
        route=route,
        parts=parts,
        created=NOW,
        due=due,
        expires=NOW + (life or int(RULES[traffic].life * 1000)),
        period=7,
        ref_tag=tag(f"ref {ref or count}"),
        content_tag=tag(content),
        phone_tag=phone_tag(7, number),
        group_tag=tag(f"group {group} {number}") if group else b"",
        envelope=b"envelope " + str(count).encode(),
        body=b"body " + str(count).encode(),
        slots=tuple(slots),
    )


def kind_of(result: object, kind: type[_T]) -> _T:
    assert isinstance(result, kind), result
    return result


class Player:
    """Plays a store. Every call is one commit; ``commit`` itself takes what one commit shall hold."""

    def __init__(self, open_place: Open) -> None:
        self._open = open_place
        self.place = open_place()
        self.now = NOW

    @property
    def store(self) -> Store:
        return self.place.store

    @property
    def reader(self) -> Reader:
        return self.place.reader

    def reopen(self) -> None:
        self.place = self._open()

    def commit(self, *verbs: Verb) -> list[Result]:
        results = self.store.work(verbs, self.now)
        self.store.flush()
        return results

    def pass_time(self, milliseconds: int) -> None:
        self.now += milliseconds

    # ---- one verb, one commit --------------------------------------------------------------------------------------

    def accept(self, *messages: NewMessage) -> list[Kept | Clash]:
        (answers,) = self.commit(Accept(messages))
        return list(kind_of(answers, tuple))

    def accept_one(self, new: NewMessage) -> Kept:
        return kind_of(self.accept(new)[0], Kept)

    def lease(self, *parts: int, reference: int = 1, route: str = ROUTE) -> list[Leased | None]:
        wishes = tuple(Wish(part, slot(reference + at, route=route)) for at, part in enumerate(parts))
        (leases,) = self.commit(Lease(wishes))
        return list(kind_of(leases, tuple))

    def end(self, part: int, outcome: Outcome, *, attempt: int = 0, operator_id: str = "") -> None:
        self.commit(self.ending(part, outcome, attempt=attempt, operator_id=operator_id))

    def ending(self, part: int, outcome: Outcome, *, attempt: int = 0, operator_id: str = "") -> Ends:
        sealed = f"sealed {operator_id}".encode() if operator_id else b""
        known = tag(operator_id) if operator_id else b""
        return Ends((End(part, attempt or self.row(part).attempts, outcome, known, sealed),))

    def hear(self, *ids: str, told: Told = Told.DELIVERED, reference: int = -1, number: str = "", account: str = ROUTE,
             reason: str = "") -> str:  # fmt: skip
        (fits,) = self.commit(
            hearing(*ids, told=told, reference=reference, number=number, account=account, reason=reason)
        )
        return kind_of(kind_of(fits, tuple)[0], Fit).word

    def cancel(self, head: int, client: str = "local") -> str:
        (answer,) = self.commit(Cancel(head, client, "called_off"))
        return kind_of(answer, Cancelled).word

    def release(self, part: int, attempts: int) -> bool:
        (answer,) = self.commit(Release(part, attempts))
        return kind_of(answer, Released).done

    def wake(self, limit: int = 100) -> int:
        (answer,) = self.commit(Wake(limit))
        return kind_of(answer, Woken).parts

    def wake_until_quiet(self) -> None:
        for _ in range(50):
            if not self.wake():
                return
        raise AssertionError("the clock has always something to say: a wake does not move on")

    def forget(self, *copied: tuple[int, int]) -> None:
        self.commit(Forget(copied))

    # ---- ways to a state -------------------------------------------------------------------------------------------

    def ready(self, new: NewMessage) -> int:
        return self.accept_one(new).message

    def leased(self, new: NewMessage) -> int:
        head = self.ready(new)
        assert None not in self.lease(*range(head, head + new.parts))
        return head

    def sent(self, new: NewMessage) -> int:
        """All parts accepted; part n has the operator id ``op-<count>-n``."""
        head = self.leased(new)
        for n in range(1, new.parts + 1):
            self.end(head + n - 1, OK, operator_id=f"op-{(head - number_of(0)) // 1000}-{n}")
        return head

    # ---- what is there ---------------------------------------------------------------------------------------------

    def record(self, head: int) -> Record:
        (found,) = self.reader.records([head])
        return found

    def row(self, part: int) -> Row:
        head = part - (part - number_of(0)) % 1_000
        return self.record(head).rows[part - head]

    def states(self, head: int) -> list[State]:
        return [row.state for row in self.record(head).rows]

    def state(self, head: int) -> State:
        return fold_parts(self.states(head))

    def fates(self, part: int) -> list[Fate]:
        return [attempt.fate for attempt in self.row(part).tries]

    def events(self, head: int) -> list[str]:
        return [row.event for row in self.record(head).journal]

    def ended(self, after: int = 0, limit: int = 10) -> list[int]:
        """The messages that may move to history, by id."""
        return [one.message for one in self.reader.ended(self.now, after, limit)[0]]

    def has_text(self, head: int) -> bool:
        return self.record(head).body is not None


def hearing(
    *ids: str,
    told: Told = Told.DELIVERED,
    reference: int = -1,
    number: str = "",
    account: str = ROUTE,
    reason: str = "",
) -> Hear:
    return Hear((Heard(account, tuple(map(tag, ids)), told, reason, reference, (number,) if number else ()),))
