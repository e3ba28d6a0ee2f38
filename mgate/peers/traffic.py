"""Made-up messages in any number: seeded, so that a run can be made again, and each with a text of its own.

Every part of a long text bears the message's own token, so that a part at the operator belongs to one message only. A
long text is built from bodies that fill a part to its last place (152 septets or 66 UTF-16 units beside a header with a
16-bit reference, 3GPP TS 23.040 section 9.2.3.24.1): where it must be cut is known here without asking who cuts it.
"""

from collections.abc import Mapping
from random import Random
from typing import Final, NamedTuple

import msgspec

from mgate.peers.fingerprint import Fingerprint
from mgate.peers.smsc.behaviour import Shares

LIVES: Final[dict[str, float]] = {
    "otp": 180.0, "fraud": 900.0, "transaction": 43_200.0, "service": 86_400.0, "marketing": 86_400.0,
}  # fmt: skip
"""How long each class lives when nothing is said, seconds; as promised to the bank."""

GSM_BODY: Final = 152
UCS2_BODY: Final = 66
_NUMBERS: Final = 10_000
_LAST_BODY: Final = 40  # shorter than a whole part, and long enough that two parts never fit one message
_GSM_FILLER: Final = "Payment at Example Bank, card 0001, thank you. " * 4
_UCS2_FILLER: Final = "Оплата картой 0001 в Банке Пример, спасибо. " * 3
_ENCODER: Final = msgspec.json.Encoder()


class Mix(NamedTuple):
    """What is made. Shares are of messages.

    Attributes:
        classes: share of each class; parts: share of each number of parts.
        plain: GSM letters only; else Cyrillic, the extension table and emoji take their share.
        short: share that lives only `short_life` seconds.
    """

    classes: Mapping[str, float] = {"otp": 0.3, "fraud": 0.1, "transaction": 0.3, "service": 0.2, "marketing": 0.1}
    parts: Mapping[int, float] = {1: 0.85, 2: 0.1, 3: 0.05}
    plain: bool = False
    short: float = 0.0
    short_life: int = 5


class Draft:
    """One message before and while it is pushed.

    Attributes:
        line: the JSON object, without a newline.
        life: seconds; to, texts: fingerprints of the digits and of the text (of each body, when there are several).
        pushed: when it was first pushed, seconds since 1970, 0.0 before; tries: how often it was.
    """

    __slots__ = ("life", "line", "pushed", "ref", "texts", "to", "traffic", "tries")

    def __init__(self, ref: str, traffic: str, life: float, line: bytes, to: str, texts: tuple[str, ...]) -> None:
        self.ref = ref
        self.traffic = traffic
        self.life = life
        self.line = line
        self.to = to
        self.texts = texts
        self.pushed = 0.0
        self.tries = 0


class Maker:
    """Makes drafts, numbered from 1. Two makers of one seed and mix make the same."""

    def __init__(self, seed: int, mix: Mix, fingerprint: Fingerprint, sender: str = "Example") -> None:
        self._random = Random(seed)  # noqa: S311  # repeatable on purpose
        self._mix = mix
        self._classes = Shares(dict(mix.classes), "service")
        self._parts = Shares(dict(mix.parts), 1)
        self._fingerprint = fingerprint
        self._sender = sender
        self._prefix = f"t{seed}"
        self.made = 0

    def make(self) -> Draft:
        """The next draft."""
        self.made = n = self.made + 1
        chance = self._random.random
        ref = f"{self._prefix}-{n}"
        traffic = self._classes.draw(chance())
        bodies = self._bodies(self._parts.draw(chance()), ref, n)
        digits = f"37529111{n % _NUMBERS:04d}"
        message: dict[str, str | float] = {
            "ref": ref, "to": f"+{digits}", "class": traffic, "sender": self._sender, "text": "".join(bodies),
        }  # fmt: skip
        life: float = LIVES[traffic]
        if self._mix.short and chance() < self._mix.short:
            message["valid_for"] = life = self._mix.short_life
        text = self._fingerprint.text
        if len(bodies) == 1:
            texts: tuple[str, ...] = (text(bodies[0]),)
        else:
            texts = tuple(text(body, part) for part, body in enumerate(bodies, 1))
        return Draft(ref, traffic, life, _ENCODER.encode(message), self._fingerprint.number(digits.encode()), texts)

    def _bodies(self, parts: int, ref: str, n: int) -> list[str]:
        look = 0.0 if self._mix.plain else self._random.random()
        if parts > 1:
            cyrillic = look > 0.7
            filler, size = (_UCS2_FILLER, UCS2_BODY) if cyrillic else (_GSM_FILLER, GSM_BODY)
            bodies = [f"{ref}/{part} {filler}"[:size] for part in range(1, parts + 1)]
            bodies[-1] = bodies[-1][:_LAST_BODY]
            return bodies
        code = n * 7919 % 1_000_000
        if look < 0.6:
            return [f"Code {code:06d} for {ref} at Example Bank. Tell it to nobody."]
        if look < 0.75:
            return [f"Paid [{code} €] for {ref} {{card *0001}} ~ Example Bank | {_GSM_FILLER[: code % 60]}"]
        if look < 0.95:
            return [f"Код {code:06d}, {ref}. Банк Пример"]
        return [f"{ref} 🎂 {code:06d} 🏦"]
