"""How the demonstration speaks: what it does as one would type it, what came of it, and lines to paste."""

from pathlib import Path
from typing import Final

from rich.console import Console

ROOT: Final = Path(__file__).resolve().parents[3]


def step(console: Console, name: str, command: str, outcome: str = "") -> None:
    """One thing that is done: with which command it could be done by hand, and what came of it."""
    console.print(f"  {name:<10}{command}", soft_wrap=True)
    if outcome:
        console.print(f"  {'':<10}{outcome}", style="green", soft_wrap=True)


def shell(console: Console, lines: str) -> None:
    """Lines to paste: never wrapped, never cut."""
    console.print()
    console.print("\n".join(f"  {line}" for line in lines.splitlines()), style="cyan", soft_wrap=True)


def short(path: Path) -> str:
    """A path as one types it in the root of the checkout."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
