"""mgated: the process from its first line to its last.

The order of the start is the order of trust: the configuration, the key, the spool, the sweep of what a crash left
open, and only then sockets and binds. Exit statuses are those of sysexits.h: 78 for what the operator must mend, 74
when the disk cannot be trusted, 70 for a bug of ours.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Final, cast

from twisted.internet import asyncioreactor

from mgate import __version__
from mgate.config import Config, ConfigError, find_config, read

_SWITCH: Final = 0.0005
"""Seconds after which a thread hands on the interpreter's lock: a tenth of the default, so that the reactor waits less
for the writer, and the writer for the reactor."""


def main() -> None:
    """The entry point of ``mgated``."""
    arguments = _arguments()
    try:
        config = read(find_config(arguments.config, os.environ))
    except ConfigError as error:
        sys.stderr.write(f"mgated: {error}\n")
        raise SystemExit(os.EX_CONFIG) from None
    _settle_process()
    raise SystemExit(_run(config))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="mgated", description="The mgate daemon, in the foreground.")
    parser.add_argument("--config", type=Path, help="mgate.toml; else $MGATE_CONFIG, else /etc/mgate/mgate.toml")
    parser.add_argument("--version", action="version", version=f"mgated {__version__}")
    return parser.parse_args()


def _settle_process() -> None:
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core would hold keys and texts
    sys.setswitchinterval(_SWITCH)
    # Whoever asks for the configuration to be read again before it can be means no end.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # A write past RLIMIT_FSIZE must be an error that the store sees, not a signal that kills. SQLite cannot tell that
    # error from a broken disk, so what may be lifted of the limit is lifted; of the rest ``life`` warns.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def install_reactor() -> asyncioreactor.AsyncioSelectorReactor:
    """Install the asyncio reactor, on a clock that nobody sets.

    Twisted's timers follow the wall clock: a step back of an hour freezes every one of them for an hour. The loop's own
    clock is monotonic; ``seconds`` is made so before anything is scheduled.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    asyncioreactor.install(loop)
    from twisted.internet import reactor  # noqa: PLC0415  # exists only now

    if not isinstance(reactor, asyncioreactor.AsyncioSelectorReactor):
        raise TypeError(f"the reactor is {type(reactor).__name__}; something imported before had installed another")
    installed = cast("asyncioreactor.AsyncioSelectorReactor", reactor)
    installed.seconds = time.monotonic
    return installed


def _run(config: Config) -> int:
    reactor = install_reactor()
    from mgate.daemon.life import Life  # noqa: PLC0415  # it imports what needs the reactor installed

    if wish := os.environ.get("MGATE_CRASH_AT"):
        from mgate.daemon import crash  # noqa: PLC0415  # only tools/torture asks for it

        crash.arm(wish)
    life = Life(config, reactor, os.environ)
    reactor.callWhenRunning(life.start)
    profile = os.environ.get("MGATE_PROFILE")
    # Nothing of ours runs in circles on the hot path: looking for them at every 700 new objects costs a tenth of it.
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)
    if profile:
        _profiled(reactor.run, Path(profile))
    else:
        reactor.run(installSignalHandlers=False)
    return life.status


def _profiled(run: object, path: Path) -> None:
    import cProfile  # noqa: PLC0415  # only tools/bench asks for it

    profiler = cProfile.Profile()
    profiler.runcall(run, installSignalHandlers=False)  # type: ignore[arg-type]  # reactor.run
    profiler.dump_stats(path)


if __name__ == "__main__":
    main()
