"""Where the push API is: at a UNIX socket, or at a TCP port over mutual TLS. And how to connect there."""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from mgate.peers.house import Instance, free_port
from mgate.peers.pki import Authority


class Port(NamedTuple):
    """The API over mTLS: `certificate` and `key` are ours, `authority` is the only one that is believed; the server
    must have the `name`."""

    host: str
    port: int
    authority: Path
    certificate: Path
    key: Path
    name: str

    def context(self) -> ssl.SSLContext:
        """What TLS needs to know; OSError or ssl.SSLError for files that cannot be used."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_verify_locations(self.authority)
        context.load_cert_chain(self.certificate, self.key)
        return context

    def __str__(self) -> str:
        return f"https://{self.host}:{self.port}"


Place = Path | Port
NAME: Final = "peer.bank.example"


def port_of(url: str, authority: Path, certificate: Path, key: Path, name: str = "") -> Port:
    """The place behind `https://HOST:PORT`; `name`: the server's, where it is not HOST. ValueError for another URL."""
    parts = urlsplit(url)
    if parts.scheme != "https" or parts.hostname is None or parts.path.strip("/") or parts.query:
        raise ValueError(f"{url}: say it as https://HOST:PORT")
    return Port(parts.hostname, parts.port or 443, authority, certificate, key, name or parts.hostname)


class Connector:
    """Connects to one place; the files are read once.

    Raises:
        OSError: they cannot be read, or used.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._context = place.context() if isinstance(place, Port) else None

    async def connect(self, link: Callable[[], asyncio.BaseProtocol]) -> None:
        """Connect, and hand the connection to `link()`; OSError when nobody is there, or not who should be."""
        loop, place = asyncio.get_running_loop(), self._place
        if isinstance(place, Path):
            await loop.create_unix_connection(link, str(place))
        else:
            await loop.create_connection(
                link, place.host, place.port, ssl=self._context, server_hostname=place.name, happy_eyeballs_delay=None
            )


def with_tls(folder: Path, instance: Instance) -> Port:
    """Give the instance, which does not run yet, a port over TLS, and a certificate to its client `local`."""
    authority = Authority()
    root = authority.write(folder)
    ours = authority.issue("mgate.bank.example").write(folder, "mgate")
    theirs = authority.issue(NAME, names=(f"dns:{NAME}",)).write(folder, "client")
    port = free_port()
    config = instance.path / "mgate.toml"
    text = config.read_text(encoding="utf-8")
    client = "[push.clients.local]\n"
    text = text.replace(client, f'{client}certificates = ["dns:{NAME}"]\n')
    text += f'\n[push.mtls]\nlisten = "127.0.0.1:{port}"\ntls = "api"\n[tls.api]\nauthority = "{root}"\n'
    text += f'certificate = "{ours.certificate}"\nkey_file = "{ours.key}"\n'
    config.write_text(text, encoding="utf-8")
    return Port("127.0.0.1", port, root, theirs.certificate, theirs.key, "localhost")
