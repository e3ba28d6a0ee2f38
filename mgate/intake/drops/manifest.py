"""The manifest: what the job says of its file, and the sign that the file is complete. Pure."""

from __future__ import annotations

from typing import Annotated, Final, Literal, get_args

import msgspec
from msgspec import Meta

from mgate.intake.drops.faults import FileFault, Refused
from mgate.intake.drops.names import DataName, data_of
from mgate.intake.shape import read_object
from mgate.model.ports import Refusal

LARGEST: Final = 16 * 1024
"""Octets of a manifest."""

Form = Literal["auto", "csv", "ndjson"]
Encoding = Literal["auto", "utf-8", "cp1251", "cp866"]
Delimiter = Literal["auto", "comma", "semicolon", "tab", "bar"]


def _one_of(words: object) -> str:
    return "one of " + ", ".join(f'"{word}"' for word in get_args(words))


_EXPECTED: Final = {
    "file": "the name of the file, in quotes",
    "rows": "the number of its rows, from 0 on, without quotes",
    "sha256": "the file's SHA-256, 64 hexadecimal digits in quotes",
    "format": _one_of(Form),
    "encoding": _one_of(Encoding),
    "delimiter": _one_of(Delimiter),
}
"""What each field must be, as the job's programmer is told."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One manifest.

    Attributes:
        file: the name of its file, in the same folder.
        rows: how many rows it has, the header and empty lines not counted.
        sha256: of the file's octets as they lie in the folder, packed if it is packed, in hexadecimal.
        format, encoding, delimiter: where the folder's own settings say ``auto``, what holds for this file.
    """

    file: str
    rows: Annotated[int, Meta(ge=0, le=1 << 40)]
    sha256: Annotated[str, Meta(pattern="^[0-9a-fA-F]{64}$")]
    format: Form = "auto"
    encoding: Encoding = "auto"
    delimiter: Delimiter = "auto"

    @property
    def digest(self) -> str:
        """The SHA-256 in its one form."""
        return self.sha256.lower()


def read_manifest(name: str, raw: bytes) -> tuple[Manifest, DataName]:
    """Read the manifest of NAME.

    Raises:
        Refused: ``bad_manifest`` or ``bad_name``.
    """
    if len(raw) > LARGEST:
        raise Refused(FileFault.BAD_MANIFEST, f"it is larger than {LARGEST // 1024} KiB")
    given = read_object(raw.removeprefix(b"\xef\xbb\xbf"))
    if isinstance(given, Refusal):
        raise Refused(FileFault.BAD_MANIFEST, f"it is no JSON object ({given.code})")
    try:
        manifest = msgspec.convert(given, Manifest)
    except msgspec.ValidationError as error:
        raise Refused(FileFault.BAD_MANIFEST, _plain(error)) from error
    data = data_of(name, manifest.file)
    if data is None:
        raise Refused(FileFault.BAD_NAME)
    return manifest, data


def _plain(error: msgspec.ValidationError) -> str:
    """Which field must be what, without what stands there: an unknown key may be anything."""
    said = str(error)
    if "unknown field" in said:
        return f"it has a field that is not known; known: {', '.join(_EXPECTED)}"
    for field, expected in _EXPECTED.items():
        # msgspec names a wrong field by its path, and one that is missing by its name.
        if said.endswith((f"`$.{field}`", f"missing required field `{field}`")):
            return f"{field} must be {expected}"
    return "it must be a JSON object with file, rows and sha256"
