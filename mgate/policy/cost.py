"""What messages cost, as far as the prices of the accounts say it: exact decimals, never a floating point number."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple


class Price(NamedTuple):
    """Of one part: ``amount``, a decimal number, in ``currency`` (ISO 4217)."""

    amount: str
    currency: str


def cost_of(parts: int, price: Price, *, may_have_been_sent: bool) -> str:
    """What a message of so many parts costs, with the decimals of the price; nothing what surely never left.

    A message counts once: a part that was sent again, because nobody knew whether it had been, may cost the bank twice.
    """
    return f"{Decimal(price.amount) * (parts if may_have_been_sent else 0):f}"
