"""The stage of the demonstration: a folder, the operator, an instance and its daemon; up in order, down in order."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Final, Self

from msgspec import Struct

from mgate.model.view import MessageView
from mgate.peers.house import Asker, HouseError, Instance, Running, Smsc
from mgate.peers.smsc import ledger

WINDOW: Final = 10
BINDS: Final = 2
RATE: Final = 200
_NAME: Final = "mgate-demo"
_LONGEST_FOLDER: Final = 108 - 1 - len("/instance/run/metrics.sock")
"""The path of a UNIX socket has room for 108 octets, a NUL included (unix(7))."""
_BOUND_LIMIT: Final = 20.0
_CLIENT: Final = "[push.clients.local]\n"
_CLIENT_SAYS: Final = 'default_sender = "ExampleBank"\ndefault_country = "BY"\n'


class _Bind(Struct, frozen=True):
    state: str


class _Binds(Struct, frozen=True):
    binds: tuple[_Bind, ...]


class Stage:
    """Everything that runs. Use it as a context: whatever happens, nothing is left running.

    Attributes:
        folder: where all of it lives; instance: the instance in it.
        ready_after: how many seconds the daemon needed.
    """

    def __init__(self, folder: Path, script: Path) -> None:
        self.folder = folder
        self._running: list[tuple[str, Running]] = []
        self._key = folder / "ledger.key"
        self._key.write_bytes(os.urandom(32))
        self._script = script
        self.ready_after = 0.0

    def start_operator(self) -> int:
        """Its port."""
        self._smsc = Smsc(self.folder, self._script.read_text(encoding="utf-8"), self._key)
        self._running.append(("mgate-smsc", self._smsc))
        return self._smsc.port

    def make_instance(self, port: int) -> None:
        """An instance as `mgatectl init` makes it, with two lines that the administrator of the sample's bank adds."""
        self.instance = Instance(self.folder, port, window=WINDOW, binds=BINDS, rate=RATE)
        config = self.config
        text = config.read_text(encoding="utf-8")
        if _CLIENT not in text:
            raise HouseError(
                f"{config}: has no line {_CLIENT.strip()}; mgatectl init has changed, the demo must follow"
            )
        config.write_text(text.replace(_CLIENT, _CLIENT + _CLIENT_SAYS), encoding="utf-8")

    def start_daemon(self) -> None:
        """mgated, ready and bound when this returns."""
        daemon = self.instance.start()
        self._running.append(("mgated", daemon))
        self.ready_after = self.instance.wait_ready(daemon)
        self._wait_bound(daemon)

    def _wait_bound(self, daemon: Running) -> None:
        """Binds are opened one after the other, so that the operator is not stormed."""
        asker = Asker(self.instance.path / "run" / "admin.sock")
        until = time.monotonic() + _BOUND_LIMIT
        try:
            while any(bind.state != "bound" for bind in asker.get("/v1/binds", _Binds).binds):
                if time.monotonic() > until:
                    raise daemon.fault(f"has not opened its binds after {_BOUND_LIMIT:g} s")
                time.sleep(0.05)
        finally:
            asker.close()

    @property
    def config(self) -> Path:
        """The configuration of the instance."""
        return self.instance.path / "mgate.toml"

    def push(self, sheet: Path, result: Path, wait_limit: int) -> None:
        """`mgatectl push`, whose progress bar is seen where stderr is a terminal; the result file is there after it.

        HouseError when mgatectl did not do its work. Rows that were refused are no such fault.
        """
        command = ["push", str(sheet), "--config", str(self.config), "--result", str(result)]
        command += ["--wait", "--wait-limit", f"{wait_limit}s"]
        words = self.folder / "push.log"
        with words.open("wb") as output:
            status = _run(
                [sys.executable, "-c", "from mgate.control.cli import main; main()", *command],
                output,
                None if sys.stderr.isatty() else output,
            )
        if status not in {0, 1} or not result.exists():
            said = words.read_text(errors="replace")[-2000:]
            raise HouseError(f"mgatectl push ended with status {status}:\n{said}")

    def stories(self, ids: Iterable[str]) -> list[MessageView]:
        """What mgate tells a client about its messages."""
        asker = Asker(self.instance.push_socket)
        try:
            return [asker.get(f"/v1/messages/{message_id}", MessageView) for message_id in ids]
        finally:
            asker.close()

    def seen_by_operator(self) -> list[ledger.Row]:
        """The operator's ledger so far."""
        return list(ledger.read(self._smsc.ledger))

    def all_alive(self) -> bool:
        """Whether everything that was started still runs."""
        return all(process.alive for _, process in self._running)

    def stop(self) -> list[str]:
        """Stop what runs, the daemon first; a sentence for each that did not end well."""
        faults = []
        while self._running:
            name, process = self._running[-1]
            status = process.stop()
            self._running.pop()
            if status != 0:
                faults.append(str(process.fault(f"ended with status {status} when {name} was stopped")))
        return faults

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            self.stop()
        finally:
            # A second Ctrl-C does not wait for the daemon's drain.
            for _, process in self._running:
                process.kill()


def new_folder(wanted: Path | None) -> Path:
    """A folder that is ours alone, short enough for sockets: `wanted`, or one among the temporary files."""
    if wanted is not None:
        return _claim(wanted.absolute())
    for parent in (Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108  # made with mode 0700, never shared
        if len(os.fsencode(parent / f"{_NAME}-12345678")) > _LONGEST_FOLDER:
            continue
        # A name that can be foretold can be typed; when it is taken, one that cannot.
        try:
            (parent / _NAME).mkdir(mode=0o700)
            return parent / _NAME
        except FileExistsError:
            return Path(tempfile.mkdtemp(prefix=f"{_NAME}-", dir=parent))
    raise HouseError("the folder of temporary files has too long a name for sockets; choose one with --folder")


def remove(folder: Path) -> None:
    """Take away the folder and all in it."""
    shutil.rmtree(folder)


def _claim(folder: Path) -> Path:
    if len(os.fsencode(folder)) > _LONGEST_FOLDER:
        raise HouseError(f"--folder {folder}: is over {_LONGEST_FOLDER} octets long, and sockets need short paths")
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if not folder.is_dir() or any(folder.iterdir()):
            raise HouseError(f"--folder {folder}: is not an empty folder; name one that is new or empty") from None
    except OSError as error:
        raise HouseError(f"--folder {folder}: cannot be made: {error.strerror}") from error
    return folder


def _run(command: list[str], output: IO[bytes], errors: IO[bytes] | None) -> int:
    """Run a command to its end, which comes at once when we are interrupted; its exit status.

    An interrupt in the middle of a start would leave a child that nobody knows, so it is held back until the child is
    ours.
    """
    interrupts = {signal.SIGINT, signal.SIGTERM}
    held = signal.pthread_sigmask(signal.SIG_BLOCK, interrupts)
    process = subprocess.Popen(  # noqa: S603  # our own program
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, interrupts),  # noqa: PLW1509  # one thread here
    )
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
        return process.wait()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
