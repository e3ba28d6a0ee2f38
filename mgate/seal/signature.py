"""The instance's signature: what it says of itself, an auditor can check without it (Ed25519, RFC 8032).

The seed is drawn from the keyring's long-lived key, so it is sealed with the keyring, comes back with its backup and
needs no place of its own; nothing of the index key can be drawn from it. What is signed is always a sentence: a first
line that says what it is a signature of, so that one kind of document can never be shown as another.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Iterable
from hashlib import blake2b, sha256
from typing import Final

import msgspec
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


class NotSigned(SealError):
    """These lines are not what the instance with this key signed. The sentence says why."""


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


# ---- signed lines ----------------------------------------------------------------------------------------------------


class LastLine(msgspec.Struct, frozen=True):
    """The last line of a signed file, as JSON.

    Attributes:
        sha256: of every octet before this line, hexadecimal. It is what is signed, in ``sentence``'s form.
        public_key, signature: base64. The key is here to tell which it was, not to be believed.
    """

    sha256: str
    public_key: str
    signature: str


def sentence(kind: str, digest: str) -> bytes:
    """What is signed of a file: its kind, and the SHA-256 of its lines before the last, hexadecimal."""
    return f"mgate {kind}\n{digest}\n".encode()


class SignedLines:
    """Lines that go out one by one and are signed as a whole, in memory that does not grow.

    Args:
        kind: what such a file is, with the version of its form, such as ``reckoning 1``.
    """

    __slots__ = ("_digest", "_kind", "_signer")

    def __init__(self, signer: Signer, kind: str) -> None:
        self._signer = signer
        self._kind = kind
        self._digest = sha256()

    def line(self, content: bytes) -> bytes:
        """One line, with its end."""
        whole = content + b"\n"
        self._digest.update(whole)
        return whole

    def last(self) -> bytes:
        """The line that signs those before it."""
        digest = self._digest.hexdigest()
        return _last(digest, self._signer.public, self._signer.sign(sentence(self._kind, digest)))


def _last(digest: str, public: bytes, signature: bytes) -> bytes:
    return msgspec.json.encode(LastLine(digest, b64encode(public).decode(), b64encode(signature).decode())) + b"\n"


def check_lines(kind: str, lines: Iterable[bytes], public: bytes) -> None:
    """See that these lines (with their ends) are what the holder of this key signed.

    Raises:
        NotSigned: they are not.
    """
    digest = sha256()
    last: bytes | None = None
    for line in lines:
        if last is not None:
            digest.update(last)
        last = line
    try:
        end = msgspec.json.decode(last or b"", type=LastLine)
        key, signature = b64decode(end.public_key, validate=True), b64decode(end.signature, validate=True)
    except (msgspec.DecodeError, ValueError) as error:
        raise NotSigned("its last line is no signature: it was cut short, or is no such file") from error
    if last != _last(end.sha256, key, signature):
        raise NotSigned("its last line was changed: it is not written as an instance writes it")
    if end.sha256 != digest.hexdigest():
        raise NotSigned("it was changed after it was signed: its SHA-256 is another one than its last line says")
    if key != public:
        raise NotSigned("another instance signed it: its public key is another one than the one given")
    if not verified(public, sentence(kind, end.sha256), signature):
        raise NotSigned("its signature does not hold: it was forged, or is of another kind of file")
