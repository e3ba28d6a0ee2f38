"""An instance made by `init`, its door, and mgatectl as a user calls it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mgate.control.cli import main
from tests.unit.control.door import Door


@dataclass
class Shell:
    """Runs mgatectl in one folder, which holds the instance ``i`` once it is made."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "i" / "mgate.toml"

    def run(self, *args: str, stdin: str | bytes | None = None) -> Result:
        """A command; the instance is named by the environment."""
        result = CliRunner().invoke(main, list(args), input=stdin, env={"MGATE_CONFIG": str(self.config)})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def json(self, *args: str, status: int = 0) -> dict[str, object]:
        """A command with --json; its answer."""
        result = self.run(*args, "--json")
        assert result.exit_code == status, result.output
        answer = json.loads(result.stdout)
        assert isinstance(answer, dict)
        return answer

    def write(self, name: str, content: str | bytes) -> str:
        """A file beside the instance; its path."""
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    def init(self, *more: str) -> Result:
        """Make the instance."""
        password = self.write("password", "secret1\n")
        wanted = ("--smsc", "127.0.0.1:2775", "--system-id", "examplebank", "--password-file", password)
        return self.run("init", str(self.folder / "i"), *wanted, *more)


@pytest.fixture
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    # A UNIX socket's path has 107 bytes at most, and a test's own tmp_path bears its name.
    return Shell(tmp_path_factory.mktemp("s"))


@pytest.fixture
def door(shell: Shell) -> Iterator[Door]:
    assert shell.init().exit_code == 0
    with Door(shell.folder / "i" / "run" / "admin.sock") as door:
        yield door
