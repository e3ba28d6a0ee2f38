"""Reading the configuration again: look at all of it, then take up what differs, or nothing.

A file with a mistake changes nothing. What can be taken up is: each section goes to whoever lives by it, by one verb,
``apply``. What needs a restart is told by name, at every reload until the restart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from mgate.config import Change, Config, ConfigError, Mistake, Sms, When, differences, read, taken_up
from mgate.control.views import ChangeView, MistakeView, ReloadView
from mgate.daemon.brake import Brake
from mgate.daemon.certificates import Certificates
from mgate.daemon.disk import SpoolDisk
from mgate.daemon.doors import Doors
from mgate.daemon.drops import Drops
from mgate.daemon.gate import Gate
from mgate.daemon.guards import GuardRoom
from mgate.daemon.identities import Identities
from mgate.daemon.operators import Operators
from mgate.daemon.routes import RouteRoom
from mgate.daemon.sockets import SocketError, check, settle
from mgate.daemon.sources import Sources
from mgate.daemon.waysback import WaysBack
from mgate.daemon.webhooks import secret_in
from mgate.intake.paces import Paced
from mgate.telemetry import Alarm, Event, Level, Log, Telemetry


class Rooms(NamedTuple):
    """Who lives by the configuration. ``keeping``: the keeper of the history, by ``[spool]`` and ``[retention]``."""

    operators: Operators
    routes: RouteRoom
    doors: Doors
    disk: SpoolDisk
    brake: Brake
    keeping: Callable[[Config], None]
    drops: Drops
    identities: Identities
    gate: Gate
    certificates: Certificates
    sources: Sources
    ways_back: WaysBack
    guards: GuardRoom
    paced: Paced


class Reload:
    """See ``control.board.Reload``.

    Attributes:
        config: by which the daemon runs: the file as it was read, but for what needs a restart.
    """

    def __init__(self, config: Config, rooms: Rooms, log: Log, telemetry: Telemetry) -> None:
        self.config = config
        self._rooms = rooms
        self._log = log
        self._telemetry = telemetry

    def reload(self, dry_run: bool) -> ReloadView:
        """Read the file again and take up what differs; ``dry_run`` only says what would be done."""
        try:
            wanted = read(self.config.file)
        except ConfigError as error:
            return self._refuse(error.mistakes, dry_run)
        if mistakes := list(self._unusable(wanted)):
            return self._refuse(mistakes, dry_run)
        changes = [*differences(self.config, wanted), *self._passwords(wanted)]
        if dry_run:
            problems = tuple(str(problem) for _, problem in self._rooms.identities.look_over(wanted.tls))
        else:
            problems = tuple(self._take_up(taken_up(self.config, wanted), changes))
            self._sound(refused=False)
        return ReloadView(
            str(self.config.file),
            not dry_run,
            (),
            tuple(ChangeView(each.section, each.key, each.was, each.becomes, each.when.value) for each in changes),
            problems,
        )

    def _refuse(self, mistakes: Sequence[Mistake], dry_run: bool) -> ReloadView:
        for mistake in mistakes:
            self._log(Event.CONFIG_REFUSED, path=str(mistake.file), detail=str(mistake))
        if not dry_run:
            self._sound(refused=True)
            # Nothing is taken up, but what is wrong with an identity's files is told now, not within the minute.
            self._rooms.certificates.look()
        shown = tuple(MistakeView(each.section, each.key, each.problem) for each in mistakes)
        return ReloadView(str(self.config.file), False, shown, (), ())

    def _sound(self, refused: bool) -> None:
        """Until a file is taken up, the daemon runs by one that is not there any more: the next start would fail."""
        if self._telemetry.sound(Alarm.CONFIG_REFUSED, refused):
            event = Event.ALARM_RAISED if refused else Event.ALARM_CLEARED
            self._log(event, alarm=Alarm.CONFIG_REFUSED.value, detail=str(self.config.file))

    # ---- looking ---------------------------------------------------------------------------------------------------

    def _unusable(self, wanted: Config) -> Iterator[Mistake]:
        """What the file names and this machine does not have."""
        sockets = [(f"push.clients.{client.name}", client.owner, client.group) for client in wanted.push.clients]
        for section, owner, group in (*sockets, ("admin", wanted.admin.owner, wanted.admin.group)):
            for key, names in (("owner", (owner, "")), ("group", ("", group))):
                try:
                    check(*names)
                except SocketError as error:
                    yield Mistake(wanted.file, section, key, str(error))
        for sms in wanted.sms:
            try:
                self._rooms.operators.look(sms)
            except OSError as error:
                why = error.strerror or str(error)
                yield Mistake(wanted.file, f"sms.{sms.name}", "password_file", f"{sms.password_file}: {why}")
        for webhook in wanted.webhooks:
            try:
                secret_in(webhook.secret_file)
            except (OSError, ValueError) as error:
                why = f"{webhook.secret_file}: {getattr(error, 'strerror', None) or error}"
                yield Mistake(wanted.file, f"webhooks.{webhook.name}", "secret_file", why)
        for tls, problem in self._rooms.identities.look_over(wanted.tls):
            # What only the clock makes wrong can be used, for what it is worth; it is told beside what was taken up.
            if not problem.dated:
                key, _, text = str(problem).removeprefix(f"[tls.{tls.name}]").partition(": ")
                yield Mistake(wanted.file, f"tls.{tls.name}", key.strip(), text)

    def _passwords(self, wanted: Config) -> Iterator[Change]:
        """Passwords that are others now, in files of the same name."""
        running = {sms.name: sms for sms in self.config.sms}
        for sms in self._accounts(wanted):
            same_file = running[sms.name].password_file == sms.password_file
            if same_file and self._rooms.operators.other_password(sms):
                name = str(sms.password_file)
                yield Change(f"sms.{sms.name}", "password_file", name, f"{name}, another password", When.ANEW)

    def _accounts(self, wanted: Config) -> list[Sms]:
        running = {sms.name for sms in self.config.sms}
        return [sms for sms in wanted.sms if sms.name in running]

    # ---- acting ----------------------------------------------------------------------------------------------------

    def _take_up(self, config: Config, changes: Sequence[Change]) -> Iterator[str]:
        """Apply section by section; what went wrong, which holds up nothing else."""
        before, self.config, rooms = self.config, config, self._rooms
        for change in changes:
            self._log(Event.CONFIG_CHANGED, path=str(config.file), detail=str(change))
        # First, because links are made by them.
        yield from rooms.identities.apply(config.tls)
        rooms.certificates.look()
        rooms.disk.apply(config.spool)
        rooms.brake.apply(config.spool.stalled_after)
        rooms.keeping(config)
        rooms.drops.apply(config.drops)
        anew = {change.section for change in changes if change.when is When.ANEW}
        touched = {change.section for change in changes if change.when is not When.RESTART}
        running = {sms.route for sms in before.sms}
        for sms in config.sms:
            if sms.route not in running:
                rooms.operators.begin(sms)
            elif f"sms.{sms.name}" in touched:
                rooms.operators.apply(sms, f"sms.{sms.name}" in anew)
        rooms.routes.apply(config)
        for route in sorted(running - {sms.route for sms in config.sms}):
            rooms.operators.end(route)
        rooms.guards.apply(config)
        rooms.paced.apply(config.paces)
        rooms.sources.apply(config)
        rooms.ways_back.apply(config)
        yield from self._sockets(before, config)
        self._log(Event.CONFIG_READ, path=str(config.file), count=len(changes))
        self._log.apply(Level[config.log.level.upper()])

    def _sockets(self, before: Config, config: Config) -> Iterator[str]:
        for room in (self._rooms.doors, self._rooms.gate):
            try:
                room.apply(config.push)
            except SocketError as error:
                yield self._went_wrong(error)
        admin = config.admin
        if before.admin != admin:
            try:
                settle(admin.socket, admin.owner, admin.group, admin.mode)
            except SocketError as error:
                yield self._went_wrong(error)

    def _went_wrong(self, error: SocketError) -> str:
        self._log(Event.CONFIG_REFUSED, path=str(self.config.file), detail=str(error))
        return str(error)
