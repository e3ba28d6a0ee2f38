"""UNIX sockets with an owner, a group and a mode: which socket somebody may write to says who they are."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from pathlib import Path
from typing import Final

from twisted.internet.interfaces import IListeningPort, IReactorUNIX
from twisted.internet.protocol import Factory

from mgate.net.local import listen

LONGEST_PATH: Final = 107
"""Octets in sun_path of sockaddr_un, its NUL apart (unix(7))."""

BACKLOG: Final = 512


class SocketError(Exception):
    """A socket cannot be opened; the sentence says which, why, and what to do."""


def open_socket(  # what a socket is made of
    reactor: IReactorUNIX, path: Path, factory: Factory, owner: str, group: str, mode: int
) -> IListeningPort:
    """Listen on a UNIX socket. A socket file that a killed process left is taken away; anything else is let be.

    The caller must hold the instance's lock, so that the file is nobody's.

    Raises:
        SocketError: said for the operator.
    """
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise SocketError(f"{path}: a socket's path may have {LONGEST_PATH} octets; move the instance to a shorter one")
    check(owner, group)
    try:
        if path.exists() or path.is_symlink():
            if not stat.S_ISSOCK(path.lstat().st_mode):
                raise SocketError(f"{path}: is in the way and is no socket; move it away")
            path.unlink()
        # Nobody but us may connect until the owner and the mode are right.
        port = listen(reactor, path, factory, BACKLOG, 0o600)
    except OSError as error:
        raise SocketError(
            f"{path}: {error.strerror or error}; does its folder exist, and may I write there?"
        ) from error
    settle(path, owner, group, mode)
    return port


def settle(path: Path, owner: str, group: str, mode: int) -> None:
    """Give a socket its owner, group and mode; an empty name leaves it ours.

    Raises:
        SocketError: said for the operator.
    """
    uid, gid = check(owner, group)
    try:
        if uid != -1 or gid != -1:
            os.chown(path, uid, gid)
        path.chmod(mode)
    except OSError as error:
        raise SocketError(f"{path}: {error.strerror or error}; may I give it to {owner or group}?") from error


def check(owner: str, group: str) -> tuple[int, int]:
    """The numbers of an owner and a group; -1 for an empty name.

    Raises:
        SocketError: this machine does not know them.
    """
    return _account(owner), _group(group)


def _account(name: str) -> int:
    try:
        return pwd.getpwnam(name).pw_uid if name else -1
    except KeyError:
        raise SocketError(
            f"owner {name!r}: this machine has no such account; make it, or leave the owner out"
        ) from None


def _group(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid if name else -1
    except KeyError:
        raise SocketError(f"group {name!r}: this machine has no such group; make it, or leave the group out") from None
