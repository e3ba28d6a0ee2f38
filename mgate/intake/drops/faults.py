"""Every fault of a file, and of a row that is none of the push API's: two closed lists. ``docs/files.md`` shows them.

A program decides by the word, never by the sentence. No sentence repeats anything that stands in the file.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class FileFault(Enum):
    """Why a file is refused whole: the word, and what it means."""

    BAD_NAME = "bad_name", "the manifest names a file that is not its own: NAME.csv or NAME.ndjson, with .gz or .zip"
    BAD_MANIFEST = "bad_manifest", "the manifest is not as it must be"
    NO_FILE = "no_file", "the file was not there when its manifest came; put the file first, then the manifest"
    NOT_A_FILE = "not_a_file", "only plain files with one name are taken: no link, no pipe, no device"
    UNREADABLE = "unreadable", "the file may not be read by mgated: give its group the right to read it"
    CHANGED = "changed", "somebody wrote to the file after its manifest had come"
    REPEATED = "repeated", "a file with this content was taken already; nothing of it was taken again"
    NAME_USED = "name_used", "the results of another file of this name are still kept: give each file a name of its own"
    WRONG_SHA256 = "wrong_sha256", "the SHA-256 of the file is not the manifest's"
    WRONG_ROWS = "wrong_rows", "the file has another number of rows than the manifest says"
    TOO_LARGE = "too_large", "the file is larger than this folder takes"
    TOO_MANY_ROWS = "too_many_rows", "the file has more rows than this folder takes"
    BOMB = "bomb", "the file unpacks to more times its size than this folder takes"
    BAD_ARCHIVE = "bad_archive", "the file cannot be unpacked, or holds more than one file"
    WRONG_FORMAT = "wrong_format", "this folder does not take that format"
    UNKNOWN_ENCODING = (
        "unknown_encoding",
        "the encoding cannot be told for sure: declare it, in the manifest or mgate.toml",
    )
    BAD_ENCODING = "bad_encoding", "there are octets that the encoding does not have"
    NO_HEADER = "no_header", "the first line must name the columns"
    BAD_HEADER = "bad_header", "the columns are not those that this folder knows"
    BAD_ROWS = "bad_rows", "rows are wrong, and this folder takes a file whole or not at all"

    def __init__(self, word: str, sentence: str) -> None:
        self.word = word
        self.sentence = sentence


class RowFault(Enum):
    """Why a row cannot be read: the word, and what it means. What the push API refuses too has its word (``Code``)."""

    NOT_CSV = "not_csv", "the quotes of this row cannot be followed; a quote within a cell is written twice"
    OPEN_QUOTE = "open_quote", "a quote is opened in this line and not closed within 64 KiB, or not at all"
    RAGGED = "ragged", "the row has not as many cells as the header has columns"
    NUL = "nul", "the row contains the character NUL"
    LINE_TOO_LONG = "line_too_long", "the row is longer than 64 KiB"
    REPEATED_REF = "repeated_ref", "an earlier row of this file has the same ref"

    def __init__(self, word: str, sentence: str) -> None:
        self.word = word
        self.sentence = sentence


MOST_FAULTS = 1000
"""Faults of one file that are told; the rest is only counted."""


class Fault(NamedTuple):
    """One thing that is wrong.

    Attributes:
        line: where the row begins, the first line of the file being 1; 0 for the file as a whole.
        code: a word of ``FileFault``, ``RowFault``, ``codes.Code`` or ``normal.Unread``.
        field: the field at fault; empty when none is.
        detail: a sentence for a person.
        ref: the row's, as far as it could be read; empty for none.
    """

    line: int
    code: str
    field: str
    detail: str
    ref: str = ""


class Refused(Exception):
    """The file is refused whole."""

    def __init__(self, fault: FileFault, detail: str = "", line: int = 0) -> None:
        super().__init__(detail or fault.sentence)
        self.why = fault
        self.fault = Fault(line, fault.word, "", f"{fault.sentence}: {detail}" if detail else fault.sentence)


def fault(kind: RowFault, line: int, field: str = "", detail: str = "") -> Fault:
    """A fault of a row; ``detail`` when something more exact can be said."""
    return Fault(line, kind.word, field, detail or kind.sentence)
