"""Reading the file: every setting by its kind, every mistake into one list; then what only shows when all is read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from mgate.config import drops as files
from mgate.config import guards as held
from mgate.config import paces as slow
from mgate.config import routes as ways
from mgate.config import sources as core
from mgate.config import webhooks as hooks
from mgate.config.drops import Drop
from mgate.config.guards import GUARDS_OF_CLASS, Guards, Texts
from mgate.config.kinds import NotAllowed, Plain, UnixSocket, show_span
from mgate.config.mistakes import ConfigError
from mgate.config.mtls import Known, PushMtls, mistakes_of
from mgate.config.operator_reading import account_settings, beyond, mistakes_in, read_profile
from mgate.config.operators import GENERIC
from mgate.config.paces import Pace
from mgate.config.reckoning import Reckoning
from mgate.config.routes import Quality, Route, Routing
from mgate.config.sections import Sections, default_of, kinds_of
from mgate.config.sources import CoreSource, SourceCall
from mgate.config.tls import Tls, unknown, unsound
from mgate.config.tree import (
    LOCAL,
    NAME,
    Admin,
    Config,
    Instance,
    Keys,
    Log,
    Metrics,
    Push,
    PushClient,
    Retention,
    Sms,
    Spool,
)
from mgate.config.webhooks import Webhook

SYSTEM_CONFIG: Final = Path("/etc/mgate/mgate.toml")
VARIABLE: Final = "MGATE_CONFIG"

RETENTION_MARGIN_DAYS: Final = 11
"""What a message needs beside the memory of its reference before its keys may go: at most 7 days as ``no_receipt`` in
the live spool, 3 days of a receipt's patience, one day of its period."""

SOCKET_PATH_BYTES: Final = 107
"""The longest path that a UNIX socket may have (unix(7), sun_path)."""

