"""The command line of `tools/interop`; exit status 0: both sides agree, 1: they do not, 2: it cannot be run here."""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from mgate.channels.smpp.pdu import command_name
from mgate.peers.house import HouseError
from mgate.peers.interop.capture import KINDS, capture, faults
from mgate.peers.interop.install import DEBIAN, PYTHON, Missing, install
from mgate.peers.interop.schema import schema

CANNOT: Final = 2


def main() -> int:
    """Do as asked; the exit status."""
    given, more = _arguments().parse_known_args()
    if more and given.command != "schema":
        _say(f"{more[0]} is not known; tools/interop --help tells what is")
        return CANNOT
    try:
        if given.command == "install":
            return install(given.peers)
        folder = given.folder or Path(tempfile.mkdtemp(prefix="mg-"))
        folder.mkdir(exist_ok=True)
        _say(f"interop {given.command} --seed {given.seed}, in {folder}")
        if given.command == "schema":
            status = schema(folder, given.seed, given.examples, more, tls=given.tls)
        else:
            status = _capture(folder, given.seed, tuple(given.kinds))
    except Missing as absent:
        _say(str(absent))
        return CANNOT
    except HouseError as fault:
        _say(f"FAULT {fault}")
        return 1
    if not status and not given.folder:
        shutil.rmtree(folder)
    return 1 if status else 0


def _capture(folder: Path, seed: int, kinds: tuple[str, ...]) -> int:
    seen, heard = capture(folder, seed, kinds)
    for command, count in sorted(seen.commands.items()):
        _say(f"{command_name(command):>28}  {count:>6,}")
    found = faults(seen, heard)
    for sentence in found:
        _say(f"FAULT {sentence}")
    total = sum(seen.commands.values())
    _say(f"{total:,} PDUs decoded by tshark: {'FAULTS, see above' if found else 'none malformed, none missing'}")
    return 1 if found else 0


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tools/interop", description="Try mgate with what nobody here wrote.")
    commands = parser.add_subparsers(dest="command", required=True)
    peers = sorted({*DEBIAN, *PYTHON})
    put = commands.add_parser("install", help="install what the others, and the foreign SMSCs in tests/peers, need")
    put.add_argument("peers", nargs="*", choices=[*peers, []], metavar="PEER", help=f"of {', '.join(peers)}")
    trial = argparse.ArgumentParser(add_help=False)
    trial.add_argument("--seed", type=int, default=int(time.time()), help="of the run (default: from the clock)")
    trial.add_argument("--folder", type=Path, help="where to work and to leave all, a short path")
    wire = commands.add_parser("capture", help="a run captured from the wire, decoded by tshark", parents=[trial])
    wire.add_argument("--kinds", nargs="*", default=KINDS, help="what the operator should not send, and sends")
    asked = commands.add_parser(
        "schema", help="schemathesis over the push API; what is not known here is passed on to it", parents=[trial]
    )
    asked.add_argument("--examples", type=int, default=200, help="most requests of a kind (default 200)")
    asked.add_argument("--tls", action="store_true", help="over mutual TLS, instead of the socket")
    return parser


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201  # a command line


if __name__ == "__main__":
    sys.exit(main())
