"""Reading an operator's profile: one TOML file, all its mistakes at once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mgate.config.kinds import Kind, NotAllowed, OneOf, Plain, Text
from mgate.config.mistakes import ConfigError, Mistake
from mgate.config.operator_kinds import Status
from mgate.config.operators import (
    ERROR_WORDS,
    GENERIC,
    INBOUND_WORDS,
    LATER,
    TOLD_WORDS,
    Body,
    Connection,
    Numbers,
    Operator,
    Profile,
    Quirks,
    Receipts,
    Registered,
    Submit,
)
from mgate.config.sections import Sections, kinds_of

SECTIONS: Final = ("operator", "connection", "numbers", "text", "submit", "errors", "receipts", "quirks", "senders")
_DEFAULT: Final = "unlisted"
_WORD: Final = Text(r"[\x21-\x7e]{1,32}", "a state of 1 to 32 ASCII characters without blanks")
_CODING: Final = Text(r"[0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5]", "a data_coding from 0 to 255")


@dataclass(frozen=True, slots=True)
class ProfileFile:
    """The file of an operator's profile, or ``""`` for the generic one; the tree holds what it says."""

    @property
    def allowed(self) -> str:
        return 'the path of an operator\'s profile, from the folder of this file on; or "" for the generic one'

    def read(self, value: object, home: Path) -> Profile:
        if isinstance(value, Profile):
            return value
        if value == "":
            return GENERIC
        if not isinstance(value, str) or not value.strip() or "\0" in value:
            raise NotAllowed
        try:
            return read_profile(home / value)
        except ConfigError as error:
            raise NotAllowed from error

    def show(self, value: object, home: Path) -> Plain:
        file = value.file if isinstance(value, Profile) else None
        if file is None:
            return ""
        return str(file.relative_to(home)) if file.is_relative_to(home) else str(file)


def read_profile(path: Path) -> Profile:
    """Read a profile. Errors: `ConfigError` with every mistake in it."""
    reading = _Profile(Path(os.path.abspath(path)))  # noqa: PTH100  # resolve() would follow a link
    tables = reading.tables("name a profile that is there, such as one of etc/operators")
    profile = reading.profile(tables) if tables is not None else None
    if profile is None or reading.mistakes:
        raise ConfigError(reading.mistakes)
    return profile


