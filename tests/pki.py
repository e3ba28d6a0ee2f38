"""The private authority, which the demonstration and the torture use too: `mgate.peers.pki`."""

from mgate.peers.pki import (
    BOTH,
    DAY,
    Authority,
    Files,
    Issued,
    Key,
    key_pem,
    new_key,
    now,
    put,
    self_signed,
    stolen,
    weak_key,
    with_other_key,
)

__all__ = [
    "BOTH", "DAY", "Authority", "Files", "Issued", "Key", "key_pem", "new_key", "now", "put", "self_signed", "stolen",
    "weak_key", "with_other_key",
]  # fmt: skip