_SECTIONS: Final = (
    "instance", "keys", "spool", "retention", "push", "admin", "metrics", "tls", "sms", "routing", "routes",
    "quality", "paces", "guards", "texts", "sources", "drops", "webhooks", "reckoning",
    "log",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as it stands: its section, key, value and default as the file would write them.

    ``default`` is None where the file must say it.
    """

    section: str
    key: str
    value: Plain
    default: Plain | None


def find_config(option: str | None, environ: Mapping[str, str]) -> Path:
    """Which file to read: the one of the command line, else ``$MGATE_CONFIG``, else ``/etc/mgate/mgate.toml``."""
    return Path(option or environ.get(VARIABLE) or SYSTEM_CONFIG)


def read(path: Path) -> Config:
    """Read a configuration file.

    Errors: `ConfigError` with every mistake.
    """
    file = Path(os.path.abspath(path))  # noqa: PTH100  # resolve() would follow a link away from the instance's folder
    reading = _Reading(file)
    tables = reading.tables("make an instance with mgatectl init, or name its file")
    config = reading.tree(tables) if tables is not None else None
    if config is not None:
        reading.check(config)
    if config is None or reading.mistakes:
        raise ConfigError(reading.mistakes)
    return config


def settings(config: Config) -> list[Setting]:
    """Every setting, in the order of the tree."""
    return [
        Setting(section, key, kind.show(getattr(struct, key), config.home), default_of(type(struct), key, kind))
        for section, struct in sections_of(config)
        for key, kind in kinds_of(type(struct)).items()
    ]


def changed(config: Config) -> list[Setting]:
    """The settings that differ from their defaults, and those that have none."""
    return [setting for setting in settings(config) if setting.value != setting.default]


def sections_of(config: Config) -> Iterator[tuple[str, msgspec.Struct]]:
    """Every section by its name in the file, in the order of the tree."""
    for name in ("instance", "keys", "spool", "retention", "push"):
        yield name, getattr(config, name)
    yield "push.mtls", config.push.mtls
    for client in config.push.clients:
        yield f"push.clients.{client.name}", client
    for name in ("admin", "metrics"):
        yield name, getattr(config, name)
    for identity in config.tls:
        yield f"tls.{identity.name}", identity
    for account in config.sms:
        yield f"sms.{account.name}", account
    yield from _of_routes(config)
    yield "guards", config.guards
    for word in GUARDS_OF_CLASS:
        yield f"guards.{word}", getattr(config.guards, word)
    yield "texts", config.texts
    for source in config.sources:
        yield f"sources.{source.name}", source
        for call in source.calls:
            yield f"sources.{source.name}.calls.{call.name}", call
    for drop in config.drops:
        yield f"drops.{drop.name}", drop
    for webhook in config.webhooks:
        yield f"webhooks.{webhook.name}", webhook
    yield "reckoning", config.reckoning
    yield "log", config.log


def _of_routes(config: Config) -> Iterator[tuple[str, msgspec.Struct]]:
    yield "routing", config.routing
    for route in config.routes:
        yield f"routes.{route.name}", route
    yield "quality", config.quality
    for pace in config.paces:
        yield f"paces.{pace.name}", pace


class _Reading(Sections):
    """One reading of one configuration; mistakes gather here."""

    def tree(self, tables: dict[str, object]) -> Config | None:
        """The tree, or None where a section could not be read."""
        for name in (name for name in tables if name not in _SECTIONS):
            self._unknown("", name, _SECTIONS)
        push = self._table("push", tables.get("push", {}))
        clients, over_tls = push.pop("clients", {}), push.pop("mtls", {})
        instance = self._section(Instance, "instance", tables.get("instance", {}))
        keys = self._section(Keys, "keys", tables.get("keys", {}))
        spool = self._section(Spool, "spool", tables.get("spool", {}))
        retention = self._section(Retention, "retention", tables.get("retention", {}))
        doors = self._section(Push, "push", push, ("clients", "mtls"))
        mtls = self._section(PushMtls, "push.mtls", over_tls)
        admin = self._section(Admin, "admin", tables.get("admin", {}))
        metrics = self._section(Metrics, "metrics", tables.get("metrics", {}))
        identities = self._identities(tables.get("tls", {}))
        accounts = self._accounts(tables.get("sms"))
        routing = self._section(Routing, "routing", tables.get("routing", {}))
        routes = self._routes(tables.get("routes", {}))
        quality = self._section(Quality, "quality", tables.get("quality", {}))
        paces = self._paces(tables.get("paces", {}))
        guards, texts = self._guards(tables.get("guards", {})), self._section(Texts, "texts", tables.get("texts", {}))
        sources = self._sources(tables.get("sources", {}))
        drops = self._drops(tables.get("drops", {}))
        webhooks = self._webhooks(tables.get("webhooks", {}))
        reckoning = self._section(Reckoning, "reckoning", tables.get("reckoning", {}))
        log = self._section(Log, "log", tables.get("log", {}))
        folder = doors.folder if doors else self.home / "run"
        programs = self._clients(folder, clients)
        if not (
            instance and keys and spool and retention and doors and mtls and admin and metrics and routing and quality
            and guards and texts and reckoning and log
        ):  # fmt: skip
            return None
        return Config(
            file=self.file,
            home=self.home,
            instance=instance,
            keys=keys,
            spool=spool,
            retention=retention,
            push=msgspec.structs.replace(doors, mtls=mtls, clients=programs),
            admin=admin,
            metrics=metrics,
            tls=identities,
            sms=accounts,
            routing=routing,
            routes=routes,
            quality=quality,
            paces=paces,
            guards=guards,
            texts=texts,
            sources=sources,
            drops=drops,
            webhooks=webhooks,
            reckoning=reckoning,
            log=log,
        )

    def check(self, config: Config) -> None:
        """What no setting shows by itself."""
        self._check_retention(config)
        self._check_sockets(config)
        clients = [Known(client.name, client.certificates) for client in config.push.clients]
        for wrong in (*unsound(config.tls), *mistakes_of(config.push.mtls, config.tls, clients)):
            self._wrong(*wrong)
        for client in config.push.clients:
            if client.default_sender and "*" not in client.senders and client.default_sender not in client.senders:
                self._wrong(
                    f"push.clients.{client.name}",
                    "default_sender",
                    f'"{client.default_sender}" is not among its senders',
                )
        for account in config.sms:
            self._check_line(account, {identity.name: identity for identity in config.tls})
            if account.reconnect_max < account.reconnect_min:
                least = show_span(account.reconnect_min)
                self._wrong(f"sms.{account.name}", "reconnect_max", f'is below reconnect_min, which is "{least}"')
            for wrong_key, problem in beyond(account.profile, account.system_id, account.system_type, account.binds):
                self._wrong(f"sms.{account.name}", wrong_key, problem)
            if bool(account.price) != bool(account.currency):
                missing = "currency" if account.price else "price"
                self._wrong(
                    f"sms.{account.name}", missing, "is missing: a price has a currency, and a currency a price"
                )

        taken = {client.name: f"push.clients.{client.name}" for client in config.push.clients}
        identities = [each.name for each in config.tls if each.certificate is not None]
        for mistake in core.mistakes_of(config.sources, taken, identities):
            self._wrong(*mistake)
        taken |= {source.name: f"sources.{source.name}" for source in config.sources}
        for found in files.mistakes_of(config.drops, taken):
            self._wrong(*found)
        clients_of = [*taken, *(drop.name for drop in config.drops)]
        of_routes = ways.mistakes_of(config.routes, config.quality, config.sms, clients_of)
        of_paces = slow.mistakes_of(config.paces, clients_of)
        for amiss in (*of_routes, *of_paces, *held.mistakes_of(config.guards)):
            self._wrong(*amiss)
        by_name = {each.name: each for each in config.tls}
        for odd in hooks.mistakes_of(config.webhooks, clients_of, by_name, config.spool.journal_days):
            self._wrong(*odd)

    def _check_retention(self, config: Config) -> None:
        least = (config.spool.reference_days + RETENTION_MARGIN_DAYS) * 86_400.0
        for group in kinds_of(Retention):
            kept: float = getattr(config.retention, group)
            if kept < least:
                self._wrong(
                    "retention",
                    group,
                    f'"{show_span(kept)}" is less than "{show_span(least)}": reference_days of [spool]'
                    f" and {RETENTION_MARGIN_DAYS} days more, for receipts that come late",
                )

    def _check_line(self, account: Sms, identities: Mapping[str, Tls]) -> None:
        """Of TLS and the reason to do without, one stands."""
        section = f"sms.{account.name}"
        if account.tls and account.plain_tcp:
            self._wrong(section, "plain_tcp", f'says why there is no TLS, and tls = "{account.tls}" says that there is')
        elif account.tls:
            if (problem := unknown(account.tls, identities)) is not None:
                self._wrong(section, "tls", problem)
        elif not account.plain_tcp:
            self._wrong(
                section,
                "tls",
                "is missing: the NAME of a section [tls.NAME]; or plain_tcp, with a sentence that says why this line"
                " needs no TLS",
            )

    def _check_sockets(self, config: Config) -> None:
        places = [(f"push.clients.{client.name}", "", client.socket) for client in config.push.clients]
        places.append(("admin", "socket", config.admin.socket))
        if isinstance(config.metrics.listen, UnixSocket):
            places.append(("metrics", "listen", config.metrics.listen.path))
        seen: dict[Path, str] = {}
        for section, key, path in places:
            if len(os.fsencode(path)) > SOCKET_PATH_BYTES:
                self._wrong(section, key, f"the path of its socket is over {SOCKET_PATH_BYTES} bytes: {path}")
            if path in seen:
                self._wrong(section, key, f"{path} is the socket of [{seen[path]}] too")
            seen[path] = section

    def _identities(self, tables: object) -> tuple[Tls, ...]:
        found = self._named("tls", tables)
        read = [self._section(Tls, f"tls.{name}", table, name=name) for name, table in found.items()]
        return tuple(identity for identity in read if identity is not None)

    def _accounts(self, tables: object) -> tuple[Sms, ...]:
        if tables is None:
            self._wrong("sms.NAME", "", "is missing: an operator account, such as [sms.op-a]")
            return ()
        found = {name: self._table(f"sms.{name}", each) for name, each in self._named("sms", tables).items()}
        if not found:
            self._wrong("sms", "", "has no account")
        read = [
            self._section(Sms, f"sms.{name}", self._with_profile(f"sms.{name}", table), name=name)
            for name, table in found.items()
        ]
        return tuple(account for account in read if account is not None)

    def _with_profile(self, section: str, table: dict[str, object]) -> dict[str, object]:
        """An account's section with what its profile says and it does not. A profile's mistakes are its file's."""
        before = len(self.mistakes)
        given, file = table.get("profile", ""), ""
        if isinstance(given, str) and given.strip() and "\0" not in given:
            file = given
            self.mistakes += mistakes_in(self.home / file)
        if len(self.mistakes) != before:
            # What the profile would have said is not missing here: its mistakes are told, and they are enough.
            return {"host": "unknown", "port": 1, **table, "profile": GENERIC}
        profile = read_profile(self.home / file) if file else GENERIC
        known = account_settings(profile, over_tls=bool(table.get("tls")))
        return {**known, **table, **({"profile": profile} if file else {})}

    def _clients(self, folder: Path, tables: object) -> tuple[PushClient, ...]:
        found: dict[str, object] = {LOCAL: {}, **self._named("push.clients", tables)}
        read = [
            self._section(
                PushClient,
                f"push.clients.{name}",
                table,
                name=name,
                socket=folder / ("push.sock" if name == LOCAL else f"push-{name}.sock"),
            )
            for name, table in found.items()
        ]
        return tuple(client for client in read if client is not None)

    def _routes(self, tables: object) -> tuple[Route, ...]:
        found = self._named("routes", tables)
        read = [self._section(Route, f"routes.{name}", table, name=name) for name, table in found.items()]
        return tuple(route for route in read if route is not None)

    def _guards(self, tables: object) -> Guards | None:
        given = self._table("guards", tables)
        own = {word: given.pop(word, {}) for word in GUARDS_OF_CLASS}
        read = {
            word: self._section(struct, f"guards.{word}", own[word]) for word, struct in GUARDS_OF_CLASS.items()
        }  # fmt: skip
        whole = self._section(Guards, "guards", given, tuple(GUARDS_OF_CLASS))
        return None if whole is None or None in read.values() else msgspec.structs.replace(whole, **read)

    def _paces(self, tables: object) -> tuple[Pace, ...]:
        found = self._named("paces", tables)
        read = [self._section(Pace, f"paces.{name}", table, name=name) for name, table in found.items()]
        return tuple(pace for pace in read if pace is not None)

    def _webhooks(self, tables: object) -> tuple[Webhook, ...]:
        found = self._named("webhooks", tables)
        read = [self._section(Webhook, f"webhooks.{name}", table, name=name) for name, table in found.items()]
        return tuple(webhook for webhook in read if webhook is not None)

    def _sources(self, tables: object) -> tuple[CoreSource, ...]:
        found = {name: self._table(f"sources.{name}", each) for name, each in self._named("sources", tables).items()}
        read = []
        for name, table in found.items():
            calls = self._calls(f"sources.{name}.calls", table.pop("calls", {}))
            source = self._section(CoreSource, f"sources.{name}", table, ("calls",), name=name, calls=calls)
            read += [source] if source is not None else []
        return tuple(read)

    def _drops(self, tables: object) -> tuple[Drop, ...]:
        named = self._named("drops", tables)
        read = [self._section(Drop, f"drops.{name}", table, name=name) for name, table in named.items()]
        return tuple(drop for drop in read if drop is not None)

    def _calls(self, section: str, tables: object) -> tuple[SourceCall, ...]:
        named = self._named(section, tables)
        read = [self._section(SourceCall, f"{section}.{name}", table, name=name) for name, table in named.items()]
        return tuple(call for call in read if call is not None)

    def _named(self, section: str, tables: object) -> dict[str, object]:
        """The sub-tables of a section whose names the operator chose."""
        found = self._table(section, tables)
        for name in list(found):
            try:
                NAME.read(name, self.home)
            except NotAllowed:
                self._wrong(f"{section}.{name}", "", f"is not a name; allowed: {NAME.allowed}")
                del found[name]
        return found
