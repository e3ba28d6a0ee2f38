"""What the admin API answers of folders of files: plain values, as in ``views``."""

from __future__ import annotations

import msgspec


class DropFileView(msgspec.Struct, frozen=True):
    """One file that was taken, or refused whole.

    Attributes:
        phase: ``taking``, ``taken`` or ``final``; ``refused``: nothing of it was taken.
        claimed: when, or when it was refused.
        accepted, known, refused: rows; ``open``: messages that have not ended.
        reason: why it was refused: a word of ``docs/files.md``.
    """

    name: str
    phase: str
    claimed: str
    accepted: int = 0
    known: int = 0
    refused: int = 0
    open: int = 0
    reason: str = ""


class DropView(msgspec.Struct, frozen=True):
    """One folder.

    Attributes:
        state: ``idle``, ``taking``, ``paused`` or ``failed``.
        waiting: manifests that wait in ``in``; ``strays``: files there without one.
        step, done: of the file that is under way: ``checking`` (how far, from 0 to 1), ``taking`` or ``writing``.
        failure: why it cannot be used; empty when it can.
        writers: who may put files there and read the answers, and what keeps them out.
        files: those that are remembered, the newest last, at most 50.
    """

    name: str
    folder: str
    state: str
    waiting: int
    strays: int
    step: str
    done: float
    failure: str
    files: tuple[DropFileView, ...]
    writers: str = ""


class DropsView(msgspec.Struct, frozen=True):
    """The answer of ``/v1/drops``."""

    drops: tuple[DropView, ...]


class FaultView(msgspec.Struct, frozen=True):
    """One thing that is wrong with a file; ``line`` 0 for the whole; ``ref``: the row's, where it could be read."""

    line: int
    code: str
    field: str
    detail: str
    ref: str = ""


class SampleView(msgspec.Struct, frozen=True):
    """A row as it would be taken: the number masked, the text only counted."""

    line: int
    ref: str
    to: str
    traffic: str = msgspec.field(name="class")
    sender: str
    characters: int
    parts: int


class CheckedView(msgspec.Struct, frozen=True):
    """What a check found: a line of its answer, the last one with ``over``.

    Attributes:
        done: how far it has come, from 0 to 1.
        wrong: rows that cannot be taken; ``faults``: the first of them, a thousand at most.
        taken: whether the folder would take the file. ``writers``: see `DropView`.
    """

    over: bool
    done: float
    encoding: str = ""
    digest: str = ""
    rows: int = 0
    wrong: int = 0
    taken: bool = False
    faults: tuple[FaultView, ...] = ()
    sample: tuple[SampleView, ...] = ()
    writers: str = ""
