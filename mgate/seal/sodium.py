"""libsodium's XChaCha20-Poly1305 as PyNaCl brings it, called without PyNaCl's wrappers and, for what is short, without
giving up the interpreter's lock.

PyNaCl's own way costs 4 to 6 µs a call where the cipher needs less than one; worse, it lets go of the lock at every
call. When the store's thread waits for the lock on another core it takes it then, and the sealing thread gets it back
up to a switch interval later: 20 to 60 µs a seal were measured, against 2 to 3 with the lock kept. What is long
(`LONG_BYTES`) takes long enough to be worth another thread's while, so there the lock is let go.

Nothing is checked here: keys are of 32 bytes, nonces of 24, associated data of 53, every argument is `bytes`, and the
output is a `bytes` object of the right length that was just made and that nobody else has seen, which is what
CPython's own C interface (`PyBytes_FromStringAndSize`) gives out to be filled. Only `record` calls these.
"""

from __future__ import annotations

from collections.abc import Callable
from ctypes import CDLL, PyDLL, c_ulonglong
from importlib.util import find_spec
from typing import Final

import nacl.bindings  # noqa: F401  # readies libsodium, which must be done once before anything else is called

TAG_BYTES: Final = 16
LONG_BYTES: Final = 16384
NONCE_BYTES: Final = 24

Length = c_ulonglong
Encrypt = Callable[[bytes, None, bytes, Length, bytes, Length, None, bytes, bytes], int]
"""Ciphertext and tag (out), no length (out), plain text and its length, associated data and its length, no secret
nonce, nonce, key; answers 0."""
Decrypt = Callable[[bytes, None, None, bytes, Length, bytes, Length, bytes, bytes], int]
"""Plain text (out), no length (out), no secret nonce, ciphertext with tag and its length, associated data and its
length, nonce, key; answers 0, or another number when the tag does not fit."""


def _path() -> str:
    found = find_spec("nacl._sodium")
    if found is None or found.origin is None:
        raise ImportError("PyNaCl has no nacl._sodium: install the pynacl that requirements.txt names")
    return found.origin


_LOCK_KEPT = PyDLL(_path())
_LOCK_LET_GO = CDLL(_path())

encrypt: Final[Encrypt] = _LOCK_KEPT.crypto_aead_xchacha20poly1305_ietf_encrypt
decrypt: Final[Decrypt] = _LOCK_KEPT.crypto_aead_xchacha20poly1305_ietf_decrypt
encrypt_long: Final[Encrypt] = _LOCK_LET_GO.crypto_aead_xchacha20poly1305_ietf_encrypt
fill: Final[Callable[[bytes, int], None]] = _LOCK_KEPT.randombytes_buf
"""Fills a `bytes` object, made and seen by nobody else, with random bytes of the kernel."""
decrypt_long: Final[Decrypt] = _LOCK_LET_GO.crypto_aead_xchacha20poly1305_ietf_decrypt
