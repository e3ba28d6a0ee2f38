"""What differs between the configuration that runs and the one that is wanted, and when each difference can take hold.

A running daemon takes what costs nobody a message or a bind. The rest is named, and waits for a restart: a half applied
path or key would be worse than an old one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeVar

import msgspec

from mgate.config.drops import Drop
from mgate.config.guards import GUARDS_OF_CLASS, Guards, Texts
from mgate.config.kinds import Plain
from mgate.config.mtls import PushMtls
from mgate.config.paces import Pace
from mgate.config.reading import sections_of
from mgate.config.reckoning import Reckoning
from mgate.config.routes import Quality, Route, Routing
from mgate.config.sections import kinds_of
from mgate.config.sources import CoreSource, SourceCall
from mgate.config.tls import Tls
from mgate.config.tree import Admin, Config, Log, Push, PushClient, Retention, Sms, Spool
from mgate.config.webhooks import Webhook

_S = TypeVar("_S", bound=msgspec.Struct)


class When(Enum):
    """When a change takes hold. The words are those of the admin API and of mgatectl."""

    AT_ONCE = "at once"
    ANEW = "the binds of this operator sign on anew"
    NEXT_CONNECTION = "with the next connection"
    NEXT_PERIOD = "for messages of periods that begin from now on"
    RESTART = "needs a restart"


_PUSH: Final = {
    "connections": When.AT_ONCE,
    "results": When.NEXT_CONNECTION,
    "results_total": When.AT_ONCE,
    "stuck_after": When.NEXT_CONNECTION,
}
_SMS: Final = {
    **dict.fromkeys(("profile", "host", "port", "tls", "system_id", "password_file", "system_type"), When.ANEW),
    **dict.fromkeys(("enquire_link", "response_limit"), When.NEXT_CONNECTION),
    **dict.fromkeys(("plain_tcp", "binds", "window", "rate", "source_ton", "source_npi"), When.AT_ONCE),
    **dict.fromkeys(("reconnect_min", "reconnect_max", "bad_password_wait", "price", "currency"), When.AT_ONCE),
}
_LIVE: Final[dict[type[msgspec.Struct], dict[str, When]]] = {
    Spool: dict.fromkeys(("reference_days", "journal_days", "min_free", "reserve", "stalled_after"), When.AT_ONCE),
    Retention: dict.fromkeys(("otp", "notice", "marketing"), When.NEXT_PERIOD),
    Push: _PUSH,
    PushMtls: dict.fromkeys(kinds_of(PushMtls), When.AT_ONCE),
    PushClient: dict.fromkeys(kinds_of(PushClient), When.AT_ONCE),
    Admin: dict.fromkeys(("owner", "group", "mode"), When.AT_ONCE),
    Tls: dict.fromkeys(kinds_of(Tls), When.NEXT_CONNECTION),
    Sms: _SMS,
    Routing: dict.fromkeys(kinds_of(Routing), When.AT_ONCE),
    Route: dict.fromkeys(kinds_of(Route), When.AT_ONCE),
    Quality: dict.fromkeys(kinds_of(Quality), When.AT_ONCE),
    Pace: dict.fromkeys(kinds_of(Pace), When.AT_ONCE),
    Guards: dict.fromkeys(set(kinds_of(Guards)) - {"numbers"}, When.AT_ONCE),
    **{struct: dict.fromkeys(kinds_of(struct), When.AT_ONCE) for struct in GUARDS_OF_CLASS.values()},
    Texts: dict.fromkeys(kinds_of(Texts), When.AT_ONCE),
    CoreSource: dict.fromkeys(kinds_of(CoreSource), When.AT_ONCE),
    SourceCall: dict.fromkeys(kinds_of(SourceCall), When.AT_ONCE),
    Drop: dict.fromkeys(set(kinds_of(Drop)) - {"folder", "group"}, When.AT_ONCE),
    Webhook: dict.fromkeys(kinds_of(Webhook), When.AT_ONCE),
    Reckoning: dict.fromkeys(kinds_of(Reckoning), When.AT_ONCE),
    Log: {"level": When.AT_ONCE},
}
"""Every setting that a running daemon can take up. Any other needs a restart."""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference.

    Attributes:
        section: the TOML table, such as ``sms.op-a``.
        key: the setting; empty when the section itself came or went.
        was, becomes: as the file would write it; None where the section is not there.
    """

    section: str
    key: str
    was: Plain | None
    becomes: Plain | None
    when: When

    def __str__(self) -> str:
        if not self.key:
            return f"[{self.section}] {'is new' if self.was is None else 'is gone'}: {self.when.value}"
        return f"[{self.section}] {self.key}: {_quoted(self.was)} -> {_quoted(self.becomes)}: {self.when.value}"


