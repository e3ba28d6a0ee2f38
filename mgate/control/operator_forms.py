"""The request form of an operator account: what to ask the operator and the bank's own network team for.

It is written from the configuration alone, so that what they do fits what mgate will do.
"""

from __future__ import annotations

from collections.abc import Iterator

from mgate.config import show_span
from mgate.config.tls import Tls
from mgate.config.tree import Sms


def operator_form(sms: Sms, tls: Tls | None, host: str) -> str:
    """The whole form, as plain text. ``host``: the name of the machine that mgate runs on."""
    return "\n".join((*_operator(sms, tls, host), "", *_network(sms, host))) + "\n"


def _operator(sms: Sms, tls: Tls | None, host: str) -> Iterator[str]:
    connection = sms.profile.connection
    per_bind = 2 if connection.bind == "pair" else 1
    yield f"TO THE OPERATOR: an SMPP account for {sms.name}"
    yield ""
    yield f"1. From:     {host} (add its public addresses), which your allow-list must have"
    yield f"2. To:       {', '.join(_places(sms))}"
    yield f"3. Account:  system_id {sms.system_id}" + (f", system_type {sms.system_type}" if sms.system_type else "")
    longest = connection.longest_password
    yield f"             SMPP {connection.version}; a password of up to {longest} characters, not by mail"
    sessions = f"{sms.binds * per_bind} ({sms.binds} x {connection.bind})"
    yield f"4. Sessions: {sessions}, and {per_bind} more while one is renewed:"
    yield "             please set the cap so, and say after how long a broken session counts as gone"
    yield f"5. Window:   {sms.window} submits without an answer on each; please say when that is too many"
    rate = f"{sms.rate} submit_sm a second over all sessions" if sms.rate else "please say what the account may send"
    yield f"6. Rate:     {rate}; and whether parts of long texts count one by one"
    silence = show_span(sms.enquire_link)
    yield f"7. Silence:  we send enquire_link after {silence}; please say when you close an idle session"
    yield from _tls(sms, tls)
    yield "9. Please tell us, for the profile of mgate:"
    yield from (f"     - {question}" for question in _QUESTIONS)
    senders = ", ".join(dict.fromkeys(entry.sender for entry in sms.profile.senders))
    yield f"10. Senders to register: {senders or '(name them)'}; with which texts, for which classes, and until when"


_QUESTIONS = (
    "type and plan of numeric and alphanumeric senders; how destinations are written",
    "what data_coding 0 means, in each direction",
    "how receipts read, which parts of a long text get one, and whether ids are decimal or hexadecimal",
    "every status of your own, and which of them ask us to slow down or mean a used-up allowance",
    "the longest validity, and its form; how the parts of long texts are to be tied",
)


def _tls(sms: Sms, tls: Tls | None) -> Iterator[str]:
    if not sms.tls:
        yield f"8. TLS:      none on this line ({sms.plain_tcp})"
        return
    yield "8. TLS:      1.2 or later; we believe one authority only, and look at names and revocation:"
    yield f"               your certificate's subjectAltName must have DNS:{sms.host}, extended key usage serverAuth"
    yield f"               the authority that it comes from, as PEM, for {tls.authority if tls else '(no section)'}"
    if tls is not None and tls.certificate is not None:
        yield f"               our client certificate: {tls.certificate}; please say whom it must be issued by"


def _network(sms: Sms, host: str) -> Iterator[str]:
    yield f"TO THE NETWORK TEAM: a way from mgate to the operator of {sms.name}"
    yield ""
    yield f"From:      {host} (the host of mgate; please add its addresses), any source port"
    for number, place in enumerate(_places(sms)):
        name, _, port = place.rpartition(":")
        yield f"{'' if number else 'To:':<11}{name}, TCP port {port}"
    yield "Direction: mgate connects; nothing connects to mgate for this."
    yield "Duration:  connections stay open for days. If a firewall forgets idle ones, tell us after how many seconds:"
    yield f"           mgate says something at least every {show_span(sms.enquire_link)}."
    yield "Content:   SMPP" + (
        " within TLS 1.2 or later; it cannot be inspected on the way." if sms.tls else ", not encrypted."
    )
    yield f"DNS:       {host} must be able to resolve the names above."


def _places(sms: Sms) -> list[str]:
    """Where it connects, the preferred place first."""
    hosts = sms.profile.connection.tls_hosts if sms.tls else sms.profile.connection.hosts
    return list(dict.fromkeys((f"{sms.host}:{sms.port}", *hosts)))
