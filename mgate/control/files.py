"""What a configuration names but its folder does not hold, and what it should think of again: ``mgatectl config check``
finds it before mgated does."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from mgate.config import Config, Mistake
from mgate.config.tls import Tls
from mgate.config.tree import Sms


def missing(config: Config) -> list[Mistake]:
    """Secret files that are not there, or that others may read. What may not be looked at from here is left out."""
    return [
        *_secret(config, "keys", "kek_file", config.keys.kek_file),
        *(
            mistake
            for account in config.sms
            for mistake in (
                *_secret(config, f"sms.{account.name}", "password_file", account.password_file),
                *_too_long(config, account),
            )
        ),
        *(mistake for tls in config.tls for mistake in _identity(config, tls)),
        *(
            mistake
            for webhook in config.webhooks
            for mistake in _secret(config, f"webhooks.{webhook.name}", "secret_file", webhook.secret_file)
        ),
    ]


def doubts(config: Config) -> list[str]:
    """What is allowed and seldom meant, a sentence each."""
    return [
        f"[push.mtls] listen: {address} is every network of this machine, those that will come too;"
        " name the one address that clients call"
        for address in config.push.mtls.listen
        if address.everywhere
    ]


def _too_long(config: Config, account: Sms) -> Iterator[Mistake]:
    """A password that the operator would cut or refuse; without a look at it where it may not be read from here."""
    most = account.profile.connection.longest_password
    try:
        password = account.password_file.read_text("utf-8").partition("\n")[0]
    except (OSError, UnicodeDecodeError):
        return
    if len(password) > most:
        problem = f"its password has {len(password)} characters; the profile {account.profile.name} allows {most}"
        yield Mistake(config.file, f"sms.{account.name}", "password_file", problem)


def _identity(config: Config, tls: Tls) -> Iterator[Mistake]:
    """The files of an identity; only the daemon, which speaks TLS, can tell what stands in them."""
    section = f"tls.{tls.name}"
    for key, path in (("authority", tls.authority), ("certificate", tls.certificate), ("crl", tls.crl)):
        if path is not None:
            yield from _file(config, section, key, path)
    if tls.key_file is not None:
        yield from _secret(config, section, "key_file", tls.key_file)


def _file(config: Config, section: str, key: str, path: Path) -> Iterator[Mistake]:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            yield Mistake(config.file, section, key, f"{path} is not a file")
    except PermissionError:
        return
    except OSError as error:
        yield Mistake(config.file, section, key, f"{path}: {error.strerror}")


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
