"""What the other commands need: Debian packages, and foreign Python programs, each in an environment of its own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

PLACE: Final = Path(".check/peers")
DEBIAN: Final[Mapping[str, Sequence[str]]] = {
    "jasmin": ("rabbitmq-server", "redis-server"),
    "capture": ("tshark",),
}
# Pinned to what was tried; docs/interop.md says why Jasmin is not the newest.
PYTHON: Final[Mapping[str, Sequence[str]]] = {
    "jasmin": ("jasmin==0.11.0",),
    "schema": ("schemathesis==4.32.5",),
    "atheris": ("atheris==3.0.0",),
}


class Missing(Exception):
    """Something is not installed; the text says what, and what to do."""


def program(peer: str, name: str) -> Path:
    """A program of an environment. Missing when it is not there."""
    path = PLACE / peer / "bin" / name
    if not path.exists():
        raise Missing(f"{name} is not installed: run tools/interop install {peer}")
    return path.absolute()


def install(peers: Sequence[str]) -> int:
    """Install what these need, or all; the exit status of the first step that failed, else 0."""
    wanted = peers or tuple(dict.fromkeys((*DEBIAN, *PYTHON)))
    packages = [package for peer in wanted for package in DEBIAN.get(peer, ())]
    steps = [["apt-get", "-q", "-y", "--no-install-recommends", "install", *packages]] if packages else []
    for peer in wanted:
        if peer in PYTHON:
            place = PLACE / peer
            steps += [[sys.executable, "-m", "venv", str(place)]]
            steps += [[str(place / "bin" / "pip"), "-q", "install", "--disable-pip-version-check", *PYTHON[peer]]]
    if packages and (os.geteuid() != 0 or not shutil.which("apt-get")):
        raise Missing(f"install the Debian packages {' '.join(packages)} as root, then run this again")
    PLACE.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in steps:
        done = subprocess.run(step, env=environment, check=False)  # noqa: S603  # our own list
        if done.returncode:
            return done.returncode
    return 0
