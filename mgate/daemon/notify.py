"""What the service's keeper is told: ready, stopping, alive (sd_notify(3)).

A datagram to the socket that ``$NOTIFY_SOCKET`` names; no library is needed for it. Where there is no such socket,
nothing is said.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping


class Notifier:
    """Speaks to systemd.

    Args:
        environ: the environment; ``NOTIFY_SOCKET`` and ``WATCHDOG_USEC`` are read.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        # An abstract socket is written with an @ and begins with a NUL.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog = int(environ.get("WATCHDOG_USEC", "0") or 0) / 1_000_000
        """Seconds within which ``alive`` must be said again; 0.0 when nobody waits for it."""

    def ready(self, status: str) -> None:
        """The start is over."""
        self._say(f"READY=1\nSTATUS={status}")

    def reloading(self) -> None:
        """The configuration is being read again; ``ready`` follows (sd_notify(3), Type=notify-reload)."""
        self._say(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The end has begun."""
        self._say("STOPPING=1")

    def alive(self) -> None:
        """The loop turns."""
        self._say("WATCHDOG=1")

    def _say(self, text: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
            try:
                to.sendto(text.encode(), self._address)
            except OSError:
                pass  # its keeper went away; the service goes on
