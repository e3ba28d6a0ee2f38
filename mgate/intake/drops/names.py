"""The names of a drop folder. Pure.

A file of the job is ``NAME.csv`` or ``NAME.ndjson``, perhaps with ``.gz`` or ``.zip`` behind it; ``NAME.manifest.json``
is its manifest, and what is written back has the same NAME. Anything else in the folder is none of our business.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final, NamedTuple

MANIFEST: Final = ".manifest.json"
NAME: Final = "[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?"
"""What NAME may be: it goes into references, and into the names of files that others read."""

_NAME: Final = re.compile(NAME, re.ASCII)


class Packing(Enum):
    """How a file is packed; the word is the end of its name."""

    NONE = ""
    GZIP = ".gz"
    ZIP = ".zip"


class DataName(NamedTuple):
    """The name of a file with rows: ``form`` is ``csv`` or ``ndjson``."""

    name: str
    form: str
    packing: Packing

    def __str__(self) -> str:
        return f"{self.name}.{self.form}{self.packing.value}"


def manifest_of(file: str) -> str | None:
    """NAME, when a file's name is that of a manifest."""
    name = file.removesuffix(MANIFEST)
    return name if name != file and _NAME.fullmatch(name) and not name.endswith(MANIFEST) else None


def data_of(name: str, file: str) -> DataName | None:
    """What a manifest's NAME may call its file; None for any other name, however it is written."""
    return next((each for each in candidates(name) if str(each) == file), None)


def candidates(name: str) -> list[DataName]:
    """Every name that the file of this manifest may have."""
    return [DataName(name, form, packing) for form in ("csv", "ndjson") for packing in Packing]


def result_name(name: str, form: str) -> str:
    """Where the answer to each row stands."""
    return f"{name}.result.{form}"


def final_name(name: str, form: str) -> str:
    """Where the last state of each message stands."""
    return f"{name}.final.{form}"
