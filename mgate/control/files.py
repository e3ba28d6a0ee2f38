"""What a configuration names but its folder does not hold: ``mgatectl config check`` finds it before mgated does."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from mgate.config import Config, Mistake


def missing(config: Config) -> list[Mistake]:
    """Secret files that are not there, or that others may read. What may not be looked at from here is left out."""
    return [
        *_secret(config, "keys", "kek_file", config.keys.kek_file),
        *(
            mistake
            for account in config.sms
            for mistake in _secret(config, f"sms.{account.name}", "password_file", account.password_file)
        ),
    ]


def _secret(config: Config, section: str, key: str, path: Path) -> Iterator[Mistake]:
    try:
        status = path.stat()
    except PermissionError:
        return
    except OSError as error:
        yield Mistake(config.file, section, key, f"{path}: {error.strerror}")
        return
    if not stat.S_ISREG(status.st_mode):
        yield Mistake(config.file, section, key, f"{path} is not a file")
    elif status.st_mode & stat.S_IRWXO:
        mode = stat.S_IMODE(status.st_mode)
        yield Mistake(config.file, section, key, f"{path} has mode {mode:04o}, open to everybody: chmod 0400 {path}")
