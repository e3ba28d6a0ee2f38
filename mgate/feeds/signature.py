"""How a webhook's request is signed, so that who is called knows that it comes from us, and when it was made. Pure.

``Mgate-Signature: t=1790000000,v1=HEX``: HEX is HMAC-SHA256 (RFC 2104) with the shared secret over the seconds of
``t`` in decimal, a full stop, and the body. A receiver refuses what is older than some minutes, and so a replay by
others.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Final

HEADER: Final = "Mgate-Signature"


def sign(secret: bytes, at: int, body: bytes) -> str:
    """The header's value for a body that leaves at this moment (seconds since 1970)."""
    return f"t={at},v1={hmac.new(secret, b'%d.' % at + body, sha256).hexdigest()}"
