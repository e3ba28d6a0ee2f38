"""The tree of settings. Every section is a Struct, every setting a field with its kind, default and meaning.

`etc/mgate.toml` shows the same to the operator; a test holds the two together. Times are seconds (float), sizes bytes
(int), rates a second; paths are whole once read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import msgspec

from mgate.config.drops import Drop
from mgate.config.guards import Guards, Texts
from mgate.config.kinds import (
    Country,
    Listen,
    ListOf,
    Loopback,
    Mode,
    OneOf,
    Place,
    Size,
    Span,
    Text,
    UnixSocket,
    Whole,
    WholeOrAuto,
)
from mgate.config.mtls import CertificateNames, PushMtls
from mgate.config.operator_reading import ProfileFile
from mgate.config.operators import GENERIC, Profile
from mgate.config.paces import Pace
from mgate.config.reckoning import Reckoning
from mgate.config.routes import Quality, Route, Routing
from mgate.config.sources import CoreSource
from mgate.config.tls import Tls
from mgate.config.webhooks import Webhook
from mgate.model.message import TrafficClass

LOCAL: Final = "local"
"""The push client that is always there: the one of ``run/push.sock`` and of ``mgatectl``."""

CLASS_WORDS: Final = tuple(traffic.word for traffic in TrafficClass)

NAME: Final = Text("[a-z0-9][a-z0-9-]{0,31}", "1 to 32 small letters, digits and hyphens, a hyphen not first")
_ACCOUNT: Final = Text(
    r"([a-z_][a-zA-Z0-9_.-]{0,31}\$?)?", 'the name of an account of this machine, or "" for the daemon\'s own'
)
_SENDER: Final = Text(
    r"[A-Za-z0-9 ._&-]{1,11}|\+?[0-9]{1,15}",
    "a name of 1 to 11 letters, digits and ' ._&-', or a number of up to 15 digits",
)
_SENDER_OR_ANY: Final = Text(rf"\*|{_SENDER.pattern}", f'"*" for any, or {_SENDER.meaning}')
_SENDER_OR_NONE: Final = Text(rf"(?:{_SENDER.pattern})?", f'{_SENDER.meaning}; "" for none')

_PRICE: Final = Text(
    r"([0-9]{1,6}(\.[0-9]{1,6})?)?", 'a decimal number in quotes, such as "0.014", with up to 6 digits on either side'
)
_CURRENCY: Final = Text("([A-Z]{3})?", 'the three capital letters of a currency in ISO 4217, such as "BYN"')


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """[instance]: what this mgate is called in status, logs and metrics."""

    name: Annotated[str, NAME] = "mgate"


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """[keys]: the file of the key that opens the keyring, and the folder of the keyring."""

    kek_file: Annotated[Path, Place()] = Path("keys/kek")
    ring: Annotated[Path, Place()] = Path("keys/ring")


class Spool(msgspec.Struct, frozen=True, kw_only=True):
    """[spool]: where messages rest.

    Attributes:
        path: the database of live messages.
        history: the folder of the sealed files of ended messages.
        reference_days: how many days a client's reference is remembered after the message ended.
        journal_days: how many days a state change stays in the journal.
        min_free: with fewer free bytes on the disk new pushes are answered 503.
        reserve: bytes held by a file of our own beside the spool, given up when the disk is full.
        stalled_after: seconds that a commit may take until the disk is said to stall.
    """

    path: Annotated[Path, Place()] = Path("spool/spool.db")
    history: Annotated[Path, Place()] = Path("spool/history")
    reference_days: Annotated[int, Whole(8, 400, "days")] = 8
    journal_days: Annotated[int, Whole(8, 400, "days")] = 30
    min_free: Annotated[int, Size("16MiB", "1TiB")] = 256 << 20
    reserve: Annotated[int, Size("1MiB", "16GiB")] = 64 << 20
    stalled_after: Annotated[float, Span("1s", "1m")] = 2.0


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """[retention]: how long ended messages stay readable, seconds by retention group (`policy.classes`)."""

    otp: Annotated[float, Span("1d", "3650d")] = 30 * 86_400.0
    notice: Annotated[float, Span("1d", "3650d")] = 395 * 86_400.0
    marketing: Annotated[float, Span("1d", "3650d")] = 395 * 86_400.0


class PushClient(msgspec.Struct, frozen=True, kw_only=True):
    """[push.clients.NAME]: one program of the bank, with a socket of its own.

    Attributes:
        name: NAME; ``socket``: where it pushes. Both follow from the section, they are no settings.
        owner, group, mode: of the socket; empty names leave it the daemon's.
        classes: the classes it may use.
        senders: the senders it may use; ``*`` stands for any.
        default_sender: the sender of a message that names none; empty for none.
        default_country: the ISO 3166 country whose national formats are read; empty: E.164 only.
        rate: messages a second; 0 for no limit.
        connections: at most so many at a time, over its socket and over TLS.
        certificates: what its certificates are known by at [push.mtls]; none: it has its socket only.
    """

    name: str
    socket: Path
    owner: Annotated[str, _ACCOUNT] = ""
    group: Annotated[str, _ACCOUNT] = ""
    mode: Annotated[int, Mode()] = 0o660
    classes: Annotated[tuple[str, ...], ListOf(OneOf(CLASS_WORDS))] = CLASS_WORDS
    senders: Annotated[tuple[str, ...], ListOf(_SENDER_OR_ANY)] = ("*",)
    default_sender: Annotated[str, _SENDER_OR_NONE] = ""
    default_country: Annotated[str, Country()] = ""
    rate: Annotated[int, Whole(0, 100_000, "messages a second, 0 for no limit")] = 0
    connections: Annotated[int, Whole(1, 10_000)] = 128
    certificates: Annotated[tuple[str, ...], CertificateNames()] = ()


class Push(msgspec.Struct, frozen=True, kw_only=True):
    """[push]: the sockets that messages come in by.

    Attributes:
        folder: the folder of the sockets: ``push.sock`` for ``local``, ``push-NAME.sock`` for others.
        connections: at most so many at a time, over all sockets and over TLS.
        results: at most so many bytes of batch results wait on one connection; then it is not read any more.
        results_total: the same over all connections.
        stuck_after: a connection that takes or sends nothing for so long, while mgate waits for it, is dropped.
        mtls: the same API over TLS.
        clients: every client; ``local`` is always among them, first.
    """

    folder: Annotated[Path, Place()] = Path("run")
    connections: Annotated[int, Whole(1, 10_000)] = 256
    results: Annotated[int, Size("64KiB", "64MiB")] = 4 << 20
    results_total: Annotated[int, Size("64KiB", "1GiB")] = 32 << 20
    stuck_after: Annotated[float, Span("1s", "1h")] = 30.0
    mtls: PushMtls = PushMtls()
    clients: tuple[PushClient, ...] = ()


class Admin(msgspec.Struct, frozen=True, kw_only=True):
    """[admin]: the socket that mgatectl speaks to. Who may write to it may send as ``local`` and see every message."""

    socket: Annotated[Path, Place()] = Path("run/admin.sock")
    owner: Annotated[str, _ACCOUNT] = ""
    group: Annotated[str, _ACCOUNT] = ""
    mode: Annotated[int, Mode()] = 0o660


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """[metrics]: where /metrics and /health are answered."""

    listen: Annotated[UnixSocket | Loopback, Listen()] = UnixSocket(Path("run/metrics.sock"))


class Sms(msgspec.Struct, frozen=True, kw_only=True):
    """[sms.NAME]: one operator account over SMPP 3.4; its route is ``sms:NAME``.

    Attributes:
        name: NAME.
        profile: what is peculiar about the operator (`config.operators`). Where this section says nothing, its
            [connection] does; what this section says wins.
        host, port: the operator's SMSC; where the profile names hosts, its first.
        system_id, system_type: as in its bind PDU (SMPP 3.4 section 4.1.5).
        password_file: a file with the password, one line.
        tls: the section [tls.NAME] that says who we are and whom to believe; empty: no TLS on this line.
        plain_tcp: why it is right to speak without TLS on this line; empty with ``tls``.
        binds: how many transceiver binds to hold.
        window: how many submits may be without an answer on one bind.
        rate: submit_sm a second over all binds; 0 for no limit.
        enquire_link: seconds without a sign of life after which one is asked for; a late answer asks at once.
        response_limit: seconds after which an answer is taken for lost.
        reconnect_min, reconnect_max: between them grows the time between two tries to connect.
        bad_password_wait: seconds to wait after the operator refused the password, lest it locks the account.
        source_ton, source_npi: of the sender's address; None: by the look of the sender.
        price: of one part, a decimal number in ``currency`` (ISO 4217); both empty: not known, and no cost is told.
    """

    name: str
    profile: Annotated[Profile, ProfileFile()] = GENERIC
    host: Annotated[str, Text(r"[A-Za-z0-9._:-]{1,253}", "a host name or an IP address")]
    port: Annotated[int, Whole(1, 65_535)]
    system_id: Annotated[str, Text(r"[\x21-\x7e]{1,64}", "1 to 64 ASCII characters without blanks")]
    password_file: Annotated[Path, Place()]
    system_type: Annotated[str, Text(r"[\x20-\x7e]{0,64}", "up to 64 ASCII characters")] = ""
    tls: Annotated[str, Text(f"({NAME.pattern})?", 'the NAME of a section [tls.NAME], or "" for none')] = ""
    plain_tcp: Annotated[str, Text(r"(?s:.*\S.*)?", 'a sentence that says why this line needs no TLS, or ""')] = ""
    binds: Annotated[int, Whole(1, 32)] = 1
    window: Annotated[int, Whole(1, 1000)] = 10
    rate: Annotated[int, Whole(0, 10_000, "PDUs a second, 0 for no limit")] = 0
    enquire_link: Annotated[float, Span("1s", "1h")] = 30.0
    response_limit: Annotated[float, Span("1s", "5m")] = 10.0
    reconnect_min: Annotated[float, Span("1s", "1h")] = 1.0
    reconnect_max: Annotated[float, Span("1s", "1h")] = 60.0
    bad_password_wait: Annotated[float, Span("1s", "1d")] = 300.0
    source_ton: Annotated[int | None, WholeOrAuto(7)] = None
    source_npi: Annotated[int | None, WholeOrAuto(18)] = None
    price: Annotated[str, _PRICE] = ""
    currency: Annotated[str, _CURRENCY] = ""

    @property
    def route(self) -> str:
        """The route's name, such as ``sms:op-a``."""
        return f"sms:{self.name}"


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """[log]: how much is said on stderr."""

    level: Annotated[str, OneOf(("debug", "info", "warning", "error"))] = "info"


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The whole configuration of one instance.

    Attributes:
        file: the file it came from; ``home``: its folder, where relative paths begin.
        tls: who we are, and whom we believe, by name.
        sms: the operator accounts.
        routing, routes: by which accounts which messages leave; quality: when an account is worse than bearable.
        paces: how fast messages of one kind may leave.
        guards: what may not leave, or not now; texts: in which letters messages leave.
        sources: the databases that messages are taken from.
        drops: folders that files of messages are taken from.
        webhooks: places that are called with events.
    """

    file: Path
    home: Path
    instance: Instance
    keys: Keys
    spool: Spool
    retention: Retention
    push: Push
    admin: Admin
    metrics: Metrics
    tls: tuple[Tls, ...] = ()
    sms: tuple[Sms, ...]
    routing: Routing = Routing()
    routes: tuple[Route, ...] = ()
    quality: Quality = Quality()
    paces: tuple[Pace, ...] = ()
    guards: Guards = Guards()
    texts: Texts = Texts()
    sources: tuple[CoreSource, ...] = ()
    drops: tuple[Drop, ...] = ()
    webhooks: tuple[Webhook, ...] = ()
    reckoning: Reckoning = Reckoning()
    log: Log

    @property
    def local(self) -> PushClient:
        """The client that pushes on the admin socket count as."""
        return next(client for client in self.push.clients if client.name == LOCAL)
