"""The identities: one for each section [tls.NAME], as its files are now; and whom they refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from twisted.internet.interfaces import IReactorTime

from mgate.config.tls import Tls
from mgate.net.tls import Copies, Identity, Seen, Word
from mgate.net.tls.files import Problem
from mgate.telemetry import Event, Log, TlsNumbers

QUIET: Final = 60.0
"""Seconds for which one peer's refusals in the same word are one line of the log."""

COPIES: Final = "tls-copies"
"""The folder, beside the sockets, of the copies that drivers read."""

_MOST_REMEMBERED: Final = 1024


class Identities:
    """Every identity by its name.

    Args:
        wall: seconds since 1970.
        folder: of what lasts as long as the daemon runs: of its sockets.
    """

    def __init__(
        self, sections: Sequence[Tls], reactor: IReactorTime, wall: Callable[[], float], numbers: TlsNumbers, log: Log,
        folder: Path,
    ) -> None:  # fmt: skip
        self._reactor = reactor
        self._wall = wall
        self._numbers = numbers
        self._log = log
        self._copies = Copies(folder / COPIES)
        self._quiet: dict[tuple[str, str, Word], tuple[float, int]] = {}
        self._identities = {tls.name: self._new(tls) for tls in sections}

    def get(self, name: str) -> Identity | None:
        """The identity of that name; None when there is none."""
        return self._identities.get(name)

    @property
    def all(self) -> Sequence[Identity]:
        """Every one, in the order of the configuration."""
        return tuple(self._identities.values())

    def apply(self, sections: Sequence[Tls]) -> list[str]:
        """Go on by these sections, and by what their files are now; what is wrong with them, which leaves the old in
        use. `Certificates` puts it into the log."""
        known, wrong = self._identities, list[str]()
        self._identities = {}
        for tls in sections:
            identity = known.get(tls.name)
            if identity is None:
                identity = self._new(tls)
            elif identity.tls != tls or identity.changed():
                identity.reload(tls)
            wrong += [str(problem) for problem in identity.problems]
            self._identities[tls.name] = identity
        for name in known.keys() - self._identities.keys():
            known[name].close()
        return wrong

    def close(self) -> None:
        """The end: leave no copy behind."""
        self._copies.clear()

    def look_over(self, sections: Sequence[Tls]) -> list[tuple[Tls, Problem]]:
        """What would be wrong with these sections, of which nothing is taken up."""
        looked = ((tls, Identity(tls, self._reactor, self._wall, self._refused)) for tls in sections)
        return [(tls, problem) for tls, identity in looked for problem in identity.problems]

    def _new(self, tls: Tls) -> Identity:
        return Identity(tls, self._reactor, self._wall, self._refused, self._copies)

    def _refused(self, seen: Seen) -> None:
        """Count it, and say it: a stranger who comes again and again does not fill the log."""
        word = seen.refusal.word
        self._numbers.refused[word.value].n += 1
        key, now = (seen.identity, seen.peer, word), self._reactor.seconds()
        said, kept_back = self._quiet.get(key, (-QUIET, 0))
        if now - said < QUIET:
            self._quiet[key] = said, kept_back + 1
            return
        if len(self._quiet) >= _MOST_REMEMBERED:
            self._quiet.clear()
        self._quiet[key] = now, 0
        source, detail, count = f"tls.{seen.identity}", seen.refusal.detail, kept_back + 1
        self._log(Event.TLS_REFUSED, source=source, peer=seen.peer, reason=word.value, detail=detail, count=count)
