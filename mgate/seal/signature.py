"""The instance's signature: what it says of itself, an auditor can check without it (Ed25519, RFC 8032).

The seed is drawn from the keyring's long-lived key, so it is sealed with the keyring, comes back with its backup and
needs no place of its own; nothing of the index key can be drawn from it. What is signed is always a sentence: a first
line that says what it is a signature of, so that one kind of document can never be shown as another.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from hashlib import blake2b
from typing import Final

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from mgate.seal.errors import SealError
from mgate.seal.keyring import Keyring

_PERSON: Final = b"mgate-sign-1"
# SubjectPublicKeyInfo of an Ed25519 key up to its 32 bytes (RFC 8410, 4).
_SPKI: Final = bytes.fromhex("302a300506032b6570032100")
_BEGIN, _END = "-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----"


class BadPublicKey(SealError):
    """This is no public key as ``pem`` writes it."""


class Signer:
    """Signs for one instance."""

    __slots__ = ("_key",)

    def __init__(self, keyring: Keyring) -> None:
        self._key = SigningKey(blake2b(key=keyring.long_index_key, digest_size=32, person=_PERSON).digest())

    def __repr__(self) -> str:
        return f"<Signer {self.public.hex()[:16]}>"

    @property
    def public(self) -> bytes:
        """The public key, 32 bytes."""
        return bytes(self._key.verify_key)

    def sign(self, sentence: bytes) -> bytes:
        """The signature, 64 bytes."""
        return self._key.sign(sentence).signature


def verified(public: bytes, sentence: bytes, signature: bytes) -> bool:
    """Whether this key made this signature of this sentence. ``public``: 32 bytes."""
    try:
        VerifyKey(public).verify(sentence, signature)
    except (BadSignatureError, ValueError):
        return False
    return True


def pem(public: bytes) -> str:
    """A public key as openssl reads it."""
    return f"{_BEGIN}\n{b64encode(_SPKI + public).decode()}\n{_END}\n"


def read_pem(text: str) -> bytes:
    """The 32 bytes of a public key in PEM.

    Raises:
        BadPublicKey: it is none, or of another kind.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) < 3 or lines[0] != _BEGIN or lines[-1] != _END:
        raise BadPublicKey(f"this is no public key: it begins with {_BEGIN} and ends with {_END}")
    try:
        content = b64decode("".join(lines[1:-1]), validate=True)
    except NotBase64 as error:
        raise BadPublicKey("this is no public key: what stands in it is not base64") from error
    if len(content) != len(_SPKI) + 32 or not content.startswith(_SPKI):
        raise BadPublicKey("this public key is no Ed25519 key")
    return content[len(_SPKI) :]
