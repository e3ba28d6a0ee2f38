"""The programs of others that some disciplines need, and what to say when one is missing."""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

FIU: Final = (Path("/usr/lib/fiu/fiu_run_preload.so"), Path("/usr/lib/fiu/fiu_posix_preload.so"))
POSTGRESQL: Final = Path("/usr/lib/postgresql")
ROOT: Final = "root"


def faketime() -> Iterator[Path]:
    """Where Debian keeps libfaketime; nothing without it."""
    return Path("/usr/lib").glob("*/faketime/libfaketime.so.1")


def missing(packages: Sequence[str]) -> str:
    """What is missing and how to get it; empty when nothing is."""
    here = {
        "fiu-utils": all(path.exists() for path in FIU),
        "postgresql": any(POSTGRESQL.glob("*/bin/initdb")),
        "faketime": any(faketime()),
        "strace": shutil.which("strace") is not None,
        ROOT: os.geteuid() == 0,
    }
    lacking = [package for package in packages if not here[package]]
    if ROOT in lacking:
        return "it mounts a disk of its own, which only root may do"
    return f"install it with: apt-get install {' '.join(lacking)}" if lacking else ""
