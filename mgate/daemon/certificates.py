"""The days of certificates and revocation lists: their files are looked at every minute, and what ends is told in time.

Each threshold is told once: at 60, 45, 30, 14, 7 and 1 days, and at the end. Of what lives short, a list of a week or a
certificate of 90 days, only those within the last half of its life: told at its birth, they would never be heard.
After a restart the threshold that has been passed is told once more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from mgate.config.tls import GRACE
from mgate.control.certificate_views import CertificateRow, CertificatesView
from mgate.daemon.identities import Identities
from mgate.net.tls import CertificateView, Identity, Role
from mgate.telemetry import Alarm, CertificateRole, Event, Log, Telemetry

LOOK: Final = 60.0
DAYS: Final = (60, 45, 30, 14, 7, 1, 0)
_DAY: Final = 86_400.0
_LOUD: Final = 7
"""Days from which on it is an alarm and not only a line of the log."""

_ROLES: Final[dict[Role, CertificateRole]] = {
    Role.OURS: "ours",
    Role.AUTHORITY: "authority",
    Role.CRL: "crl",
    Role.PEER: "peer",
}


def threshold(view: CertificateView, now: float) -> int | None:
    """The last threshold, in days, that this has passed; None while it has time."""
    if view.ends is None:
        return None
    left, life = (view.ends - now) / _DAY, (view.ends - view.starts) / _DAY
    passed = [days for days in DAYS if left <= days and days <= life / 2]
    return min(passed, default=None)


class Certificates:
    """Looks at the files of every identity, and at every end.

    Args:
        wall: seconds since 1970.
    """

    def __init__(
        self, identities: Identities, clock: IReactorTime, wall: Callable[[], float], telemetry: Telemetry, log: Log
    ) -> None:
        self._identities = identities
        self._clock = clock
        self._wall = wall
        self._telemetry = telemetry
        self._log = log
        self._problems: dict[str, tuple[str, ...]] = {}
        self._told: dict[tuple[str, str, str, str], int] = {}
        self._stale: set[tuple[str, str]] = set()
        self._next: IDelayedCall | None = None

    def start(self) -> None:
        """Look now, and every minute."""
        self.look()
        self._next = self._clock.callLater(LOOK, self.start)

    def stop(self) -> None:
        """Look no more, and leave no copies behind."""
        if self._next is not None and self._next.active():
            self._next.cancel()
        self._identities.close()

    def look(self) -> None:
        """Read again what changed, and tell what is new."""
        for identity in self._identities.all:
            if identity.changed():
                identity.reload()
            self._files(identity)
        self._ends([view for identity in self._identities.all for view in identity.survey()])

    def view(self) -> CertificatesView:
        """What ``mgatectl certificates`` shows: what ends first stands first."""
        now = self._wall()
        views = sorted(
            (view for identity in self._identities.all for view in identity.survey()),
            key=lambda view: (view.ends is None, view.ends or 0.0),
        )
        problems = tuple(str(problem) for identity in self._identities.all for problem in identity.problems)
        return CertificatesView(tuple(_row(view, now) for view in views), problems)

    # ---- files ----

    def _files(self, identity: Identity) -> None:
        problems = tuple(str(problem) for problem in identity.problems)
        before = self._problems.get(identity.name)
        self._problems[identity.name] = problems
        if problems != before:
            for problem in problems:
                in_use = "; the old files stay in use" if identity.usable else "; nothing goes by it until it is mended"
                self._log(Event.TLS_FILES_WRONG, source=f"tls.{identity.name}", detail=problem + in_use)
            if not problems and before is not None:
                self._log(Event.TLS_FILES_READ, source=f"tls.{identity.name}", detail="the files are right again")

    # ---- ends ----

    def _ends(self, views: Iterable[CertificateView]) -> None:
        now, loud, least = self._wall(), False, dict[tuple[str, CertificateRole], float]()
        stale = set[tuple[str, str]]()
        for view in views:
            if view.ends is None:
                continue
            left = (view.ends - now) / _DAY
            place = view.identity, _ROLES[view.role]
            least[place] = min(left, least.get(place, left))
            passed = threshold(view, now)
            if passed is not None:
                loud |= passed <= _LOUD
                self._tell(view, passed, left)
            if view.role is Role.CRL and left <= 0:
                stale.add((view.identity, view.subject))
        for (name, role), left in least.items():
            self._telemetry.tls.days_left(name, role).n = round(left, 2)
        self._lists(stale)
        wrong = any(identity.problems for identity in self._identities.all)
        for alarm, raised in ((Alarm.CERTIFICATE_ENDS, loud), (Alarm.TLS_FILES, wrong), (Alarm.CRL_STALE, bool(stale))):
            if self._telemetry.sound(alarm, raised):
                self._log(Event.ALARM_RAISED if raised else Event.ALARM_CLEARED, alarm=alarm.value)

    def _tell(self, view: CertificateView, passed: int, left: float) -> None:
        """Once for each threshold; a renewed one begins anew, because its fingerprint or its end is another."""
        key = view.identity, view.role.value, view.subject, view.fingerprint or str(view.ends)
        if self._told.get(key, DAYS[0] + 1) <= passed:
            return
        self._told[key] = passed
        what = _WHAT[view.role].format(subject=view.subject, where=view.where)
        source = f"tls.{view.identity}"
        if passed == 0:
            self._log(Event.CERTIFICATE_ENDED, source=source, state=view.role.value, detail=f"{what} ended {_on(view)}")
        else:
            detail = f"{what} ends {_on(view)}, in {left:.1f} days"
            self._log(Event.CERTIFICATE_ENDS, source=source, state=view.role.value, count=passed, detail=detail)

    def _lists(self, stale: set[tuple[str, str]]) -> None:
        graced = {identity.name for identity in self._identities.all if identity.tls.stale_crl == GRACE}
        for name, authority in stale - self._stale:
            what = "still believed, within crl_grace" if name in graced else "its authority's peers are refused"
            detail = f"the list of {authority} is past its next update: {what}; get a new one into the crl file"
            self._log(Event.CRL_STALE, source=f"tls.{name}", detail=detail)
        self._stale = stale


_WHAT: Final = {
    Role.OURS: 'our certificate "{subject}" ({where})',
    Role.AUTHORITY: 'the authority "{subject}" ({where})',
    Role.CRL: 'the revocation list of "{subject}" ({where})',
    Role.PEER: 'the certificate of the peer "{subject}" ({where})',
}


def _on(view: CertificateView) -> str:
    return _moment(view.ends or 0.0)


def _row(view: CertificateView, now: float) -> CertificateRow:
    return CertificateRow(
        view.identity,
        view.role.value,
        view.subject,
        view.issuer,
        view.names,
        view.fingerprint,
        _moment(view.starts),
        "" if view.ends is None else _moment(view.ends),
        None if view.ends is None else round((view.ends - now) / _DAY, 2),
        view.where,
        "" if view.seen is None else _moment(view.seen),
    )


def _moment(at: float) -> str:
    """RFC 3339 in UTC, whole seconds, as certificates have them."""
    return datetime.fromtimestamp(int(at), UTC).isoformat().replace("+00:00", "Z")
