"""What is wrong with a configuration: a list, because an operator wants to mend the file once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing to mend.

    Attributes:
        file: the configuration file.
        section: the TOML table, such as ``sms.op-a``; empty when the file itself is at fault.
        key: the setting; empty when the section itself is at fault.
        problem: what is wrong, and what is allowed.
    """

    file: Path
    section: str
    key: str
    problem: str

    def __str__(self) -> str:
        place = " ".join(part for part in (f"[{self.section}]" if self.section else "", self.key) if part)
        return f"{self.file}: {place}: {self.problem}" if place else f"{self.file}: {self.problem}"


class ConfigError(Exception):
    """The configuration cannot be used; ``mistakes`` holds all that was found, in the order of the file's sections."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("\n".join(str(mistake) for mistake in mistakes))
        self.mistakes = tuple(mistakes)
