"""The life of the daemon: the order of its start, and of its end.

Start: key, spool, sweep, then threads, then sockets and binds. End (SIGTERM): take nothing more, let the window run
empty, unbind, write what is left, close. Within ten seconds, whatever the operator does: what has no answer by then is
marked uncertain, and the next start knows it.
"""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import time
from collections.abc import Callable, Mapping
from typing import Final, TextIO

from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import IListeningPort

from mgate import __version__
from mgate.config import Config, Loopback, UnixSocket
from mgate.daemon import logs, watchdog, wiring
from mgate.daemon.clock import SteadyClock
from mgate.daemon.notify import Notifier
from mgate.daemon.sockets import SocketError, open_socket
from mgate.net.http import Listener
from mgate.seal.errors import SealError
from mgate.spool.engine import ForeignSpool, NewerSpool, StoreBroken
from mgate.telemetry import Alarm, Event, Phase

DRAIN: Final = 6.0
"""Seconds that the windows have to run empty at the end."""

_LAST: Final = 9.5
"""Seconds after which the end is no longer waited for."""

_TICK: Final = 1.0
_LAGGED: Final = 0.5
_GRACE: Final = 10.0
"""Seconds without any open bind that are no alarm yet: a start, a reconnect, a short pause."""


class Life:
    """Starts and stops one instance.

    Attributes:
        status: the exit status, right once the reactor has stopped.
    """

    def __init__(self, config: Config, reactor: AsyncioSelectorReactor, environ: Mapping[str, str]) -> None:
        self._config = config
        self._reactor = reactor
        self._log = wiring.make_log(config)
        self._telemetry = wiring.make_telemetry(config)
        self._notifier = Notifier(environ)
        self._watchdog = watchdog.Watchdog(self._log, limit=watchdog.HUNG)
        self._house: wiring.House | None = None
        self._ports: list[IListeningPort] = []
        self._lock: TextIO | None = None
        self._ticked = self._open_at = time.monotonic()
        self.status = os.EX_SOFTWARE

    # ---- the start -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Called by the reactor as its first act."""
        logs.listen(self._log)
        self._log(Event.STARTED, version=__version__, instance=self._config.instance.name, pid=os.getpid())
        most, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
        if most != resource.RLIM_INFINITY:
            why = "no file may grow beyond it; a spool that does ends mgated with 74: lift the limit (ulimit -f)"
            self._log(Event.FOREIGN_WARNING, source="RLIMIT_FSIZE", octets=most, detail=why)
        try:
            self._begin()
        except (SealError, NewerSpool, ForeignSpool, SocketError, LockedError) as error:
            self._refuse(os.EX_CONFIG, error)
        except (OSError, StoreBroken) as error:
            self._refuse(os.EX_IOERR if isinstance(error, StoreBroken) else os.EX_CONFIG, error)
        except Exception as error:  # noqa: BLE001  # whatever it is, the daemon must say it and end, not hang
            logs.bug(self._log, error, "at the start")
            self._refuse(os.EX_SOFTWARE, error)

    def _begin(self) -> None:
        self._lock = _lock(self._config)
        keyring = wiring.open_keyring(self._config)
        for repair in keyring.repairs:
            self._log(Event.KEYRING_MENDED, path=str(repair.path), reason=repair.why)
            self._telemetry.sound(Alarm.KEYRING_MENDED, raised=True)
        house = self._house = wiring.build(self._config, self._log, self._telemetry, keyring, self._reactor)
        house.disk.start()
        memory = house.memory
        for thread in (memory.writer, memory.near, memory.far, memory.journal, memory.history):
            thread.start()
        house.board.refresh()
        self._open_sockets(house)
        memory.keeper.start()
        for account in house.out.accounts.values():
            account.start()
        house.out.dispatcher.start()
        house.out.routes.start()
        house.bank.guards.start()
        house.bank.drops.start()
        house.bank.sources.start()
        house.bank.ways_back.start()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._on_signal(number, self.stop)
        self._on_signal(signal.SIGHUP, lambda: self.reload(house))
        house.brake.start()
        self._telemetry.phase = Phase.RUNNING
        self._watchdog.start()
        self._tick()
        self._notifier.ready("running")
        self._log(Event.READY)

    def _on_signal(self, number: signal.Signals, act: Callable[[], None]) -> None:
        self._reactor._asyncioEventloop.add_signal_handler(number, act)  # noqa: SLF001  # it owns the wake-up pipe

    def _open_sockets(self, house: wiring.House) -> None:
        admin = self._config.admin
        self._listen(UnixSocket(admin.socket), house.admin, admin.owner, admin.group, admin.mode)
        self._listen(self._config.metrics.listen, house.metrics, "", "", 0o660)
        house.certificates.start()
        house.registers.start()
        house.bank.gate.open()
        # Last: who finds a push socket finds everything else.
        house.bank.doors.open()

    def _listen(self, at: UnixSocket | Loopback, listener: Listener, owner: str, group: str, mode: int) -> None:
        if isinstance(at, UnixSocket):
            self._ports.append(open_socket(self._reactor, at.path, listener, owner, group, mode))
            self._log(Event.SOCKET_OPENED, path=str(at.path))
        else:
            self._ports.append(self._reactor.listenTCP(at.port, listener, interface=at.host))
            self._log(Event.SOCKET_OPENED, path=f"{at.host}:{at.port}")

    def _refuse(self, status: int, error: Exception) -> None:
        self.status = status
        self._log(Event.START_REFUSED, error=type(error).__name__, detail=str(error), count=status)
        self._reactor.stop()

    # ---- once a second ---------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        """Say that the loop turns, and how late it was."""
        now = time.monotonic()
        late = now - self._ticked - _TICK
        self._ticked = now
        self._watchdog.turned()
        self._notifier.alive()
        self._reactor.callLater(_TICK, self._tick)
        if self._house is None or self._telemetry.phase is Phase.STOPPING:
            return
        if late > 0.0:
            self._telemetry.loop_lag.add(late)
        if late > _LAGGED:
            self._log(Event.LOOP_LAGGED, seconds=round(late, 3))
        self._house.board.refresh()
        self._no_bind_open(self._house)
        self._house.out.watch.look(now)
        self._look_at_clock(self._house.memory.clock)

    def _look_at_clock(self, clock: SteadyClock) -> None:
        leapt = clock.look()
        if leapt:
            self._log(Event.CLOCK_STEPPED, seconds=round(leapt, 3), detail="set forward: it is believed")
        behind = clock.behind
        if self._telemetry.sound(Alarm.CLOCK_SET_BACK, raised=behind > 0.0):
            detail = "set back: mgate goes on by its own until the next start" if behind else "it is right again"
            self._log(Event.CLOCK_STEPPED, seconds=-round(behind, 3), detail=detail)

    def _no_bind_open(self, house: wiring.House) -> None:
        now = time.monotonic()
        if any(account.open_binds() for account in house.out.accounts.values()):
            self._open_at = now
        closed = now - self._open_at > _GRACE
        if self._telemetry.sound(Alarm.NO_BIND_OPEN, raised=closed):
            self._log(Event.ALARM_RAISED if closed else Event.ALARM_CLEARED, alarm=Alarm.NO_BIND_OPEN.value)

    # ---- SIGHUP ----------------------------------------------------------------------------------------------------

    def reload(self, house: wiring.House) -> None:
        """SIGHUP: read the configuration again. What came of it is in the log."""
        if self._telemetry.phase is Phase.RUNNING:
            self._notifier.reloading()
            view = house.reload.reload(dry_run=False)
            self._notifier.ready(
                "running" if view.applied else "running; the new configuration has mistakes, see the log"
            )

    # ---- the end ---------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """SIGTERM: end in order."""
        house = self._house
        if house is None or self._telemetry.phase is Phase.STOPPING:
            return
        self._telemetry.phase = Phase.STOPPING
        self._notifier.stopping()
        self._log(Event.STOPPING)
        last = self._reactor.callLater(_LAST, self._leave, house)
        house.bank.doors.close()
        house.bank.drops.close()
        banks = DeferredList([house.bank.sources.stop(), house.bank.ways_back.stop()]).addCallback(lambda _: None)
        house.out.dispatcher.drain(lambda _empty: self._unbind(house, banks, last.cancel), DRAIN)

    def _unbind(self, house: wiring.House, banks: Deferred[None], in_time: Callable[[], None]) -> None:
        """The windows are empty, or have had their time: unbind, and let the last outcomes reach the disk."""
        gone = DeferredList([banks, *(account.stop() for account in house.out.accounts.values())])
        gone.addCallback(lambda _: house.memory.front.settled(lambda: self._close(house, in_time)))

    def _close(self, house: wiring.House, in_time: Callable[[], None]) -> None:
        in_time()
        closing = [*house.bank.doors.stop_listening(), *house.bank.gate.stop_listening()]
        closing.extend(maybeDeferred(port.stopListening) for port in self._ports)
        closing.append(maybeDeferred(house.bank.bridge.stop))
        DeferredList(closing).addCallback(lambda _: self._leave(house))

    def _leave(self, house: wiring.House) -> None:
        memory = house.memory
        memory.keeper.stop()
        house.bank.drops.stop()
        house.out.routes.stop()
        house.bank.guards.stop()
        house.brake.stop()
        house.certificates.stop()
        house.registers.stop()
        house.disk.stop()
        for listener in (*house.bank.doors.listeners, house.admin, house.metrics):
            listener.abort()
        for thread in (memory.history, memory.writer, memory.near, memory.far, memory.journal):
            thread.stop()
        self._watchdog.stop()
        self.status = os.EX_OK
        self._log(Event.STOPPED)
        self._reactor.stop()


class LockedError(Exception):
    """Another daemon runs on this instance."""


def make_folders(config: Config) -> None:
    """The folders of a new spool. Beside an older one a history is never made: where it is gone, so are the references
    in it, and somebody must be told."""
    config.spool.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not config.spool.path.exists():
        config.spool.history.mkdir(mode=0o700, parents=True, exist_ok=True)


def _lock(config: Config) -> TextIO:
    """Hold the instance: two writers on one spool would send everything twice."""
    path = config.spool.path.with_name("lock")
    make_folders(config)
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise LockedError(f"{path}: another mgated runs on this instance; stop it first") from None
    return file
