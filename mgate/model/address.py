"""Addresses: who a message goes to, and whom it says it is from."""

from __future__ import annotations

import re

import msgspec

# ITU-T E.164 section 6: at most 15 digits; no country has a full number shorter than 7.
_E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)


class AddressError(ValueError):
    """An address that cannot be read; the sentence says why and never repeats the address."""


class Msisdn(msgspec.Struct, frozen=True, gc=False):
    """A phone number in E.164 form, ``+`` and 7 to 15 digits (ITU-T E.164)."""

    e164: str

    @classmethod
    def parse(cls, text: str) -> Msisdn:
        """Read a number that is already in E.164 form.

        Raises:
            AddressError: when it is not; national formats are read at the door, by ``intake``.
        """
        if _E164.fullmatch(text) is None:
            raise AddressError("not an E.164 number: a plus sign and 7 to 15 digits, no spaces")
        return cls(text)

    @property
    def digits(self) -> str:
        """The number as SMPP wants it: international, without the plus sign."""
        return self.e164[1:]

    def mask(self) -> str:
        """The number as a log or a table may show it: ``+37529*****01``."""
        return mask(self.e164)

    def __repr__(self) -> str:
        return f"Msisdn({self.mask()})"


def mask(number: str) -> str:
    """Hide the middle of a number, however it is written: its head tells the network, its last two tell two apart."""
    if len(number) < 9:
        return "*" * len(number)
    return number[:6] + "*" * (len(number) - 8) + number[-2:]
