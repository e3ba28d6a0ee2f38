"""What an error of PostgreSQL means to a DBA: one of our reasons, what happened, and what to do.

SQLSTATEs stand in appendix A of PostgreSQL's documentation. While a connection is made there is none, only libpq's
sentence. A server's own words are passed on where they hold names of objects, and not where they may hold values.
"""

from __future__ import annotations

from typing import Final

import psycopg

from mgate.model.source import SourceError

_LONGEST: Final = 300

_GRANTS: Final = "as the owner: GRANT what etc/sql/postgresql grants to the role"
_MAPPING: Final = (
    "compare tables, columns and their types with etc/sql/postgresql: ALTER what differs, or map it in [sources.NAME]"
)
_VALUES: Final = (
    "look for a column whose type or content is not what etc/sql/postgresql says, and ALTER it; or map another column"
    " in [sources.NAME] columns"
)
_LOCKS: Final = (
    "find who holds the lock: SELECT pid, query FROM pg_stat_activity WHERE wait_event_type = 'Lock'; mgate asks again"
)
_SLOW: Final = "look for the index that etc/sql/postgresql makes, and at pg_stat_activity; mgate asks again by itself"
_DOWN: Final = "nothing, if the server is being restarted or switched over: mgate connects again by itself"
_FULL: Final = "free connections, memory or disk of the server; mgate asks again by itself"
_CERTIFICATE: Final = (
    "pg_hba.conf needs `hostssl DATABASE ROLE ADDRESS cert clientcert=verify-full`, the role must exist, and the common"
    " name of mgate's certificate must be its name"
)

_HBA: Final = (
    "pg_hba.conf lets this role in by another way than its certificate: above that line it needs"
    " `hostssl DATABASE ROLE ADDRESS cert clientcert=verify-full`"
)
UNKNOWN_CA: Final = (
    "put the authority of mgate's certificate into the server's ssl_ca_file and reload the server, or give mgate a"
    " certificate of an authority that stands there"
)
_ALERT: Final = (
    "renew or replace mgate's certificate: the server's log says what it has against it, and openssl x509 -text shows"
    " its dates and usages"
)
_VERIFY: Final = "renew the server's certificate, or mend authority and crl in [tls.NAME]: the words before say which"

_BY_STATE: Final = {
    "42501": ("refused", _GRANTS),
    "28000": ("refused", _CERTIFICATE),
    "28P01": ("refused", _CERTIFICATE),
    "3D000": ("mismatch", "say the right name in [sources.NAME] database"),
    "25006": (
        "unreachable",
        "this is a standby: name the primary in [sources.NAME] hosts too; mgate looks for it again",
    ),
    "57014": ("busy", _SLOW),
    "55P03": ("busy", _LOCKS),
    "25P03": ("busy", _SLOW),
    "42P10": (
        "mismatch",
        "the result table needs its primary key (key, version), as in etc/sql/postgresql/3-results.sql",
    ),
}
_BY_CLASS: Final = {
    "08": ("unreachable", _DOWN),
    "0A": ("mismatch", _MAPPING),
    "21": ("mismatch", _MAPPING),
    "22": ("mismatch", _VALUES),
    "23": ("mismatch", "a constraint of the outbox or the result table refuses what mgate writes: loosen it"),
    "28": ("refused", _CERTIFICATE),
    "40": ("busy", _LOCKS),
    "42": ("mismatch", _MAPPING),
    "53": ("busy", _FULL),
    "54": ("mismatch", _VALUES),
    "55": ("busy", _LOCKS),
    "57": ("unreachable", _DOWN),
    "58": ("unreachable", _FULL),
    "P0": ("mismatch", "a procedure or trigger of the bank's raised this: its author knows why"),
    "XX": ("unreachable", "the server is damaged or mistaken: its own log says more"),
}
_VALUE_CLASSES: Final = ("22", "23", "P0")
"""Their words may hold what stands in a row."""

_WHILE_CONNECTING: Final = (
    ("certificate authentication failed", "refused", _CERTIFICATE),
    ("Ident authentication failed", "refused", _HBA),
    ("Peer authentication failed", "refused", _HBA),
    ("LDAP authentication failed", "refused", _HBA),
    ("GSSAPI", "refused", _HBA),
    ("RADIUS authentication failed", "refused", _HBA),
    ("PAM authentication failed", "refused", _HBA),
    ("pg_hba.conf", "refused", _CERTIFICATE),
    ('role "', "refused", _CERTIFICATE),
    ("password", "refused", _HBA),
    ('database "', "mismatch", "say the right name in [sources.NAME] database, and GRANT CONNECT on it to the role"),
    ("permission denied for database", "refused", "GRANT CONNECT ON DATABASE to the role"),
    ("too many connections", "busy", "raise CONNECTION LIMIT of the role (8 are needed), or max_connections"),
    ("remaining connection slots", "busy", "raise max_connections of the server, or see who holds them"),
    ("session is read-only", "unreachable", _BY_STATE["25006"][1]),
    ("hot standby", "unreachable", _BY_STATE["25006"][1]),
)
_IN_THE_HANDSHAKE: Final = (
    ("alert unknown ca", "dba", UNKNOWN_CA),
    (" alert ", "security", _ALERT),
    ("verify failed", "security", _VERIFY),
)


class CertificateRefused(SourceError):
    """The server's certificate or ours is not right. ``who``: see ``model.source.Problem``."""

    def __init__(self, who: str, sentence: str, todo: str) -> None:
        super().__init__("refused", sentence, todo)
        self.who = who


def source_error(error: psycopg.Error, where: str) -> SourceError:
    """The error of a verb; ``where`` names the verb and the host."""
    state = error.sqlstate
    if state is None:
        return _without_state(error, where)
    reason, todo = _BY_STATE.get(state) or _BY_CLASS.get(state[:2]) or ("mismatch", _MAPPING)
    said = error.diag.message_primary or type(error).__name__
    if state[:2] in _VALUE_CLASSES:
        place = error.diag.constraint_name or error.diag.column_name or error.diag.table_name or ""
        said = f"{type(error).__name__}{f' at {place}' if place else ''}"
    return SourceError(reason, f"{where}: {_short(said)} (SQLSTATE {state})", todo)


def _without_state(error: psycopg.Error, where: str) -> SourceError:
    if isinstance(error, psycopg.ProgrammingError):
        said = f"{where}: {_short(str(error))}"
        return SourceError(
            "mismatch", said, "mend the statement in [sources.NAME]: a parameter is missing, or it has no rows"
        )
    said = _short(str(error))
    for mark, who, todo in _IN_THE_HANDSHAKE:
        if mark in said:
            return CertificateRefused(who, f"{where}: {said}", todo)
    for mark, reason, todo in _WHILE_CONNECTING:
        if mark in said:
            return SourceError(reason, f"{where}: {said}", todo)
    return SourceError("unreachable", f"{where}: {said or 'the connection broke'}", _DOWN)


def silent(where: str, limit: float) -> SourceError:
    """The server took the statement and said nothing, not even that it gave it up."""
    todo = "see whether the server hangs, or a firewall drops the line in silence; mgate connects again by itself"
    return SourceError("unreachable", f"{where}: no answer within {limit:g} s", todo)


def _short(said: str) -> str:
    return " ".join(said.split())[:_LONGEST]