class _Profile(Sections):
    """One reading of one profile."""

    def profile(self, tables: dict[str, object]) -> Profile | None:
        """The profile, or None where a section could not be read."""
        for name in (name for name in tables if name not in SECTIONS):
            self._unknown("", name, SECTIONS)
        body, receipts = (
            self._table("text", tables.get("text", {})),
            self._table("receipts", tables.get("receipts", {})),
        )
        errors = self._table("errors", tables.get("errors", {}))
        inbound, states = body.pop("inbound", {}), receipts.pop("states", {})
        unlisted = self._word("errors", _DEFAULT, OneOf(ERROR_WORDS), errors.pop(_DEFAULT, LATER))
        found_errors = self._entries("errors", errors, Status(), OneOf(ERROR_WORDS))
        found_codings = self._entries("text.inbound", inbound, _CODING, OneOf(INBOUND_WORDS))
        found_states = self._entries("receipts.states", states, _WORD, OneOf(TOLD_WORDS))
        text = self._section(
            Body, "text", body, ("inbound",), inbound=tuple((int(str(key)), word) for key, word in found_codings)
        )
        told = self._section(
            Receipts, "receipts", receipts, ("states",),
            states=tuple((str(key).upper(), word) for key, word in found_states),
        )  # fmt: skip
        operator = self._section(Operator, "operator", tables.get("operator", {}))
        connection = self._section(Connection, "connection", tables.get("connection", {}))
        numbers = self._section(Numbers, "numbers", tables.get("numbers", {}))
        submit = self._section(Submit, "submit", tables.get("submit", {}))
        quirks = self._section(Quirks, "quirks", tables.get("quirks", {}))
        senders = self._senders(tables.get("senders", []))
        if not (text and told and operator and connection and numbers and submit and quirks):
            return None
        self._check(connection, numbers, told)
        return Profile(
            file=self.file,
            operator=operator,
            connection=connection,
            numbers=numbers,
            text=text,
            submit=submit,
            errors=tuple((status, word) for status, word in found_errors if isinstance(status, int)),
            unlisted_error=unlisted,
            receipts=told,
            quirks=quirks,
            senders=senders,
        )

    def _check(self, connection: Connection, numbers: Numbers, receipts: Receipts) -> None:
        """What no setting shows by itself."""
        if connection.reconnect_max < connection.reconnect_min:
            self._wrong("connection", "reconnect_max", "is below reconnect_min")
        if numbers.to_longest < numbers.to_shortest:
            self._wrong("numbers", "to_longest", f"is below to_shortest, which is {numbers.to_shortest}")
        if (receipts.dialect == "own") is not bool(receipts.forms):
            self._wrong("receipts", "forms", 'belong to dialect = "own", and it to them: one of the two is missing')

    def _senders(self, given: object) -> tuple[Registered, ...]:
        if not isinstance(given, list):
            self._wrong("senders", "", "is not a list: write [[senders]] on a line of its own for each sender")
            return ()
        read = [self._section(Registered, f"senders.{number}", each) for number, each in enumerate(given, 1)]
        return tuple(entry for entry in read if entry is not None)

    def _entries(self, section: str, given: object, key_kind: Kind, value_kind: OneOf) -> list[tuple[object, str]]:
        """A table whose keys the operator chose, such as its own statuses."""
        found: list[tuple[object, str]] = []
        for key, value in self._table(section, given).items():
            try:
                known = key_kind.read(key, self.home)
            except NotAllowed:
                self._wrong(section, key, f"is not allowed; allowed: {key_kind.allowed}")
                continue
            found.append((known, self._word(section, key, value_kind, value)))
        return found

    def _word(self, section: str, key: str, kind: OneOf, value: object) -> str:
        try:
            return kind.read(value, self.home)
        except NotAllowed:
            self._wrong(section, key, f'"{value}" is not allowed; allowed: {kind.allowed}')
            return ""


def mistakes_in(path: Path) -> tuple[Mistake, ...]:
    """What is wrong with a profile; nothing when it can be used."""
    try:
        read_profile(path)
    except ConfigError as error:
        return error.mistakes
    return ()


_ACCOUNT_KEYS: Final = (
    "binds", "window", "rate", "system_type", "enquire_link", "response_limit", "reconnect_min", "reconnect_max",
    "bad_password_wait",
)  # fmt: skip


def account_settings(profile: Profile, *, over_tls: bool) -> dict[str, object]:
    """What a profile says in the place of [sms.NAME], as that section would write it."""
    connection, kinds = profile.connection, kinds_of(Connection)
    known: dict[str, object] = {key: kinds[key].show(getattr(connection, key), Path()) for key in _ACCOUNT_KEYS}
    hosts = connection.tls_hosts if over_tls else connection.hosts
    if hosts:
        host, _, port = hosts[0].rpartition(":")
        known |= {"host": host, "port": int(port)}
    return known


def beyond(profile: Profile, system_id: str, system_type: str, binds: int) -> Iterator[tuple[str, str]]:
    """What of an account is more than the operator takes: key and problem."""
    connection = profile.connection
    for key, value, most in (
        ("system_id", system_id, connection.longest_system_id),
        ("system_type", system_type, connection.longest_system_type),
    ):
        if len(value) > most:
            yield key, f"has {len(value)} characters; the profile {profile.name} allows {most}"
    sessions = binds * (2 if connection.bind == "pair" else 1)
    if 0 < connection.session_cap < sessions:
        pairs = ", each a transmitter and a receiver" if connection.bind == "pair" else ""
        yield "binds", f"{binds}{pairs}; the profile {profile.name} allows {connection.session_cap} sessions"
