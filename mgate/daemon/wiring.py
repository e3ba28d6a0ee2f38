"""Wiring: the only file that knows everyone. A bank reads here what can enter and what can leave the building.

It builds in one direction: each object receives only objects built above it. Nothing here decides anything, and nothing
here runs: ``life`` starts and stops what was built.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from twisted.internet.asyncioreactor import AsyncioSelectorReactor

from mgate import __version__
from mgate.channels.smpp.channel import SmppChannel
from mgate.channels.smpp.receipt import canonical_id
from mgate.config import Config, CoreSource, Sms
from mgate.control.certificates import CertificateHatch
from mgate.control.drops import DropHatch
from mgate.control.evidence import Witness
from mgate.control.evidence_door import EvidenceHatch
from mgate.control.guards import GuardHatch
from mgate.control.operators import OperatorHatch
from mgate.control.routes import RouteHatch
from mgate.control.server import Hatch
from mgate.control.sources import SourceHatch
from mgate.control.traces import TraceHatch
from mgate.daemon.board import Board
from mgate.daemon.brake import Brake
from mgate.daemon.certificates import Certificates
from mgate.daemon.clock import SteadyClock
from mgate.daemon.databases import opener
from mgate.daemon.disk import SpoolDisk
from mgate.daemon.doors import Doors
from mgate.daemon.drops import Drops, Surroundings
from mgate.daemon.ears import Ears
from mgate.daemon.found_out import found_out
from mgate.daemon.gate import Gate
from mgate.daemon.gauges import Gauges
from mgate.daemon.guards import GuardRoom
from mgate.daemon.hosts import OperatorHosts
from mgate.daemon.identities import Identities
from mgate.daemon.inlets import Inlets
from mgate.daemon.operators import Operators
from mgate.daemon.progress import ReceiptWatch
from mgate.daemon.quality import Deliveries
from mgate.daemon.reckoning import reckoning_api
from mgate.daemon.registers import Registers
from mgate.daemon.reload import Reload, Rooms
from mgate.daemon.routes import Countries, RouteRoom, for_repeats, network_of
from mgate.daemon.sources import Around, Sources
from mgate.daemon.traces import Traces
from mgate.daemon.waysback import Ground, WaysBack
from mgate.dispatch.dispatcher import Dispatcher, RoutePlan
from mgate.dispatch.foreign import Foreign
from mgate.dispatch.router import Router
from mgate.feeds.api import FeedApi, Feeds
from mgate.feeds.bookmarks import Bookmarks
from mgate.feeds.cursor import Cursors
from mgate.feeds.runs import Runs
from mgate.feeds.stream import Stream
from mgate.feeds.survey import Survey
from mgate.intake import client as intake
from mgate.intake.acceptance import Acceptance
from mgate.intake.codes import Code
from mgate.intake.gathering import Gathering
from mgate.intake.paces import Paced
from mgate.intake.preview import TextRules
from mgate.intake.push import PushApi
from mgate.model.message import IdSource, Secret
from mgate.model.ports import Acceptor, Channel, Outcomes
from mgate.model.source import Source
from mgate.net.bounds import Limits
from mgate.net.bridge import Bridge
from mgate.net.http import Listener
from mgate.net.routing import Routes
from mgate.seal.keyfile import KeyFile
from mgate.seal.keyring import Cut, Group, Keyring
from mgate.seal.record import Sealer
from mgate.seal.signature import Signer
from mgate.seal.tags import Tags
from mgate.spool.checkpoint import Checkpointer
from mgate.spool.desk import Desk
from mgate.spool.engine import News
from mgate.spool.front import Front
from mgate.spool.history import HistoryReader, HistoryWriter, PastRefs
from mgate.spool.keeper import HistoryThread, Keeper, Over
from mgate.spool.reader import SqliteReader
from mgate.spool.schema import examine
from mgate.spool.sealing import JOURNAL_GROUP, Blocks, Sealing
from mgate.spool.service import Asker, Writer
from mgate.spool.store import SqliteStore
from mgate.spool.turn import SameNumber
from mgate.telemetry import Event, Level, Log, Telemetry


@dataclass(frozen=True, slots=True)
class Memory:
    """The spool, the history, and the time that they reckon by. ``near`` answers the dispatcher, ``far`` whoever may
    wait, ``journal`` the feeds."""

    ears: Ears
    sealing: Sealing
    writer: Writer
    front: Front
    near: Asker
    far: Asker
    journal: Asker
    feeds: Feeds
    survey: Survey
    history: HistoryThread
    keeper: Keeper
    desk: Desk
    clock: SteadyClock
    deliveries: Deliveries


@dataclass(frozen=True, slots=True)
class WaysOut:
    """The operator accounts by route, and who hands them what is to leave."""

    accounts: dict[str, SmppChannel]
    dispatcher: Dispatcher
    operators: Operators
    watch: ReceiptWatch
    routes: RouteRoom


@dataclass(frozen=True, slots=True)
class Bank:
    """Every way by which the bank hands messages in and hears what became of them. ``connect`` opens a database."""

    guards: GuardRoom
    paced: Paced
    doors: Doors
    gate: Gate
    drops: Drops
    bridge: Bridge
    connect: Callable[[CoreSource], Source]
    sources: Sources
    ways_back: WaysBack


@dataclass(frozen=True, slots=True)
class House:
    """Everything that ``life`` starts and stops."""

    memory: Memory
    out: WaysOut
    bank: Bank
    admin: Listener
    metrics: Listener
    board: Board
    disk: SpoolDisk
    brake: Brake
    reload: Reload
    certificates: Certificates
    registers: Registers


@dataclass(frozen=True, slots=True)
class _Site:
    """What everything is built with."""

    config: Config
    log: Log
    telemetry: Telemetry
    keyring: Keyring
    reactor: AsyncioSelectorReactor


def make_log(config: Config) -> Log:
    """The log: a JSON line an event, to stderr, unbuffered, so that a kill loses nothing."""
    return Log(lambda line: os.write(sys.stderr.fileno(), line), Level[config.log.level.upper()])


def make_telemetry(config: Config) -> Telemetry:
    """Every number of this instance."""
    return Telemetry(__version__, {sms.route: sms.binds for sms in config.sms}, [code.word for code in Code])


def open_keyring(config: Config) -> Keyring:
    """The keyring, opened with the KEK. Nothing is written when the key is wrong.

    Raises:
        mgate.seal.errors.SealError: said for the operator.
    """
    return Keyring.open(config.keys.ring, KeyFile(config.keys.kek_file).read())


def groups_of(config: Config) -> tuple[Group, ...]:
    """The retention groups: otp by the hour, the others by the day (``sealed-format``)."""
    kept = config.retention
    return (
        Group("otp", Cut.HOUR, int(kept.otp)),
        Group("notice", Cut.DAY, int(kept.notice)),
        Group("marketing", Cut.DAY, int(kept.marketing)),
        Group(JOURNAL_GROUP, Cut.DAY, config.spool.journal_days * 86_400),
    )


def build(config: Config, log: Log, telemetry: Telemetry, keyring: Keyring, reactor: AsyncioSelectorReactor) -> House:
    """The whole house, not yet running. Opens the spool and sweeps what a crash left open.

    Raises:
        mgate.spool.engine.NewerSpool, ForeignSpool, StoreBroken, OSError: said for the operator.
    """
    site = _Site(config, log, telemetry, keyring, reactor)
    disk = SpoolDisk(config.spool, reactor.callFromThread, telemetry, log)
    memory = _memory(site, disk)
    wall = memory.clock.now
    identities = Identities(config.tls, reactor, wall, telemetry.tls, log, config.push.folder)
    certificates = Certificates(identities, reactor, wall, telemetry, log)
    out = _ways_out(site, memory, identities)
    dispatcher = out.dispatcher
    brake = Brake(memory.writer, disk, config.spool.stalled_after, dispatcher, memory.keeper, reactor, telemetry, log)
    bank = _bank(site, memory, dispatcher, brake, identities)
    keeping = lambda wanted: _keep(memory.keeper, wanted)  # noqa: E731  # one line of wiring
    rooms = Rooms(
        out.operators, out.routes, bank.doors, disk, brake, keeping, bank.drops, identities, bank.gate, certificates,
        bank.sources, bank.ways_back, bank.guards, bank.paced,
    )  # fmt: skip
    reload = Reload(config, rooms, log, telemetry)
    inlets = Inlets(bank.doors, bank.gate)
    board = Board(
        reload, telemetry, memory.far, memory.survey, dispatcher, out.accounts, inlets, disk, memory.ears,
        time.monotonic, wall,
    )  # fmt: skip
    registers = Registers(out.accounts, reactor, wall, telemetry, log)
    admin = _admin(site, memory, bank, certificates, board, reload, out)
    gauges = Gauges(telemetry, board, dispatcher, out.accounts, bank.doors, memory.survey)
    metrics = Listener(Routes(gauges.routes()), reactor, Limits(connections=16))
    return House(memory, out, bank, admin, metrics, board, disk, brake, reload, certificates, registers)


def _memory(site: _Site, disk: SpoolDisk) -> Memory:
    """The spool and the history, with their threads and who hears of them."""
    config, log, telemetry, keyring, reactor = site.config, site.log, site.telemetry, site.keyring, site.reactor
    clock = SteadyClock()
    wall, post = clock.now, reactor.callFromThread
    path, folder, groups = config.spool.path, config.spool.history, groups_of(config)
    ears = Ears(log, telemetry, time.monotonic, disk.give_up)
    # Before anything is written, keys of new periods included.
    examine(path, keyring.database)
    keyring.prepare(groups, wall())
    tags, ids = Tags(keyring), IdSource()
    sealing = Sealing(keyring, Sealer(keyring, keyring.database), tags, ids, canonical_id)
    past = PastRefs(folder)
    store = SqliteStore(path, keyring.database, _same_number(tags), past, sealing.box(), sealing.words)
    ears.swept(store.sweep(int(wall() * 1000), for_repeats(config)))
    ids.go_on(store.greatest_id())
    over = Over()
    journal = Asker(SqliteReader(path), post, ears.bug)
    cursors = Cursors(keyring.database)
    runs = Runs(sealing.box(), cursors.prefix, ears.damaged)
    stream = Stream(journal, runs, reactor)
    deliveries = Deliveries(reactor.seconds)

    def heard(news: News) -> None:
        ears.journalled(news.told)
        ears.repeated(news.repeats)
        deliveries.heard(news.told)
        over.add(news.over)
        if news.journalled:
            stream.wake()

    writer = Writer(store, reactor.callLater, post, wall, time.monotonic, ears, heard, ears.broken, ears.bug)
    near = Asker(SqliteReader(path), post, ears.bug)
    far = Asker(SqliteReader(path), post, ears.bug)
    front = Front(writer, near, sealing, wall, ears.fits, ears.damaged)
    blocks = Blocks(Sealer(keyring, keyring.database))
    history = HistoryThread(HistoryWriter(folder, blocks), Checkpointer(path), post)
    days = config.spool.reference_days, config.spool.journal_days
    keeper = Keeper(front, history, over, keyring, groups, *days, reactor, wall, ears)
    past_stories = HistoryReader(folder, Blocks(Sealer(keyring, keyring.database)), ears.damaged_file)
    desk = Desk(front, far, past_stories, sealing, keyring, wall, ears.damaged)
    feeds = Feeds(stream, Bookmarks(journal, front), cursors)
    survey = Survey(journal, stream, feeds.bookmarks, runs, cursors)
    return Memory(
        ears, sealing, writer, front, near, far, journal, feeds, survey, history, keeper, desk, clock, deliveries
    )  # fmt: skip


def _ways_out(site: _Site, memory: Memory, identities: Identities) -> WaysOut:
    """The operator accounts, and who hands them what is to leave."""
    log, reactor, wall = site.log, site.reactor, memory.clock.now
    accounts: dict[str, SmppChannel] = {}
    passwords = {sms.route: _password(sms) for sms in site.config.sms}
    hosts = OperatorHosts(identities, reactor)

    def plan_of(sms: Sms, password: Secret) -> RoutePlan:
        def make(outcomes: Outcomes) -> Channel:
            account = SmppChannel(sms, password, outcomes, memory.front, hosts.of(sms), reactor, wall, log)
            accounts[sms.route] = account
            return account

        return RoutePlan(sms.route, (sms.window,) * sms.binds, float(sms.rate), make)

    def moved(route: str, why: str, parts: int) -> None:
        log(Event.ROUTE_EMPTIED, route=route, reason=why, count=parts)

    foreign, countries = Foreign(site.config.routing.foreign_network, os.urandom(32)), Countries()
    router = Router(network_of(site.config), foreign, reactor.seconds, wall, countries.of)
    plans = [plan_of(sms, passwords[sms.route]) for sms in site.config.sms]
    dispatcher = Dispatcher(plans, router, memory.front, reactor, wall, moved)
    operators = Operators(
        accounts, dispatcher, plan_of, hosts.of, _password, passwords, reactor, site.telemetry, log
    )  # fmt: skip
    routes = RouteRoom(
        site.config, dispatcher, router, foreign, countries, memory.deliveries, reactor, wall, site.telemetry, log
    )  # fmt: skip
    return WaysOut(accounts, dispatcher, operators, ReceiptWatch(accounts, site.telemetry, log), routes)


def _bank(site: _Site, memory: Memory, dispatcher: Dispatcher, brake: Brake, identities: Identities) -> Bank:
    """Every way by which the bank hands messages in and hears what became of them."""
    config, log, telemetry, reactor, wall = site.config, site.log, site.telemetry, site.reactor, memory.clock.now
    guards = GuardRoom(config, Tags(site.keyring).counting_key, reactor, wall, telemetry, log)
    paced = Paced(Acceptance(memory.front, memory.sealing, dispatcher, wall, brake.why_not), config.paces, wall)
    acceptance = guards.guarded(paced, memory.desk)
    doors = _doors(site, memory, acceptance, guards.guards)
    gate = Gate(config.push, doors.by_client, identities.get, reactor, telemetry.tls, log)
    folders = Surroundings(acceptance, memory.desk, memory.feeds, memory.journal, wall, reactor, telemetry, log)
    bridge = Bridge(reactor)
    connect = opener(config, identities, reactor, wall)
    around = Around(connect, acceptance, memory.desk, bridge, brake.why_not, wall, reactor, telemetry, log)
    ground = Ground(memory.feeds, memory.journal, memory.front, wall, reactor, telemetry, log)
    ways_back = WaysBack(config, ground, connect, bridge, identities)
    sources = Sources(config, around)
    return Bank(guards, paced, doors, gate, Drops(config, folders), bridge, connect, sources, ways_back)


def _doors(site: _Site, memory: Memory, acceptance: Acceptor, texts: TextRules) -> Doors:
    """A push socket for each client; all share the room for what is under way."""
    reactor, telemetry = site.reactor, site.telemetry
    gathering = Gathering(acceptance, lambda call: reactor.callLater(0, call))

    def make(client: intake.PushClient) -> PushApi:
        return PushApi(client, acceptance, gathering, memory.desk, reactor, memory.clock.now, telemetry.push, texts)

    def feeds(client: str) -> FeedApi:
        return FeedApi(client, memory.feeds, reactor, telemetry.feeds_of(client))

    return Doors(site.config.push, make, feeds, reactor, site.log)


def _admin(
    site: _Site, memory: Memory, bank: Bank, certificates: Certificates, board: Board, reload: Reload, out: WaysOut
) -> Listener:  # fmt: skip
    """The admin socket: what mgatectl asks, and pushes as ``local``."""
    log = site.log
    witness = Witness(site.config.instance.name, site.keyring.database.hex(), __version__)
    reckonings = reckoning_api(
        lambda: reload.config, site.keyring, memory.sealing, bank.connect, bank.bridge, memory.clock.now,
        site.telemetry, log,
    )  # fmt: skip
    routes = [
        *Hatch(board, memory.desk, reload, __version__, log).routes(),
        *EvidenceHatch(memory.desk, Signer(site.keyring), witness, memory.clock.now, log).routes(),
        *CertificateHatch(certificates.view).routes(),
        *TraceHatch(Traces(out.accounts, site.reactor, memory.clock.now), log).routes(),
        *OperatorHatch(lambda: found_out(out.accounts)).routes(),
        *RouteHatch(out.routes).routes(),
        *DropHatch(bank.drops, log).routes(),
        *SourceHatch(bank.sources, log).routes(),
        *bank.ways_back.routes(),
        *reckonings.routes(),
        *GuardHatch(bank.guards, log).routes(),
        *bank.doors.local.admin_routes(bank.guards.duty_numbers),
    ]
    return Listener(Routes(routes), site.reactor, Limits(), bank.doors.requests, bank.doors.answers)


def _keep(keeper: Keeper, config: Config) -> None:
    """Let the keeper go on by another configuration."""
    keeper.apply(groups_of(config), config.spool.reference_days, config.spool.journal_days)


def _same_number(tags: Tags) -> SameNumber:
    """Compares a phone tag with the numbers of a receipt, which operators write with or without a plus sign."""

    def same(period: int, tag: bytes, numbers: Sequence[str]) -> bool:
        whole = ("+" + number.lstrip("+") for number in numbers)
        return any(number[1:].isdigit() and tags.phone_tag(period, number) == tag for number in whole)

    return same


def _password(sms: Sms) -> Secret:
    """The operator's password: the first line of its file.

    Raises:
        OSError: it cannot be read.
    """
    return Secret(sms.password_file.read_text("utf-8").partition("\n")[0])
