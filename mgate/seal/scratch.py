"""A key for what is put aside on the disk for a moment: it is never written anywhere and dies with its object.

What a killed process leaves behind is noise, whoever has the keyring.
"""

from __future__ import annotations

import os
from hashlib import blake2b
from typing import Final

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt as _decrypt,
)
from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_encrypt as _encrypt,
)
from nacl.exceptions import CryptoError

from mgate.seal.errors import Tampered
from mgate.seal.keyfile import KEY_BYTES

_NONCE_BYTES: Final = 24
_TAG_BYTES: Final = 16


class Scratch:
    """Seals blocks, and makes tags by which equal texts are found again, for as long as it lives."""

    __slots__ = ("_key", "_tags")

    def __init__(self) -> None:
        self._key = os.urandom(KEY_BYTES)
        self._tags = blake2b(key=os.urandom(KEY_BYTES), digest_size=_TAG_BYTES)

    def __repr__(self) -> str:
        return "<Scratch>"

    def tag(self, text: str) -> bytes:
        """16 bytes, the same for the same text."""
        state = self._tags.copy()
        state.update(text.encode())
        return state.digest()

    def seal(self, number: int, plain: bytes) -> bytes:
        """Seal the block of this number (u64)."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + _encrypt(plain, number.to_bytes(8, "big"), nonce, self._key)

    def unseal(self, number: int, sealed: bytes) -> bytes:
        """What ``seal`` sealed under this number.

        Raises:
            Tampered: it is not what was put aside.
        """
        nonce, content = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return _decrypt(content, number.to_bytes(8, "big"), nonce, self._key)
        except (CryptoError, ValueError, TypeError) as error:
            raise Tampered(f"block {number} put aside was changed on the disk") from error
