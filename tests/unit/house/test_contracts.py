"""The import contracts of setup.cfg hold, and each of them would notice when it is broken."""

import configparser
import json
import shutil
import subprocess
import sys
from dataclasses import astuple, dataclass
from functools import cache
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[3]

# In this room pure cores and their coats live side by side; a module of it is one or the other.
COATS = {"mgate.channels.smpp": {"bind", "channel", "dial", "hosts", "link", "owner", "suspicion", "throttle"}}
WHOLLY_PURE = {"mgate.model", "mgate.policy"}


@dataclass(frozen=True, slots=True)
class Break:
    """An import that one contract must refuse."""

    contract: str
    importer: str
    imported: str


def _breaks() -> list[Break]:
    pure = [
        Break("pure", core, forbidden)
        for core in _lines("pure", "source_modules")
        for forbidden in _lines("pure", "forbidden_modules")
    ]
    strangers = [
        Break(contract, "mgate.policy.attic", package)
        for contract in ("nacl", "smpplib", "psycopg", "openssl", "cryptography", "click", "prometheus")
        for package in _lines(contract, "forbidden_modules")
    ]
    return [
        Break("floors", "mgate.model.attic", "mgate.policy"),
        Break("floors", "mgate.policy.attic", "mgate.config"),
        Break("floors", "mgate.config", "mgate.seal"),
        Break("floors", "mgate.config", "mgate.telemetry"),
        Break("floors", "mgate.seal.attic", "mgate.spool"),
        Break("floors", "mgate.spool.attic", "mgate.net"),
        Break("floors", "mgate.net.attic", "mgate.spool"),
        Break("floors", "mgate.net.attic", "mgate.intake"),
        Break("floors", "mgate.intake.attic", "mgate.dispatch"),
        Break("floors", "mgate.dispatch.attic", "mgate.channels.smpp"),
        Break("floors", "mgate.channels.smpp.attic", "mgate.intake"),
        Break("floors", "mgate.control.attic", "mgate.dispatch"),
        Break("floors", "mgate.control.attic", "mgate.daemon"),
        Break("floors", "mgate.intake.attic", "mgate.peers.smsc"),
        Break("floors", "mgate.daemon.attic", "mgate.peers.smsc"),
        Break("floors", "mgate.attic", "mgate.model"),  # a room to which nobody gave a floor
        *pure,
        *strangers,
        Break("nacl", "mgate.daemon.attic", "nacl"),
        Break("smpplib", "mgate.channels.smpp.bind", "smpplib"),
        Break("openssl", "mgate.net.peers", "OpenSSL"),
        Break("psycopg", "mgate.intake.sources.attic", "psycopg"),
        Break("click", "mgate.control.attic", "click"),
        Break("prometheus", "mgate.daemon.attic", "prometheus_client"),
        Break("channels", "mgate.channels.attic", "mgate.channels.smpp"),
        Break("channels", "mgate.channels.smpp.attic", "mgate.channels.attic"),
        *(Break("hatch", "mgate.control.cli", room) for room in _lines("hatch", "forbidden_modules")),
        *(Break("hatch", "mgate.config", room) for room in ("twisted", "asyncio")),
        *(Break("peers", "mgate.peers.attic", room) for room in _lines("peers", "forbidden_modules")),
    ]


@cache
def _graph() -> grimp.ImportGraph:
    return grimp.build_graph("mgate", include_external_packages=True, cache_dir=None)


@cache
def _setup_cfg() -> configparser.ConfigParser:
    parsed = configparser.ConfigParser()
    parsed.read(ROOT / "setup.cfg")
    return parsed


def _contracts() -> set[str]:
    prefix = "importlinter:contract:"
    return {section.removeprefix(prefix) for section in _setup_cfg().sections() if section.startswith(prefix)}


def _lines(contract: str, option: str) -> list[str]:
    return _setup_cfg()[f"importlinter:contract:{contract}"][option].split()


def test_every_contract_is_kept_and_refuses_each_import_that_breaks_it() -> None:
    breaks = _breaks()
    assert {each.contract for each in breaks} == _contracts()
    run = subprocess.run(
        [sys.executable, "tests/unit/house/try_breaks.py"],
        input=json.dumps([astuple(each) for each in breaks]),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == {"broken": [], "unnoticed": []}


def test_lint_imports_fails_on_a_copy_of_the_tree_with_a_forbidden_import(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "mgate", tmp_path / "mgate", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    (tmp_path / "mgate" / "model" / "attic.py").write_text("import mgate.policy\nimport sqlite3\n")
    lint = Path(sys.executable).parent / "lint-imports"
    run = subprocess.run([lint, "--no-cache", "--no-logo"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "mgate.model.attic -> mgate.policy" in run.stdout, run.stdout
    assert "mgate.model.attic -> sqlite3" in run.stdout, run.stdout


def test_every_module_beside_a_pure_core_is_declared_pure_or_a_coat() -> None:
    pure = set(_lines("pure", "source_modules"))
    assert pure >= WHOLLY_PURE
    for room, coats in COATS.items():
        modules = {module for module in _graph().modules if module.startswith(f"{room}.")}
        undeclared = {module for module in modules if module not in pure and module.split(".")[-1] not in coats}
        assert not undeclared, f"name them in [importlinter:contract:pure] of setup.cfg, or in COATS here: {undeclared}"
        assert not pure & {f"{room}.{coat}" for coat in coats}


def test_a_package_around_a_pure_core_imports_nothing_impure() -> None:
    pure = set(_lines("pure", "source_modules"))
    around = {module.rpartition(".")[0] for module in pure} | {"mgate.channels"}
    for package in around & _graph().modules:
        imported = _graph().find_modules_directly_imported_by(package)
        assert {module for module in imported if module.startswith("mgate")} <= pure, package
        assert not imported & set(_lines("pure", "forbidden_modules")), package


def test_the_contracts_know_every_room() -> None:
    rooms = {module for module in _graph().modules if module.startswith("mgate.") and module.count(".") == 1}
    allowed_to_peers = {"mgate.channels", "mgate.model", "mgate.policy", "mgate.peers"}
    listed = {".".join(module.split(".")[:2]) for module in _lines("peers", "forbidden_modules")}
    assert rooms - allowed_to_peers <= listed
    smpp = {module for module in _graph().modules if module.startswith("mgate.channels.smpp.")}
    codec = {"mgate.channels.smpp.framing", "mgate.channels.smpp.pdu"}
    assert smpp - codec <= set(_lines("peers", "forbidden_modules"))
    allowed_to_the_hatch = {"mgate.config", "mgate.control", "mgate.model", "mgate.peers", "mgate.policy", "mgate.seal"}
    assert rooms - allowed_to_the_hatch <= set(_lines("hatch", "forbidden_modules"))


def test_no_folder_of_the_package_is_invisible_to_the_contracts() -> None:
    folders = {file.parent for file in (ROOT / "mgate").rglob("*.py")}
    assert not [folder for folder in folders if not (folder / "__init__.py").exists()]
