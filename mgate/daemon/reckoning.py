"""The daily reckoning as the daemon has it: which clients there are now, what it reads, what it tells of a result."""

from __future__ import annotations

from collections.abc import Callable

from mgate.config import Config, CoreSource
from mgate.model.message import CLASS_BY_WORD
from mgate.model.source import Source
from mgate.net.bridge import Bridge
from mgate.policy.classes import RULES
from mgate.policy.reckoning import Sums
from mgate.reckoning.api import ReckoningApi
from mgate.reckoning.database import DatabaseCore
from mgate.reckoning.office import Client, Office, Rules
from mgate.seal.keyring import Keyring
from mgate.seal.record import Sealer
from mgate.seal.signature import Signer
from mgate.spool.census import Census
from mgate.spool.history import HistoryReader
from mgate.spool.reader import SqliteReader
from mgate.spool.sealing import Blocks, Sealing
from mgate.telemetry import Alarm, Event, Log, Telemetry

OpenSource = Callable[[CoreSource], Source]


def reckoning_api(
    config: Callable[[], Config],
    keyring: Keyring,
    sealing: Sealing,
    open_source: OpenSource | None,
    bridge: Bridge,
    wall: Callable[[], float],
    telemetry: Telemetry,
    log: Log,
) -> ReckoningApi:
    """The door of reckonings, with everything behind it.

    Args:
        config: the one that runs now.
        open_source: makes a source with a session of its own; None where databases cannot be asked.
        wall: seconds since 1970.
    """
    first = config()

    def census(damaged: Callable[[], None]) -> Census:
        def unread(*_: object) -> None:
            damaged()

        history = HistoryReader(first.spool.history, Blocks(Sealer(keyring, keyring.database)), unread)
        return Census(SqliteReader(first.spool.path), history, sealing, keyring, unread)

    office = Office(
        first.instance.name,
        keyring.database,
        Signer(keyring),
        lambda: clients_of(config(), open_source),
        lambda: Rules(config().reckoning.late_after, config().reckoning.reach),
        census,
        first.spool.path.parent,
        wall,
        Results(telemetry, log, wall),
    )
    return ReckoningApi(office, bridge, log)


def clients_of(config: Config, open_source: OpenSource | None) -> dict[str, Client]:
    """Who may be reckoned."""
    usual = config.reckoning.time_zone
    found = [Client(one.name, usual, _kept(config, one.classes)) for one in config.push.clients]
    found += [Client(one.name, one.time_zone or usual, _kept(config, one.classes)) for one in config.drops]
    for source in config.sources:
        core = None if open_source is None else _core_of(source, open_source)
        found.append(Client(source.name, source.time_zone, _kept(config, source.classes), core))
    return {client.name: client for client in found}


def _core_of(source: CoreSource, open_source: OpenSource) -> Callable[[], DatabaseCore]:
    return lambda: DatabaseCore(open_source(source), versioned="version" in source.mapped)


def _kept(config: Config, classes: tuple[str, ...]) -> float:
    """How long the messages of these classes stay readable, all of them."""
    kept: dict[str, float] = {
        "otp": config.retention.otp,
        "notice": config.retention.notice,
        "marketing": config.retention.marketing,
    }
    return min(kept[RULES[CLASS_BY_WORD[word]].group] for word in classes)


class Results:
    """Numbers, a line in the log, and one alarm for all clients: see ``office.Observer``."""

    def __init__(self, telemetry: Telemetry, log: Log, wall: Callable[[], float]) -> None:
        self._telemetry = telemetry
        self._log = log
        self._wall = wall
        self._gaps: set[str] = set()

    def reckoned(self, client: str, day: str, sums: Sums) -> None:
        """See ``office.Observer``."""
        numbers = self._telemetry.reckoning_of(client)
        numbers.missing.n, numbers.balances.n, numbers.at.n = sums.missing, int(sums.balances), self._wall()
        ways = f"{sums.accepted} accepted, {sums.refused} refused, {sums.final_by_core} final by the core's table"
        said = f"{day}: {sums.core} rows, {ways}, {sums.missing} missing"
        self._log(Event.RECKONED, client=client, detail=said, state="gap" if sums.gap else "balanced")
        (self._gaps.add if sums.gap else self._gaps.discard)(client)
        if self._telemetry.sound(Alarm.RECKONING_GAP, raised=bool(self._gaps)):
            event = Event.ALARM_RAISED if self._gaps else Event.ALARM_CLEARED
            self._log(event, alarm=Alarm.RECKONING_GAP.value, detail=", ".join(sorted(self._gaps)))
