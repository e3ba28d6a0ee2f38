"""A keyring of its own for each test, and a moment at which everything happens."""

from pathlib import Path

import pytest

from mgate.seal.keyfile import Kek
from mgate.seal.keyring import Cut, Group, Keyring

NOW = 1790000000.25
DATABASE = bytes(range(16))
OTP = Group("otp", Cut.HOUR, 86_400)
SERVICE = Group("service", Cut.DAY, 90 * 86_400)


@pytest.fixture
def kek() -> Kek:
    return Kek(bytes(range(100, 132)))


@pytest.fixture
def ring(tmp_path: Path, kek: Kek) -> Keyring:
    made = Keyring.create(tmp_path, kek, DATABASE)
    made.prepare((OTP, SERVICE), NOW)
    return made
