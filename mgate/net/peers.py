"""Who is at the other end of a local socket: the kernel's word."""

from __future__ import annotations

import socket
import struct
from typing import Final, NamedTuple

# struct ucred of unix(7): pid_t, uid_t, gid_t.
_UCRED: Final = struct.Struct("iII")


class Peer(NamedTuple):
    """The process that connected, as it was at that moment; every field is -1 where the kernel has no word.

    Under systemd's ``PrivateUsers=`` every foreign uid reads 65534, so a uid alone is not an identity.
    """

    uid: int
    gid: int
    pid: int


NOBODY: Final = Peer(-1, -1, -1)


def peer_of(handle: object) -> Peer:
    """Ask the kernel who connected (``SO_PEERCRED``); ``NOBODY`` when ``handle`` is not a UNIX socket."""
    if not isinstance(handle, socket.socket) or handle.family != socket.AF_UNIX:
        return NOBODY
    pid, uid, gid = _UCRED.unpack(handle.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return Peer(uid, gid, pid)
