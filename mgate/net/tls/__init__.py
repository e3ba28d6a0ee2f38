"""SECOND, in `net`. TLS in one place: every context of this process, and the parameters of drivers that make their own.

What lives here: identities (`identity`: one section [tls.NAME], its files read, checked, read again), what is refused
and in which words (`refusal`), the reading of PEM files (`files`) and their copies for drivers (`copies`), revocation
(`revocation`), and the coat around a TCP connection that lets nobody speak before the handshake and every check are
done (`wire`). What does not: which link uses which identity, and what is said over it.

The rules that keep it so:

* TLS 1.2 or later, security level 2 of OpenSSL (112 bits: RSA from 2048), no renegotiation, no tickets, no compression.
* Only the authorities of the identity's own file are believed, never the system's. Names are compared with
  subjectAltName only (RFC 9525), in OpenSSL itself, within the handshake.
* No Python callback goes into OpenSSL. Those of pyOpenSSL need memory that is writable and executable, which the
  hardened unit refuses (``MemoryDenyWriteExecute=``), and then a connection hangs without a word: so this room stands
  on the ``ssl`` of Python, over memory buffers, and looks at revocation itself when OpenSSL is content with the rest.
* The protocol within is made only when the peer is known and right: until then no octet of it leaves or is heard.
"""

from mgate.net.tls.copies import Copies
from mgate.net.tls.identity import Identity, Peer, Problem
from mgate.net.tls.refusal import Seen, TlsRefused, Told, Word
from mgate.net.tls.survey import CertificateView, Role
from mgate.net.tls.wire import POSTGRESQL, Prelude

__all__ = [
    "POSTGRESQL",
    "CertificateView",
    "Copies",
    "Identity",
    "Peer",
    "Prelude",
    "Problem",
    "Role",
    "Seen",
    "TlsRefused",
    "Told",
    "Word",
]
