"""[tls.NAME]: one identity of this mgate, and whom it believes. Links name it: ``tls = "NAME"``.

What stands in the files is read by ``net.tls``; here are only their places and the choices.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Final

import msgspec

from mgate.config.kinds import OneOf, Place, PlaceOrNone, Span

REFUSE: Final = "refuse"
GRACE: Final = "grace"


class Tls(msgspec.Struct, frozen=True, kw_only=True):
    """[tls.NAME]: certificate, key, and the private authority that peers must come from.

    Attributes:
        name: NAME.
        authority: PEM file of the root that peers must come from, and of any intermediates known here. The system's own
            authorities are never believed.
        certificate, key_file: PEM files of ours, the certificate first and its intermediates behind it; None for both:
            we show no certificate, so the identity is good for calling only.
        crl: PEM file with a revocation list of each authority; None: revocation is not looked at.
        stale_crl: what to do when a list is past its next update: ``refuse`` every peer that it speaks of, or believe
            it for ``crl_grace`` more, with an alarm.
        crl_grace: seconds.
    """

    name: str
    authority: Annotated[Path, Place()]
    certificate: Annotated[Path | None, PlaceOrNone()] = None
    key_file: Annotated[Path | None, PlaceOrNone()] = None
    crl: Annotated[Path | None, PlaceOrNone()] = None
    stale_crl: Annotated[str, OneOf((REFUSE, GRACE))] = REFUSE
    crl_grace: Annotated[float, Span("1h", "30d")] = 72 * 3600.0

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that it names."""
        return tuple(path for path in (self.authority, self.certificate, self.key_file, self.crl) if path is not None)


def unsound(identities: tuple[Tls, ...]) -> Iterator[tuple[str, str, str]]:
    """What is wrong with the sections taken together: section, key and problem."""
    for each in identities:
        if (each.certificate is None) is not (each.key_file is None):
            missing = "key_file" if each.key_file is None else "certificate"
            yield f"tls.{each.name}", missing, "is missing: certificate and key_file belong together"


def unknown(name: str, identities: Mapping[str, object], *, shows: bool = False) -> str | None:
    """Why ``tls = name`` cannot stand in a link's section; None when it can.

    Args:
        identities: the sections by their names.
        shows: the link needs a certificate of ours (a listener, a database that asks for one).
    """
    found = identities.get(name)
    if not isinstance(found, Tls):
        known = ", ".join(f'"{each}"' for each in identities) or "none yet"
        return f"there is no section [tls.{name}]; those that there are: {known}"
    if shows and found.certificate is None:
        return f"[tls.{name}] has no certificate and key_file, which this link must show"
    return None
