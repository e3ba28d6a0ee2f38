"""The blind index: how a sealed value is found again without being read.

A tag is 16 bytes of keyed BLAKE2b. Equal values of one kind have equal tags; that, and nothing else, leaks. The kinds
are kept apart by BLAKE2b's `person`. A phone's tag uses the index key of its period and dies with it; the caller's
reference, the content and the operator's message id use the keyring's long-lived index key, because a repeat after
midnight and a receipt three days later must still be recognised.

Where a value has two parts, the first goes in behind its length, so that no two pairs read the same. Its hash state is
kept for every client and account met: these come from the configuration and are few. So is that of every period met;
those of periods that were destroyed go when the next one is met.
"""

from __future__ import annotations

from hashlib import blake2b

from mgate.seal.keyring import Keyring, Keys

TAG_BYTES = 16

_PHONE = b"mgate-phone-1"
_REF = b"mgate-ref-1"
_SAME = b"mgate-same-1"
_OPERATOR_ID = b"mgate-opid-1"
_COUNTED = b"mgate-count-1"


class _Started(dict[str, blake2b]):
    """Hash states that have already taken the key, the person and the name they belong to."""

    __slots__ = ("_key", "_person")

    def __init__(self, key: bytes, person: bytes) -> None:
        super().__init__()
        self._key = key
        self._person = person

    def __missing__(self, name: str) -> blake2b:
        encoded = name.encode()
        state = blake2b(key=self._key, digest_size=TAG_BYTES, person=self._person)
        state.update(len(encoded).to_bytes(2, "big") + encoded)
        self[name] = state
        return state


class _Periods(dict[int, blake2b]):
    """Hash states that have taken the index key of their period."""

    __slots__ = ("_keys",)

    def __init__(self, keys: Keys) -> None:
        super().__init__()
        self._keys = keys

    def __missing__(self, period: int) -> blake2b:
        state = blake2b(key=self._keys[period], digest_size=TAG_BYTES, person=_PHONE)
        # A state is as good as its key: it must not outlive it for long.
        for gone in self.keys() - self._keys.keys():
            self.pop(gone, None)
        self[period] = state
        return state


class Tags:
    """Makes the tags of one keyring. Every tag is 16 bytes."""

    __slots__ = ("_content", "_counted", "_index_keys", "_operator_id", "_phone", "_ref")

    def __init__(self, keyring: Keyring) -> None:
        self._index_keys = keyring.index_keys
        self._phone = _Periods(keyring.index_keys)
        self._ref = _Started(keyring.long_index_key, _REF)
        self._content = _Started(keyring.long_index_key, _SAME)
        self._operator_id = _Started(keyring.long_index_key, _OPERATOR_ID)
        self._counted = blake2b(key=keyring.long_index_key, digest_size=8, person=_COUNTED)

    def phone_tag(self, period: int, e164: str) -> bytes:
        """The tag of a number in one period. e164: a plus sign and digits. Errors: `NoKey`."""
        if period not in self._index_keys:
            self._phone.pop(period, None)  # and then the missing key says what became of it
        state = self._phone[period].copy()
        state.update(e164.encode())
        return state.digest()

    def ref_tag(self, client: str, ref: str) -> bytes:
        """The tag of a caller's reference; the same reference of another client has another tag."""
        state = self._ref[client].copy()
        state.update(ref.encode())
        return state.digest()

    def counting_key(self, e164: str) -> int:
        """64 bits by which messages to a number are counted over days, whatever period it is; no record bears them."""
        state = self._counted.copy()
        state.update(e164.encode())
        return int.from_bytes(state.digest(), "big")

    def content_tag(self, client: str, canonical: bytes) -> bytes:
        """The tag of a request as it was given, in its canonical form: tells a repeat from a conflict."""
        state = self._content[client].copy()
        state.update(canonical)
        return state.digest()

    def operator_id_tag(self, account: str, operator_id: str) -> bytes:
        """The tag of the message id that an operator gave on one account, in the form the caller normalised it to."""
        state = self._operator_id[account].copy()
        state.update(operator_id.encode())
        return state.digest()
