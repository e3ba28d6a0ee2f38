"""Pushing a sheet: rows out, results in, both at once; then, if wanted, waiting for the ends."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

import msgspec

from mgate.control.results import REFUSED, Result
from mgate.control.sheets import Bad, Good, Row, Sheet
from mgate.control.talk import Daemon, NotReachable, Refused
from mgate.model.message import ENDED
from mgate.model.view import MessageView

FINAL: Final = frozenset(state.word for state in ENDED)

_SHORTEST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0


class ResultLine(msgspec.Struct, frozen=True):
    """One result line of the batch door; ``error`` is empty where the message was taken."""

    line: int
    ref: str = ""
    id: str = ""
    state: str = ""
    parts: int = 0
    duplicate: bool = False
    error: str = ""
    field: str = ""
    detail: str = ""


def check(sheet: Sheet) -> tuple[int, list[Result]]:
    """How many rows the file has, and those that can be seen to be wrong without the daemon."""
    rows = 0
    wrong = []
    for row in sheet.rows():
        rows += 1
        if isinstance(row, Bad):
            wrong.append(_bad(row))
    return rows, wrong


def push(daemon: Daemon, sheet: Sheet) -> Iterator[Result]:
    """Push every good row; a result for each row, in order.

    Errors: `NotReachable` when the connection breaks on the way; what was taken is in the spool, and the same file
    pushed again goes on from there.
    """
    sent: deque[Row] = deque()

    def lines() -> Iterator[bytes]:
        for row in sheet.rows():
            sent.append(row)
            if isinstance(row, Good):
                yield row.line

    for line in daemon.batch(lines()):
        yield from _bad_before(sent)
        yield _result(sent.popleft(), line)
    yield from _bad_before(sent)
    if sent:
        raise NotReachable(f"the daemon ended the batch before row {sent[0].number}; push the same file again to go on")


def _bad_before(sent: deque[Row]) -> Iterator[Result]:
    while sent and isinstance(row := sent[0], Bad):
        sent.popleft()
        yield _bad(row)


def _bad(row: Bad) -> Result:
    return Result(row.number, row.ref, row.to, "", REFUSED, f"{row.field}: {row.reason}" if row.field else row.reason)


def _result(row: Row, line: bytes) -> Result:
    answer = msgspec.json.decode(line, type=ResultLine)
    if answer.ref and answer.ref != row.ref:
        raise NotReachable(
            f"the daemon answered row {row.number} for another: this is a fault of mgate, please report it"
        )
    if answer.error:
        where = f"{answer.field}: " if answer.field else ""
        return Result(row.number, row.ref, row.to, "", REFUSED, f"{where}{answer.detail} ({answer.error})")
    reason = "duplicate" if answer.duplicate else ""
    return Result(row.number, row.ref, row.to, answer.id, answer.state, reason, answer.duplicate)


def settle(
    daemon: Daemon,
    results: Sequence[Result],
    patience: float,
    now: Callable[[], float],
    sleep: Callable[[float], None],
    told: Callable[[int], None],
) -> list[Result]:
    """Ask until every message has ended or ``patience`` seconds are over; the results with the states of then.

    ``told`` hears how many have ended.
    """
    latest = {index: result for index, result in enumerate(results)}  # noqa: C416  # a copy that is written to
    open_ones = [index for index, result in latest.items() if result.id and result.state not in FINAL]
    until = now() + patience
    pause = _SHORTEST_PAUSE
    while open_ones:
        for index in open_ones:
            latest[index] = _asked(daemon, latest[index])
        still = [index for index in open_ones if latest[index].state not in FINAL]
        told(len(results) - len(still))
        if not still or now() + pause > until:
            break
        # While many end it is worth asking soon; while none does, less and less.
        pause = _SHORTEST_PAUSE if len(still) < len(open_ones) else min(pause * 2, _LONGEST_PAUSE)
        open_ones = still
        sleep(pause)
    return [latest[index] for index in range(len(results))]


def _asked(daemon: Daemon, result: Result) -> Result:
    try:
        view = daemon.get(f"/v1/messages/{result.id}", MessageView)
    except Refused as refused:
        return replace(result, state="unknown", reason=str(refused))
    # The reason of an earlier put-off is over when the message went on.
    return replace(result, state=view.state, reason=view.reason or ("duplicate" if result.duplicate else ""))
