"""The key that opens the keyring (KEK), and the file it comes from.

A key file holds 32 random bytes, raw or as base64 text. Who may read it is who may read every message, so a file with
too open a mode is refused, not warned about. The group bit for reading is let pass only when the group is root's own:
systemd hands credentials to a service by an access list, which shows in the mode as 0440 root:root.
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from mgate.seal.errors import BadKeyFile

KEY_BYTES = 32
CHECK_BYTES = 8
_AT_MOST = 4096


def check_value(key: bytes) -> bytes:
    """8 bytes that tell one key from another and nothing about either (docs/sealed-format.md, "Check values")."""
    return blake2b(key, person=b"mgate-kcv").digest()[:CHECK_BYTES]


class Kek:
    """The key encryption key: 32 bytes that seal the keyring and nothing else. Does not print itself."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise BadKeyFile(f"a key is {KEY_BYTES} bytes, this one has {len(key)}")
        self._key = key

    @property
    def check(self) -> bytes:
        """The check value, which stands in clear in the keyring's file."""
        return check_value(self._key)

    def ring_key(self) -> bytes:
        """The key of the keyring's file, derived so that the KEK itself meets no cipher."""
        return blake2b(key=self._key, digest_size=KEY_BYTES, person=b"mgate-ring-v1").digest()

    def __repr__(self) -> str:
        return "<Kek>"


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A file with the KEK in it, as the configuration names it."""

    path: Path

    def read(self) -> Kek:
        """Read the key.

        Errors: `BadKeyFile`, with path, mode and the command that mends it.
        """
        try:
            opened = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise BadKeyFile(f"key file {self.path}: {error.strerror}") from error
        try:
            self._refuse_open_mode(os.fstat(opened))
            content = os.read(opened, _AT_MOST + 1)
        finally:
            os.close(opened)
        return Kek(self._key_in(content))

    def make(self) -> Kek:
        """Write a new random key as base64 text, mode 0400, and return it. A file that is there is never touched."""
        key = os.urandom(KEY_BYTES)
        try:
            opened = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o400)
        except OSError as error:
            raise BadKeyFile(f"key file {self.path}: cannot be made: {error.strerror}") from error
        with os.fdopen(opened, "wb") as file:
            file.write(base64.b64encode(key) + b"\n")
            file.flush()
            os.fsync(opened)
        sync_folder(self.path.parent)
        return Kek(key)

    def _refuse_open_mode(self, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode):
            raise BadKeyFile(f"key file {self.path}: is not a regular file")
        mode = stat.S_IMODE(status.st_mode)
        too_open = mode & 0o037 or (mode & 0o040 and status.st_gid != 0)
        if too_open:
            raise BadKeyFile(
                f"key file {self.path}: mode {mode:04o} lets others than its owner use it: chmod 0400 {self.path}"
            )

    def _key_in(self, content: bytes) -> bytes:
        key = content if len(content) == KEY_BYTES else _from_base64(content)
        if key is None:
            raise BadKeyFile(
                f"key file {self.path}: {len(content)} bytes, which are neither {KEY_BYTES} raw bytes"
                f" nor base64 text of {KEY_BYTES} bytes"
            )
        if len(set(key)) == 1:
            raise BadKeyFile(f"key file {self.path}: {KEY_BYTES} equal bytes are not a key")
        return key


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable: a rename survives a power cut only after this."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _from_base64(content: bytes) -> bytes | None:
    try:
        key = base64.b64decode(content.strip(), validate=True)
    except binascii.Error:
        return None
    return key if len(key) == KEY_BYTES else None
