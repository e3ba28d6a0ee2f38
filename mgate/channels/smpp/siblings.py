"""Parts of a long text that get no receipt of their own, because their operator tells of the first or the last only.

When that one's receipt has come, the others are waited for a while, and then what it said is taken to hold for them;
the reason says so. It is remembered in memory alone: after a restart, or when the receipt came before its answer, parts
that nobody tells of end without a receipt, as with any operator.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from mgate.channels.smpp.receipt import canonical_id
from mgate.model.entry import Receipt, Told
from mgate.model.message import Outgoing

_MOST_MESSAGES: Final = 20_000
_FINAL: Final = (Told.DELIVERED, Told.UNDELIVERED)


@dataclass(slots=True)
class _Message:
    parts: int
    ids: dict[int, str] = field(default_factory=dict)  # by the number of the part, from 1
    told: set[int] = field(default_factory=set)


class Siblings:
    """What is known of the long messages of one account.

    Args:
        telling: ``first`` or ``last``: the part that gets a receipt.
        wait: seconds that the others are waited for after it.
    """

    def __init__(self, telling: str, wait: float) -> None:
        self._first = telling == "first"
        self._wait = wait
        self._messages: dict[int, _Message] = {}
        self._by_id: dict[str, tuple[int, int]] = {}
        self._due: deque[tuple[float, int, Receipt]] = deque()

    def sent(self, part: Outgoing, operator_id: str) -> None:
        """The operator took a part of several, and gave it this id."""
        if not operator_id:
            return
        head, known = part.part - part.n + 1, canonical_id(operator_id)
        message = self._messages.setdefault(head, _Message(part.parts))
        message.ids[part.n] = known
        self._by_id[known] = head, part.n
        if len(self._messages) > _MOST_MESSAGES:
            self._forget(next(iter(self._messages)))

    def heard(self, receipt: Receipt, now: float) -> None:
        """A receipt came; that of the telling part begins the wait for the others."""
        found = next((self._by_id[form] for form in receipt.ids if form in self._by_id), None)
        if found is None or receipt.told not in _FINAL:
            return
        head, n = found
        message = self._messages[head]
        if n not in message.told and n == (1 if self._first else message.parts):
            reason = f"{receipt.reason} partial: told of part {n} of {message.parts} only"
            self._due.append((now + self._wait, head, replace(receipt, reason=reason, reference=-1)))
        message.told.add(n)
        if len(message.told) == message.parts:
            self._forget(head)

    def next_due(self) -> float | None:
        """When `due` has something to say; None for never."""
        return self._due[0][0] if self._due else None

    def due(self, now: float) -> list[Receipt]:
        """What now holds for parts that nobody told of."""
        receipts: list[Receipt] = []
        while self._due and self._due[0][0] <= now:
            _, head, receipt = self._due.popleft()
            message = self._messages.get(head)
            if message is not None:
                untold = sorted(message.ids.keys() - message.told)
                receipts += [replace(receipt, ids=(message.ids[n],)) for n in untold]
                self._forget(head)
        return receipts

    def _forget(self, head: int) -> None:
        for known in self._messages.pop(head).ids.values():
            self._by_id.pop(known, None)
