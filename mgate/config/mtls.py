"""[push.mtls]: the push API for programs that are not on this machine, and the names by which they are known.

A client is known by its certificate: by a name that the authority wrote into it (subject alternative names, RFC 5280
section 4.2.1.6), or by the fingerprint of the whole of it. Such a name leads to one client, or it leads nowhere.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, NamedTuple

import msgspec

from mgate.config.kinds import NotAllowed, Plain, Text, Whole
from mgate.config.tls import Tls, unknown

_PORT: Final = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_LABEL: Final = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_DNS: Final = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*", re.ASCII)
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}:[\x21-\x7e]{1,2000}", re.ASCII)
_SHA256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


class Address(msgspec.Struct, frozen=True):
    """Listen on a TCP port: ``host`` is an address of this machine, or one that stands for all of them."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def everywhere(self) -> bool:
        """Whether it is every address of this machine (``0.0.0.0``, ``::``)."""
        return ipaddress.ip_address(self.host).is_unspecified


@dataclass(frozen=True, slots=True)
class Addresses:
    """One address with its port, or a list of them, empty for none; the tree holds a tuple of `Address`."""

    @property
    def allowed(self) -> str:
        return 'an address with its port, such as "10.0.0.5:8443" or "[fd00::5]:8443", or a list of them; [] for none'

    def read(self, value: object, home: object) -> tuple[Address, ...]:
        found = tuple(_address(item) for item in (value if isinstance(value, list) else [value]))
        if len(set(found)) != len(found):
            raise NotAllowed
        return found

    def show(self, value: object, home: object) -> Plain:
        return [str(each) for each in value] if isinstance(value, tuple) else str(value)


@dataclass(frozen=True, slots=True)
class CertificateNames:
    """What certificates of a client may be known by: a list, empty for none; the tree holds them in one form.

    Names of hosts mean the same in capitals, and openssl writes fingerprints with colons and in capitals.
    """

    @property
    def allowed(self) -> str:
        return (
            'a list of "dns:NAME" (no wildcard), "uri:URI", "ip:ADDRESS" or "sha256:FINGERPRINT" (64 hexadecimal'
            " digits, with or without colons); [] for none"
        )

    def read(self, value: object, home: object) -> tuple[str, ...]:
        if not isinstance(value, list):
            raise NotAllowed
        return tuple(dict.fromkeys(certificate_name(item) for item in value))

    def show(self, value: object, home: object) -> Plain:
        return list(value) if isinstance(value, tuple) else str(value)


class PushMtls(msgspec.Struct, frozen=True, kw_only=True):
    """[push.mtls]: the push API over TLS, where both sides show a certificate.

    Attributes:
        listen: the addresses; none: nobody listens.
        tls: the section [tls.NAME] with our certificate and the authority of the clients'.
        handshakes: at most so many connections at a time that have not shown who they are.
    """

    listen: Annotated[tuple[Address, ...], Addresses()] = ()
    tls: Annotated[str, Text("([a-z0-9][a-z0-9-]{0,31})?", 'the NAME of a section [tls.NAME], or "" for none')] = ""
    handshakes: Annotated[int, Whole(1, 10_000)] = 64


class Known(NamedTuple):
    """A client as this module must know it: its name, and what its certificates are known by."""

    client: str
    certificates: tuple[str, ...]


class Wrong(NamedTuple):
    """A mistake: its section, its key, and what is wrong."""

    section: str
    key: str
    problem: str


def mistakes_of(mtls: PushMtls, identities: Sequence[Tls], clients: Sequence[Known]) -> Iterator[Wrong]:
    """What no setting of these shows by itself."""
    named = {identity.name: identity for identity in identities}
    why_not = unknown(mtls.tls, named, shows=True) if mtls.tls else None
    if why_not is not None:
        yield Wrong("push.mtls", "tls", why_not)
    if mtls.listen and not mtls.tls:
        known = ", ".join(named) or "none yet"
        yield Wrong("push.mtls", "tls", f"is missing: which [tls.NAME] says who we are? Those that there are: {known}")
    if mtls.listen and not any(client.certificates for client in clients):
        problem = "nobody could come in: give a client its certificates, under [push.clients.NAME]"
        yield Wrong("push.mtls", "listen", problem)
    yield from _collisions(clients)


def _collisions(clients: Sequence[Known]) -> Iterator[Wrong]:
    seen: dict[str, str] = {}
    for client, certificates in clients:
        for name in certificates:
            if name in seen:
                problem = f'"{name}" names the client {seen[name]} too; a certificate leads to one client'
                yield Wrong(f"push.clients.{client}", "certificates", problem)
            seen.setdefault(name, client)


def certificate_name(value: object) -> str:
    """One name in its one form.

    Raises:
        NotAllowed: it is none.
    """
    kind, _, name = value.partition(":") if isinstance(value, str) else ("", "", "")
    lowered = name.lower()
    match kind:
        case "dns" if _DNS.fullmatch(lowered):
            return f"dns:{lowered}"
        case "uri" if _URI.fullmatch(name):
            return f"uri:{name}"
        case "ip":
            return f"ip:{_ip(name)}"
        case "sha256" if _SHA256.fullmatch(lowered.replace(":", "")):
            return f"sha256:{lowered.replace(':', '')}"
        case _:
            raise NotAllowed


def _address(value: object) -> Address:
    host, mark, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    if not mark or _PORT.fullmatch(port) is None or int(port) > 65_535 or (":" in host) != host.startswith("["):
        raise NotAllowed
    return Address(_ip(host.removeprefix("[").removesuffix("]")), int(port))


def _ip(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        raise NotAllowed from error
