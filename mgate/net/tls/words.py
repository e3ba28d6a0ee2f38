"""What a certificate says of itself, in the words of configuration and answers."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """Its subjectAltName as ``dns:``, ``ip:`` and ``uri:``, host names in small letters; empty without one."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    found = [f"dns:{name.lower()}" for name in names.get_values_for_type(x509.DNSName)]
    found += [f"ip:{address}" for address in names.get_values_for_type(x509.IPAddress)]
    found += [f"uri:{uri}" for uri in names.get_values_for_type(x509.UniformResourceIdentifier)]
    return tuple(found)


def common_name(name: x509.Name) -> str:
    """The last common name, else the whole of it (RFC 4514)."""
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return f'"{found[-1].value!s}"' if found else f'"{name.rfc4514_string()}"'


def fingerprint(certificate: x509.Certificate) -> str:
    """``sha256:`` and 64 hexadecimal digits, of the DER form."""
    return f"sha256:{certificate.fingerprint(hashes.SHA256()).hex()}"
