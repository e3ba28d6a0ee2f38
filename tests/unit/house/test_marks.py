"""The marks against which the house is held: sizes, names, silenced rules, clocks, and files that tell no tales."""

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
LONGEST_FUNCTION = 60
LONGEST_MODULE = 450
EMPTY_WORDS = {"manager", "helper", "helpers", "util", "utils", "misc", "handler", "processor"}
# Twisted's and Python's own words may be used where they are spoken.
FOREIGN_NAMES = {"add_signal_handler", "remove_signal_handler", "set_exception_handler", "call_exception_handler"}
PURE = ("model", "policy", "channels/smpp", "spool/lifecycle.py")
CLOCK_READS = {"now", "utcnow", "today"}

# Written in halves, so that this file does not break its own rule.
NOT_IN_THE_TREE = [
    r"py" + r"pi\.org",
    r"python" + r"hosted\.org",
    r"registry\.npm" + r"js",
    r"registry\.ya" + r"rnpkg",
    r"deb\.deb" + r"ian\.org",
    r"--(?:extra-)?index" + r"-url[= ]\S",
    r"/wo" + r"rk/",
    r"/tmp/te" + r"am",
    r"\.lib" + r"rary\b",
    r"/ro" + r"ot/",
    r"/home/(?!mgate)" + r"[a-z]+/",
]


@cache
def _files() -> tuple[Path, ...]:
    """Everything git knows or would be told of."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    names = [name for name in listed.stdout.decode().split("\0") if name]
    return tuple(path for path in (ROOT / name for name in names) if path.is_file())


def _modules() -> list[Path]:
    return sorted((ROOT / "mgate").rglob("*.py"))


def _tree(module: Path) -> ast.Module:
    return ast.parse(module.read_text())


def _functions(module: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(_tree(module)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _place(module: Path, line: int) -> str:
    return f"{module.relative_to(ROOT)}:{line}"


def test_a_function_does_one_sentence_or_says_above_it_why_not() -> None:
    too_long: list[str] = []
    for module in _modules():
        lines = module.read_text().splitlines()
        for function in _functions(module):
            length = (function.end_lineno or function.lineno) - function.lineno + 1
            first = min([function.lineno, *(decorator.lineno for decorator in function.decorator_list)])
            excused = any(line.strip().startswith("# Long because") for line in lines[max(0, first - 4) : first - 1])
            if length > LONGEST_FUNCTION and not excused:
                too_long.append(f"{_place(module, function.lineno)} {function.name}: {length} lines")
    assert not too_long


def test_a_module_is_one_room() -> None:
    lengths = {module.relative_to(ROOT): len(module.read_text().splitlines()) for module in _modules()}
    assert not {module: length for module, length in lengths.items() if length > LONGEST_MODULE}


def test_no_name_is_an_empty_word() -> None:
    def empty(name: str) -> bool:
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().split("_")
        return bool(EMPTY_WORDS & set(words)) and name not in FOREIGN_NAMES

    modules = [_place(module, 1) for module in _modules() if empty(module.stem)]
    named = [
        f"{_place(module, node.lineno)} {node.name}"
        for module in _modules()
        for node in ast.walk(_tree(module))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and empty(node.name)
    ]
    assert not modules
    assert not named


def test_each_silenced_rule_has_its_code_and_each_silenced_type_a_reason() -> None:
    silent: list[str] = []
    for module in _files():
        if module.suffix != ".py" or not module.is_relative_to(ROOT / "mgate"):
            continue
        for token in tokenize.generate_tokens(io.StringIO(module.read_text()).readline):
            if token.type != tokenize.COMMENT or not re.search(r"type: ignore|noqa", token.string):
                continue
            if not re.search(r"type: ignore\[[\w, -]+\]\s+#\s*\S|noqa: [A-Z]+[0-9]+", token.string):
                silent.append(f"{_place(module, token.start[0])} {token.string}")
    assert not silent


def test_no_pure_room_reads_the_clock() -> None:
    reads: list[str] = []
    for module in _modules():
        if not str(module.relative_to(ROOT / "mgate")).startswith(PURE):
            continue
        for node in ast.walk(_tree(module)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CLOCK_READS:
                owner = ast.unparse(node.func.value)
                if owner.split(".")[-1] in {"datetime", "date"}:
                    reads.append(_place(module, node.lineno))
    assert not reads


def test_every_room_opens_with_its_rules() -> None:
    rooms = [module for module in _modules() if module.name == "__init__.py"]
    silent = [str(room.relative_to(ROOT)) for room in rooms if not ast.get_docstring(_tree(room))]
    assert not silent


def test_no_file_names_a_registry_or_the_machine_it_was_made_on() -> None:
    forbidden = re.compile("|".join(NOT_IN_THE_TREE))
    found = [
        f"{_place(file, number)}: {match[0]}"
        for file in _files()
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), start=1)
        if (match := forbidden.search(line))
    ]
    assert not found


def test_no_file_holds_a_key() -> None:
    block = re.compile(r"-----BEGIN (?:[A-Z]+ )?PRIVATE" + r" KEY-----")
    assert not [file for file in _files() if block.search(file.read_text(errors="replace"))]


def test_every_tool_can_be_run() -> None:
    # A suffix marks a file that another one reads or runs.
    tools = [file for file in _files() if file.parent in (ROOT / "tools", ROOT / ".ci") and not file.suffix]
    assert tools
    assert not [tool.name for tool in tools if not tool.stat().st_mode & 0o100]
    assert not [tool.name for tool in tools if not tool.read_text().startswith("#!")]
