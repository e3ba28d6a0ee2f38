"""What can go wrong with seals and keys. Every one is a `SealError`, and says whose it is to mend."""

from __future__ import annotations


class SealError(Exception):
    """Something sealed cannot be read, or a key cannot be had."""


class Tampered(SealError):
    """The record is not what was sealed for this place. Its row goes to quarantine; the service goes on."""


class NewerRecord(SealError):
    """The record's version or algorithm is unknown here: a newer mgate wrote this spool. Refuse to start on it."""


class NoKey(SealError):
    """The keyring has no key of this period.

    number: the period. shredded: true when its key was destroyed on purpose at the end of its retention; false when
    this keyring never issued the number, that is, when it is older than the spool or belongs to another one.
    """

    def __init__(self, number: int, *, shredded: bool) -> None:
        self.number = number
        self.shredded = shredded
        if shredded:
            why = "its key was destroyed when its retention ended"
        else:
            why = "this keyring never issued it: restore the keyring that belongs to this spool"
        super().__init__(f"period {number}: {why}")


class UnknownGroup(SealError):
    """A period was asked for a retention group that was never prepared: the caller's mistake."""


class BadKeyFile(SealError):
    """The key file cannot be used: missing, readable by others, or not a key. The operator mends it."""


class WrongKey(SealError):
    """The keyring was sealed under another key. Nothing was written. The operator gives the right key file."""


class NoKeyring(SealError):
    """There is no keyring in the folder. It must be restored, or made if the instance is new."""


class KeyringExists(SealError):
    """A keyring would be made where one is; it would make everything sealed so far unreadable."""


class KeyringDamaged(SealError):
    """No copy of the keyring is whole. It must be restored from its own backup."""


class NewerKeyring(SealError):
    """A newer mgate wrote this keyring. Nothing was written; the operator starts the newer version."""
