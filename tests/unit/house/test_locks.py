"""The lock files pin everything, by hash, without saying where it comes from."""

import configparser
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE)


def _pins(lock: str) -> dict[str, str]:
    return {name: version for name, version, _ in PIN.findall((ROOT / lock).read_text())}


def _normal(requirement: str) -> str:
    return re.split(r"[ \[<>=!~;]", requirement.strip())[0].lower().replace("_", "-").replace(".", "-")


def _setup_cfg(section: str, option: str) -> list[str]:
    parsed = configparser.ConfigParser()
    parsed.read(ROOT / "setup.cfg")
    return [line for line in parsed[section][option].split("\n") if line]


@pytest.mark.parametrize("lock", ["requirements.txt", "requirements-dev.txt"])
def test_a_lock_holds_pins_and_hashes_and_nothing_else(lock: str) -> None:
    rest = PIN.sub("", (ROOT / lock).read_text())
    assert not [line for line in rest.splitlines() if line and not line.startswith("#")]
    assert "://" not in rest


def test_every_dependency_of_setup_cfg_is_locked() -> None:
    runtime = _setup_cfg("options", "install_requires")
    development = _setup_cfg("options.extras_require", "dev")
    assert {_normal(each) for each in runtime} <= _pins("requirements.txt").keys()
    assert {_normal(each) for each in development} <= _pins("requirements-dev.txt").keys()


def test_what_is_tested_is_what_is_shipped() -> None:
    assert _pins("requirements.txt").items() <= _pins("requirements-dev.txt").items()


def test_the_build_uses_the_locked_setuptools_and_wheel() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    assert {tuple(each.split("==")) for each in build} <= set(_pins("requirements.txt").items())
    assert {_normal(each) for each in build} == {"setuptools", "wheel"}