def differences(running: Config, wanted: Config) -> list[Change]:
    """Every difference, in the order of the tree; what is gone comes last."""
    before, after = dict(sections_of(running)), dict(sections_of(wanted))
    found: list[Change] = []
    for name, struct in after.items():
        if name in before:
            found += _within(name, before[name], struct, wanted)
        else:
            found.append(Change(name, "", None, "", _coming_or_going(struct, running, wanted)))
    found += [
        Change(name, "", "", None, _coming_or_going(struct, running, wanted))
        for name, struct in before.items()
        if name not in after
    ]
    return found


def taken_up(running: Config, wanted: Config) -> Config:
    """The running configuration with every difference that needs no restart."""
    before = {client.name: client for client in running.push.clients}
    coming = running.push.folder == wanted.push.folder
    clients = tuple(
        _mixed(before[client.name], client) if client.name in before else client
        for client in wanted.push.clients
        if client.name in before or coming
    )
    accounts = {account.name: account for account in running.sms}
    folders = {drop.name: drop for drop in running.drops}
    return msgspec.structs.replace(
        running,
        spool=_mixed(running.spool, wanted.spool),
        retention=_mixed(running.retention, wanted.retention),
        push=msgspec.structs.replace(_mixed(running.push, wanted.push), mtls=wanted.push.mtls, clients=clients),
        admin=_mixed(running.admin, wanted.admin),
        sms=tuple(_mixed(accounts.get(account.name, account), account) for account in wanted.sms),
        tls=wanted.tls,
        routing=wanted.routing,
        routes=wanted.routes,
        quality=wanted.quality,
        paces=wanted.paces,
        guards=msgspec.structs.replace(wanted.guards, numbers=running.guards.numbers),
        texts=wanted.texts,
        sources=wanted.sources,
        drops=tuple(_mixed(folders[each.name], each) if each.name in folders else each for each in wanted.drops),
        webhooks=wanted.webhooks,
        reckoning=wanted.reckoning,
        log=_mixed(running.log, wanted.log),
    )


def _within(name: str, before: msgspec.Struct, after: msgspec.Struct, config: Config) -> Iterator[Change]:
    live = _LIVE.get(type(after), {})
    for key, kind in kinds_of(type(after)).items():
        was, becomes = getattr(before, key), getattr(after, key)
        if was != becomes:
            shown = kind.show(was, config.home), kind.show(becomes, config.home)
            yield Change(name, key, *shown, live.get(key, When.RESTART))


def _coming_or_going(struct: msgspec.Struct, running: Config, wanted: Config) -> When:
    """A client's socket stands in the folder that needs a restart, when it is to be another."""
    if isinstance(struct, CoreSource | SourceCall | Drop | Pace | Route | Sms | Tls | Webhook):
        return When.AT_ONCE
    if isinstance(struct, PushClient) and running.push.folder == wanted.push.folder:
        return When.AT_ONCE
    return When.RESTART


def _mixed(before: _S, after: _S) -> _S:
    live = {key: getattr(after, key) for key in _LIVE[type(after)]}
    return msgspec.structs.replace(before, **live)


def _quoted(value: Plain | None) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)
