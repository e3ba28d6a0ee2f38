"""Who is at the other end: of a local socket by the kernel's word, of a TLS connection by its certificate."""

from __future__ import annotations

import socket
import struct
from typing import Final, NamedTuple

# struct ucred of unix(7): pid_t, uid_t, gid_t.
_UCRED: Final = struct.Struct("iII")


class Peer(NamedTuple):
    """Who connected: the process, as it was at that moment, or the owner of a certificate.

    Numbers are -1 where the kernel has no word; ``certificate`` is a fingerprint (``sha256:`` and 64 hexadecimal
    digits), empty without TLS.

    Under systemd's ``PrivateUsers=`` every foreign uid reads 65534, so a uid alone is not an identity.
    """

    uid: int
    gid: int
    pid: int
    certificate: str = ""


NOBODY: Final = Peer(-1, -1, -1)


def peer_of(handle: object) -> Peer:
    """Ask the kernel who connected (``SO_PEERCRED``); ``NOBODY`` when ``handle`` is not a UNIX socket."""
    if not isinstance(handle, socket.socket) or handle.family != socket.AF_UNIX:
        return NOBODY
    pid, uid, gid = _UCRED.unpack(handle.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return Peer(uid, gid, pid)
