"""How operators write message ids: the same number in another form in the response and in the receipt."""

from collections.abc import Callable

from mgate.peers.smsc.script import IdForm

Form = Callable[[int], str]


def form(name: IdForm, width: int) -> Form:
    """A function from the number to its writing; `width` is that of the padded forms."""
    forms: dict[IdForm, Form] = {
        "decimal": str,
        "hex": "{:x}".format,
        "hex-upper": "{:X}".format,
        "padded": f"{{:0{width}d}}".format,
        "padded-hex": f"{{:0{width}x}}".format,
        "uuid": _uuid,
        "uuid-upper": lambda number: _uuid(number).upper(),
    }
    return forms[name]


def _uuid(number: int) -> str:
    # Spread over all digits, so that one without its dashes is not mistaken for a small number; odd, so that it is a
    # permutation and no two ids meet.
    digits = f"{number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % (1 << 128):032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
