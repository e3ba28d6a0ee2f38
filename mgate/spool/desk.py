"""The desk: questions about messages, answered from the live spool and the history alike.

The question runs on a reader's thread; what it finds is opened here, on the reactor's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from mgate.model.message import COUNT_BITS, MessageId
from mgate.model.ports import NoAnswer
from mgate.model.view import MessageView
from mgate.seal.errors import SealError
from mgate.seal.keyring import Keyring
from mgate.spool.engine import Reader, Record
from mgate.spool.front import Front
from mgate.spool.history import HistoryReader
from mgate.spool.rows import Row
from mgate.spool.sealing import Sealing
from mgate.spool.service import Asker
from mgate.spool.story import StoredStory, view_of
from mgate.spool.verbs import Cancelled, NotKept

_MOST: Final = 20
"""A reference stands at most once a client; more than so many clients are not looked through."""

Found = tuple[list[Record], list[StoredStory]]
_LATER: Final[Found | NoAnswer] = NoAnswer.LATER


class Desk:
    """See ``model.ports.Desk``.

    Args:
        asker: a reader's thread of its own, so that a long search holds up nobody.
        on_damaged: told of a message whose record cannot be opened; it is left out of the answer.
    """

    def __init__(  # built once, by wiring
        self,
        front: Front,
        asker: Asker,
        history: HistoryReader,
        sealing: Sealing,
        keyring: Keyring,
        wall: Callable[[], float],
        on_damaged: Callable[[int, SealError], None],
    ) -> None:
        self._front = front
        self._asker = asker
        self._history = history
        self._sealing = sealing
        self._keyring = keyring
        self._wall = wall
        self._on_damaged = on_damaged

    def show(self, client: str, message: MessageId, answer: Callable[[MessageView | NoAnswer | None], None]) -> None:
        """See ``model.ports.Desk``."""
        periods = self._periods_of(message)

        def question(reader: Reader) -> Found | NoAnswer:
            live = reader.records([message])
            if live:
                return live, []
            ended = self._history.by_id(message, periods)
            # Between the two looks it may have moved from the spool to history, never the other way.
            return [], [] if ended is None else [ended]

        def told(found: Found | NoAnswer) -> None:
            answer(found if isinstance(found, NoAnswer) else next(iter(self._views(client, found)), None))

        self._asker.ask(question, told, _LATER)

    def by_ref(self, client: str, ref: str, answer: Callable[[Sequence[MessageView] | NoAnswer], None]) -> None:
        """See ``model.ports.Desk``."""
        numbers = self._newest_periods()

        def question(reader: Reader) -> Found | NoAnswer:
            clients = [client] if client else reader.clients()
            tags = [(one, self._sealing.ref_tag(one, ref)) for one in clients]
            live = reader.records(reader.by_ref(tags))
            known = {record.rows[0].client for record in live}
            ended = self._remembered([key for key in tags if key[0] not in known])
            known |= {story.rows[0].client for story in ended}
            rest = [tag for one, tag in tags if one not in known]
            if rest:
                ended += self._history.by_tag([(period, tag) for period in numbers for tag in rest], _MOST)
            return live, ended

        def told(found: Found | NoAnswer) -> None:
            answer(found if isinstance(found, NoAnswer) else self._views(client, found))

        self._asker.ask(question, told, _LATER)

    def known(
        self, client: str, refs: Sequence[str], answer: Callable[[Mapping[str, MessageId] | NoAnswer], None]
    ) -> None:  # fmt: skip
        """Which of these references are remembered, and of which messages. Cheap: no story is opened for it."""

        def question(reader: Reader) -> Mapping[str, MessageId] | NoAnswer:
            tags = {ref: (client, self._sealing.ref_tag(client, ref)) for ref in refs}
            live = {ref: MessageId(head) for ref, tag in tags.items() for head in reader.by_ref([tag])}
            rest = {tag: ref for ref, tag in tags.items() if ref not in live}
            ended = self._history.remembered(list(rest)) if rest else {}
            return live | {rest[tag]: MessageId(head) for tag, head in ended.items()}

        later: Mapping[str, MessageId] | NoAnswer = NoAnswer.LATER
        self._asker.ask(question, answer, later)

    def by_number(self, number: str, limit: int, answer: Callable[[Sequence[MessageView] | NoAnswer], None]) -> None:
        """See ``model.ports.Desk``."""
        numbers = self._newest_periods()
        tags = self._sealing.phone_tags(number)

        def question(reader: Reader) -> Found | NoAnswer:
            live = reader.records(reader.by_phone(tags, limit))
            return live, self._history.by_tag(list(zip(numbers, tags, strict=True)), limit)

        def told(found: Found | NoAnswer) -> None:
            answer(found if isinstance(found, NoAnswer) else self._views("", found)[:limit])

        self._asker.ask(question, told, _LATER)

    def cancel(self, client: str, message: MessageId, answer: Callable[[str], None]) -> None:
        """See ``model.ports.Desk``."""

        def told(result: Cancelled | NotKept) -> None:
            if isinstance(result, NotKept):
                answer("busy")
            elif result.word == "unknown":
                self.show(client, message, lambda view: answer(_of_ended(view)))
            else:
                answer(result.word)

        self._front.cancel(message, client, "cancelled_by_client" if client else "cancelled_by_operator", told)

    # ---- opening ---------------------------------------------------------------------------------------------------

    def _views(self, client: str, found: Found) -> list[MessageView]:
        now = int(self._wall() * 1000)
        live, ended = found
        views: dict[int, MessageView] = {}
        for rows, envelope, old in [
            *((record.rows, record.envelope, False) for record in live),
            *((story.rows, story.envelope, True) for story in ended),
        ]:
            head = rows[0]
            if (not client or head.client == client) and head.id not in views:
                try:
                    views[head.id] = self._view(rows, envelope, now, old=old, admin=not client)
                except SealError as error:
                    self._on_damaged(head.id, error)
        return [views[message] for message in sorted(views, reverse=True)]

    def _view(self, rows: Sequence[Row], sealed: bytes, now: int, *, old: bool, admin: bool) -> MessageView:
        envelope = self._sealing.envelope(rows[0], sealed)
        return view_of(rows, envelope, self._sealing.operator_id, now, in_history=old, admin=admin)

    # ---- history ---------------------------------------------------------------------------------------------------

    def _remembered(self, wanted: Sequence[tuple[str, bytes]]) -> list[StoredStory]:
        """The ended messages whose references are still remembered: their ids say in which few files they stand.

        And their references say in which block: by its id alone, every block would be opened that was written then.
        """
        return [
            story
            for (_, tag), head in self._history.remembered(wanted).items()
            for story in self._history.by_tag([(period, tag) for period in self._periods_of(head)], _MOST)
            if story.rows[0].id == head
        ]

    # ---- periods ---------------------------------------------------------------------------------------------------

    def _newest_periods(self) -> list[int]:
        return sorted((period.number for period in self._keyring.periods), reverse=True)

    def _periods_of(self, message: int) -> list[int]:
        """The periods that a message may be of: its id tells the millisecond, or a little after one."""
        at = (message >> COUNT_BITS) / 1000
        slack = 3600.0
        return [period.number for period in self._keyring.periods if period.begins - slack <= at < period.ends + slack]


def _of_ended(view: MessageView | NoAnswer | None) -> str:
    """What to say to who would cancel a message that is not in the live spool."""
    if view is None:
        return "unknown"
    if isinstance(view, NoAnswer):
        return "busy"
    return "cancelled" if view.state == "cancelled" else "ended"
