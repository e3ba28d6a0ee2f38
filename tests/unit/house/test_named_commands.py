"""What pages, SQL and comments tell the reader to type is a command that there is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from mgate.control.cli import main

ROOT: Final = Path(__file__).parents[3]
_TYPED: Final = re.compile(r"(?:`|^|for )mgatectl (?P<first>[a-z][a-z-]*)(?: (?P<second>[a-z][a-z-]*))?", re.MULTILINE)


def _pages() -> Iterator[Path]:
    yield from (ROOT / "docs").glob("*.md")
    yield from (ROOT / "mgate" / "control" / "ddl").rglob("*.sql")
    yield ROOT / "README.md"
    yield ROOT / "etc" / "mgate.toml"


def _is_one(first: str, second: str | None) -> bool:
    found = main.commands.get(first)
    return found is not None and (not isinstance(found, click.Group) or second is None or second in found.commands)


def test_every_command_that_a_page_names_exists() -> None:
    named = [
        (page.name, each["first"], each["second"])
        for page in _pages()
        for each in _TYPED.finditer(page.read_text("utf-8"))
    ]
    assert len(named) > 50
    assert [each for each in named if not _is_one(each[1], each[2])] == []


def test_a_command_that_is_not_there_is_seen() -> None:
    assert not _is_one("trace", None)
    assert not _is_one("message", "tell")
    assert _is_one("message", "trace")
