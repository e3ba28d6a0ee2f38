"""Sealed records, the keyring, and the blind index: what makes a stolen disk worthless.

What lives here: the bytes of a sealed record (`record`), the tags by which sealed values are found again (`tags`), the
keys and their periods (`keyring`), their file (`ringfile`), and the key that opens that file (`keyfile`). The format
itself is written for strangers in `docs/sealed-format.md`; a change of the bytes is a new version, never a new meaning
of the old one.

What does not: what a plain text means (the spool packs and unpacks it), how long something is kept (the configuration
says so), logging. The room has no clock: moments are arguments, in seconds since 1970, UTC.

Two rules keep it so:

* This is the only room that imports `nacl`, and no key leaves it except to the cipher. Nothing that holds key bytes
  says anything of them in its `repr`, and no error quotes a plain text.
* A key is on the disk, in both copies and fsynced, before anything is sealed with it; it is off the disk before
  anybody is told that it was destroyed.
"""
