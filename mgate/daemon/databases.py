"""How a database of the bank is opened: by its dialect, with the identity that its section names."""

from __future__ import annotations

import platform
from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from mgate.config import Config, CoreSource
from mgate.daemon.identities import Identities
from mgate.intake.line import Line
from mgate.model.source import Source


def opener(
    config: Config, identities: Identities, reactor: IReactorTime, wall: Callable[[], float]
) -> Callable[[CoreSource], Source]:
    """Makes sources, each with sessions of its own, which are opened when they are first needed. Each is a line: so
    its verbs take turns and keep to their limits, whoever asks."""
    holder = f"{config.instance.name}@{platform.node()}"

    def open_source(source: CoreSource) -> Source:
        # Imported where it is used: it brings a libpq along, and many a bank pushes only.
        from mgate.intake.sources.postgresql import PostgreSQL  # noqa: PLC0415
        from mgate.intake.sources.postgresql.gate import IdentityGate  # noqa: PLC0415

        identity = identities.get(source.tls)
        if identity is None:
            raise LookupError(f"[sources.{source.name}] tls: there is no [tls.{source.tls}]")
        return Line(PostgreSQL(source, IdentityGate(identity, reactor), holder, wall))

    return open_source
