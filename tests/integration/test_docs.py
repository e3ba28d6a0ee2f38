"""The documentation is run: every `sh` block that users read works as it stands, on a running demonstration.

The page on databases has a demonstration of its own, and a PostgreSQL as it comes, on which it begins with nothing.

A block is run by bash in the root of the checkout, in the order of the page, with `MGATE_CONFIG` set and the
environment's programs in PATH. The places that pages name are the demonstration's: /tmp/mgate-demo, /run/mgate and
/etc/mgate. A block that cannot be run here is marked in the line above it, `<!-- not run: why -->`, and counted below.
A `json` block after it shows an answer with the same fields.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from mgate.peers.demo.stage import Stage
from mgate.peers.house import free_port
from tests.integration.fresh_postgres import FreshServer

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
NOT_RUN = {"README.md": 2, "docs/core-banking.md": 1, "docs/files.md": 1, "docs/operations.md": 2}
"""How many blocks of a page are not run. Think twice before you raise one."""
DATABASES = "docs/core-banking.md:"
"""The page that is run on a server of its own."""
BLOCK = re.compile(
    r"(?:<!-- not run: (?P<why>[^\n]+) -->\n)?^```sh\n(?P<lines>.*?)^```\n(?:\n```json\n(?P<answer>.*?)^```\n)?",
    re.DOTALL | re.MULTILINE,
)
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


class Block(NamedTuple):
    place: str
    why_not: str
    lines: str
    answer: str


def _blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = []
    for block in BLOCK.finditer(text):
        line = text.count("\n", 0, block.start("lines"))
        place = f"{page.relative_to(ROOT)}:{line}"
        found.append(Block(place, block["why"] or "", block["lines"], block["answer"] or ""))
    return found


BLOCKS = [block for page in PAGES for block in _blocks(page)]


class Scene(NamedTuple):
    """Where blocks are run: what stands for the places and names of the pages, and the environment."""

    places: Mapping[str, str]
    environment: Mapping[str, str]

    @staticmethod
    def of(stage: Stage, places: Mapping[str, str], environment: Mapping[str, str]) -> "Scene":
        """On a running demonstration."""
        usual = {
            "/tmp/mgate-demo": str(stage.folder),
            "/run/mgate/": f"{stage.instance.path}/run/",
            "/etc/mgate/": f"{stage.instance.path}/",
        }
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        known = {"MGATE_CONFIG": str(stage.config), "MGATE_DIR": str(stage.config.parent), "PATH": path}
        return Scene({**usual, **places}, {**os.environ, **known, **environment})


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with _staged() as stage:
        places = {
            "/tmp/mgate-client": str(stage.folder / "client"),
            "127.0.0.1:8443": f"127.0.0.1:{free_port()}",
        }
        yield Scene.of(stage, places, {})


@pytest.fixture(scope="module")
def bank() -> Iterator[Scene]:
    """With a database server that nobody has touched."""
    server = FreshServer()
    try:
        server.make()
        with _staged() as stage:
            places = {
                "/tmp/mgate-tls": str(stage.folder / "tls"),
                "db1.bank.example:5432": f"localhost:{server.port}",
                "db1.bank.example": "localhost",
                "10.1.2.3/32": "localhost",
            }
            known = {"PGHOST": str(server.folder), "PGPORT": str(server.port), "PGUSER": "postgres"}
            yield Scene.of(stage, places, known)
    finally:
        server.remove()


@contextmanager
def _staged() -> Iterator[Stage]:
    with tempfile.TemporaryDirectory(prefix="mgt-") as name:
        folder, script = Path(name) / "demo", Path(name) / "script.toml"
        folder.mkdir()
        # An operator that delivers everything: some commands fail when a message was not delivered.
        script.write_text("[receipts]\ndelay = 0.05\n")
        with Stage(folder, script) as built:
            built.make_instance(built.start_operator())
            built.start_daemon()
            yield built
            assert built.stop() == []


@pytest.mark.parametrize("block", [pytest.param(block, id=block.place) for block in BLOCKS if not block.why_not])
def test_a_block_works_as_it_stands(block: Block, request: pytest.FixtureRequest) -> None:
    scene: Scene = request.getfixturevalue("bank" if block.place.startswith(DATABASES) else "scene")
    lines = block.lines
    for place, here in scene.places.items():
        lines = lines.replace(place, here)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", lines],
        cwd=ROOT,
        env=scene.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # curl is content with any answer.
    assert '"error":' not in done.stdout
    if block.answer:
        assert json.loads(done.stdout).keys() == json.loads(block.answer).keys()


def test_few_blocks_are_not_run() -> None:
    not_run = [block.place.partition(":")[0] for block in BLOCKS if block.why_not]
    assert {page: not_run.count(page) for page in not_run} == NOT_RUN


def test_no_block_escapes_the_test() -> None:
    fences = sum(
        len(re.findall(r"^\s*```(?:sh|bash|shell|console)\b", page.read_text(), re.MULTILINE)) for page in PAGES
    )
    assert fences == len(BLOCKS)
    assert len(BLOCKS) >= 5


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES])
def test_a_page_leads_to_places_that_exist(page: Path) -> None:
    assert [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()] == []
