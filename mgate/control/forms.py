"""The request form of a source: what to ask the network team, the DBA and the security team for, to paste in a ticket.

It is written from the configuration alone, with its names, so that what they do fits what mgate will do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mgate.config import CoreSource
from mgate.config.sources import PROCEDURES, VIEW
from mgate.config.tls import Tls
from mgate.control.ddl.fitted import files_of, fitted, quoted

_HOST_NUMBERS: Final = re.compile(r"[0-9.]+")
_EXAMPLE: Final = {
    PROCEDURES: "the tables and the two functions are an example: write the functions over tables of your own",
    VIEW: "the outbox and the view are an example: write the view over tables of your own",
}


def request_form(source: CoreSource, tls: Tls | None, host: str) -> str:
    """The whole form, as plain text. ``host``: the name of the machine that mgate runs on."""
    parts = (*_network(source, host), "", *_dba(source, host), "", *_security(source, tls))
    return "\n".join(parts) + "\n"


def ddl(source: CoreSource) -> str:
    """What the DBA is to run: the files of ``ddl`` that this source needs, by its names."""
    example = _EXAMPLE.get(source.mode)
    parts = [f"-- {file}\n{fitted(source, file)}" for file in files_of(source)]
    return "\n".join([f"-- Of these {example}.\n", *parts] if example else parts)


# ---- the network team ------------------------------------------------------------------------------------------------


def _network(source: CoreSource, host: str) -> Iterator[str]:
    yield f"TO THE NETWORK TEAM: a way from mgate to the database of the source {source.name}"
    yield ""
    yield f"From:      {host} (the host of mgate; please add its addresses), any source port"
    for number, place in enumerate(source.hosts):
        name, _, port = place.rpartition(":")
        yield f"{'To:' if not number else '':<11}{name}, TCP port {port}"
    yield "Direction: mgate connects; nothing connects to mgate for this."
    yield "Duration:  connections stay open for days. If a firewall forgets idle ones, tell us after how many seconds."
    yield "Content:   the PostgreSQL protocol within TLS 1.2 or later, with certificates on both sides. It cannot be"
    yield "           inspected or ended on the way: mgate refuses any certificate but the database's own."
    yield f"DNS:       {host} must be able to resolve the names above."


# ---- the DBA ---------------------------------------------------------------------------------------------------------


def _dba(source: CoreSource, host: str) -> Iterator[str]:
    yield f"TO THE DBA: a role and what it may see, in the database {source.database}"
    yield ""
    yield "1. pg_hba.conf, above every line that would let the role in otherwise (put the address of the host):"
    who = f"{quoted(source.database)}  {quoted(source.user)}"
    yield f"     hostssl  {who}  ADDRESS-OF-{host}/32  cert  clientcert=verify-full"
    yield "2. postgresql.conf: ssl = on; a server certificate that names the hosts below in its subjectAltName;"
    yield "     ssl_ca_file: the authority that issues mgate's certificate; ssl_min_protocol_version = 'TLSv1.2'"
    yield "3. The clocks of the database and of mgate must agree to a second (NTP)."
    yield f"4. Columns without a time zone are read as {source.time_zone}."
    if not source.mapped.get("version"):
        yield "5. A row is a message for ever: its key is never used again for another one."
    else:
        yield "5. Key and version name a message for ever: a row that is written anew gets another version."
    yield "6. mgate deletes nothing. Rows with a final result may go after 35 days, by a job of yours as in"
    yield "   etc/sql/postgresql/7-housekeeping.sql."
    yield f"7. Each {source.poll:g} s one short query when idle; no transaction of mgate's stays open over 2 s."
    yield "8. Please run, as the owner of the tables. These are the files of etc/sql/postgresql by the names of this"
    yield "   source, without the comments that explain them there:"
    yield ""
    for line in ddl(source).splitlines():
        yield f"     {line}" if line else ""
    own = {
        "claim": source.claim_query, "mark": source.mark_query, "result": source.result_query,
        "cancel": source.cancel_query,
    }  # fmt: skip
    for verb, query in own.items():
        if query:
            yield ""
            yield f"     -- To {verb}, mgate runs this instead of its own statement; the role needs the rights for it:"
            yield from (f"     --   {line}" for line in query.splitlines())
    for call in source.calls:
        yield ""
        yield f"     -- At most {call.at_once} at a time and for {call.limit:g} s mgate runs the call {call.name}:"
        yield from (f"     --   {line}" for line in call.sql.splitlines())


# ---- the security team -----------------------------------------------------------------------------------------------


def _security(source: CoreSource, tls: Tls | None) -> Iterator[str]:
    yield f"TO THE SECURITY TEAM: certificates for the source {source.name} ([tls.{source.tls}])"
    yield ""
    yield "1. A client certificate for mgate:"
    yield f"     subject:            CN={source.user} (the database reads its role from it)"
    yield "     extended key usage: clientAuth; key usage: digitalSignature"
    yield "     strength:           ECDSA P-256, or RSA of 3072 bits or more; signed with SHA-256 or better"
    yield "     validity:           a year or so; mgate alarms 60, 45, 30, 14, 7 and 1 days before the end"
    yield f"     certificate:        {_place(tls, 'certificate')}, with its intermediates behind it, as PEM"
    yield f"     key:                {_place(tls, 'key_file')}, PEM without a passphrase, readable by mgate alone"
    yield "2. A server certificate for the database, by the same or another authority of the bank:"
    names = ", ".join(f"{'IP' if _is_address(host) else 'DNS'}:{host}" for host in _hosts(source))
    yield f"     subjectAltName:     {names} (the subject's CN is not looked at)"
    yield "     extended key usage: serverAuth"
    yield f"3. The authority that it comes from, as PEM: {_place(tls, 'authority')}"
    yield f"4. Its revocation list, renewed before its next update: {_place(tls, 'crl')}"
    stale = tls.stale_crl if tls is not None else "refuse"
    yield f"     A list past its next update: {'peers are refused' if stale == 'refuse' else 'believed for a time'}."
    yield "5. TLS 1.2 or later, full verification on both sides; no certificate of a public authority is believed."


def _place(tls: Tls | None, key: str) -> str:
    path = getattr(tls, key) if tls is not None else None
    return str(path) if path else f"({key} of the section is not set)"


def _hosts(source: CoreSource) -> list[str]:
    return [place.rpartition(":")[0].strip("[]") for place in source.hosts]


def _is_address(host: str) -> bool:
    return ":" in host or _HOST_NUMBERS.fullmatch(host) is not None
