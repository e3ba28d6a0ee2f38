"""`mgate-smsc SCRIPT.toml`: start the scripted operator and leave it running until Ctrl-C."""

import asyncio
import gc
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, cast

import click
from twisted.internet import asyncioreactor
from twisted.internet.address import IPv4Address
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IListeningPort
from twisted.internet.protocol import Factory

from mgate.peers.fingerprint import Fingerprint
from mgate.peers.smsc import wheel
from mgate.peers.smsc.ledger import Ledger
from mgate.peers.smsc.operator import Operator
from mgate.peers.smsc.script import Script, ScriptError, load
from mgate.peers.smsc.secured import secured
from mgate.peers.smsc.session import Session

USAGE = 2
FAILED = 1


class Reactor(wheel.Reactor, Protocol):
    """What is used of the reactor, with the types that Twisted's own methods lack."""

    def listenTCP(self, port: int, factory: Factory, *, interface: str) -> IListeningPort:
        """Open a port."""

    def addSystemEventTrigger(self, phase: str, event: str, act: Callable[[], None]) -> object:
        """Do it when the reactor starts or stops."""

    def callFromThread(self, act: Callable[[], None]) -> None:
        """Do it in the next turn; the only call that a signal may make."""

    def run(self, *, installSignalHandlers: bool) -> None:
        """Turn until stopped."""

    def stop(self) -> None:
        """End `run`."""


class Sessions(Factory):
    """Gives each connection its session."""

    noisy = False

    def __init__(self, operator: Operator) -> None:
        self._operator = operator

    def buildProtocol(self, addr: IAddress | None) -> Session:
        """The protocol of a new connection."""
        return self._operator.new_session()


class Stats:
    """One line a second: what happened in it."""

    def __init__(self, operator: Operator, reactor: Reactor) -> None:
        self._operator = operator
        self._reactor = reactor
        self._last = (0, 0, 0)
        self.tick()

    def tick(self) -> None:
        """Write the line and come again."""
        counts, owed = self._operator.counts, self._operator.owed
        now = (counts.submits, counts.refused, owed.acknowledged)
        submits, refused, receipts = (new - old for new, old in zip(now, self._last, strict=True))
        self._last = now
        line = f"submits/s {submits}  refused/s {refused}  receipts/s {receipts}  owed {len(owed.waiting)}"
        click.echo(f"{line}  total {counts.submits}")
        self._reactor.callLater(1.0, self.tick)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("script", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--port", type=click.IntRange(0, 65535), help="Listen here and not where the script says; 0: any.")
@click.option("--ledger", type=click.Path(path_type=Path, dir_okay=False), help="Append every submit and receipt here.")
@click.option("--hash-key-file", type=click.Path(path_type=Path, exists=True), help="Key of the ledger's hashes.")
@click.option("--stats", is_flag=True, help="Print a line every second.")
@click.option("--check", is_flag=True, help="Read the script, say whether it can be used, and end.")
def main(
    script: Path, port: int | None, ledger: Path | None, hash_key_file: Path | None, stats: bool, check: bool
) -> None:
    """An SMPP operator that behaves as SCRIPT says. etc/smsc/ has scripts with comments.

    It prints `listening on HOST:PORT` when it is ready. It delivers nothing to anybody.
    """
    try:
        rules = load(script)
    except ScriptError as error:
        click.echo(str(error), err=True)
        sys.exit(USAGE)
    if check:
        click.echo(f"{script}: can be used")
        return
    try:
        book = Ledger(ledger)
    except OSError as error:
        click.echo(f"{ledger}: {error.strerror}", err=True)
        sys.exit(FAILED)
    sys.exit(serve(rules, rules.port if port is None else port, book, Fingerprint.from_file(hash_key_file), stats))


def serve(script: Script, port: int, ledger: Ledger, fingerprint: Fingerprint, stats: bool) -> int:
    """Run until SIGINT or SIGTERM; the exit status."""
    reactor = _reactor()
    # A submit and its receipt are ten objects without cycles; the collector would walk a second's worth for nothing.
    gc.set_threshold(200_000, 20, 20)
    operator = Operator(script, ledger, fingerprint, reactor)
    try:
        listening = reactor.listenTCP(port, secured(script.tls, Sessions(operator), reactor), interface=script.host)
    except OSError as error:
        click.echo(f"{error.filename}: {error.strerror}", err=True)
        return FAILED
    except CannotListenError as error:
        click.echo(f"{script.host}:{port}: cannot listen here: {error.socketError}; is one running already?", err=True)
        return FAILED
    reactor.addSystemEventTrigger("before", "shutdown", operator.stop)
    reactor.addSystemEventTrigger("after", "shutdown", ledger.close)
    # Who reads that we listen may stop us at once, and that must be in good order.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: reactor.callFromThread(reactor.stop))
    click.echo(f"listening on {script.host}:{cast('IPv4Address', listening.getHost()).port}")
    sys.stdout.flush()
    if stats:
        Stats(operator, reactor)
    reactor.run(installSignalHandlers=False)
    return 0


def _reactor() -> Reactor:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    reactor = asyncioreactor.AsyncioSelectorReactor(loop)
    # Twisted's own reads the wall clock: a step of it would stop every latency of the script.
    reactor.seconds = time.monotonic
    return cast("Reactor", reactor)


if __name__ == "__main__":
    main()
