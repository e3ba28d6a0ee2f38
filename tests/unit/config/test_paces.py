from collections.abc import Callable
from pathlib import Path

import pytest

from mgate.config import Config, ConfigError, read
from mgate.config.changes import When, differences, taken_up
from mgate.config.paces import Pace
from tests.unit.config.test_routes import ACCOUNTS

Reads = Callable[[str], Config]


@pytest.fixture
def reads(tmp_path: Path) -> Reads:
    def read_it(text: str) -> Config:
        file = tmp_path / "mgate.toml"
        file.write_text(ACCOUNTS + text)
        return read(file)

    return read_it


def test_a_pace_is_for_marketing_unless_it_says_more(reads: Reads) -> None:
    config = reads('[paces.spring]\nrate = 50\ntags = ["spring"]\n')
    assert config.paces == (Pace(name="spring", rate=50, tags=("spring",)),)
    assert config.paces[0].classes == ("marketing",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[paces.x]\n", "[paces.x] rate: is missing"),
        ('[paces.x]\nrate = 1\nclasses = ["otp"]\n', "[paces.x] classes: "),
        ('[paces.x]\nrate = 1\nclients = ["crm"]\n', '[paces.x] clients: "crm" is no client; there are: "local"'),
    ],
)
def test_what_cannot_be_meant_is_told(reads: Reads, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as told:
        reads(text)
    assert said in str(told.value)


def test_routes_quality_and_paces_are_taken_up_at_once(reads: Reads) -> None:
    before = reads("")
    after = reads(
        '[paces.x]\nrate = 1\n[routing]\nno_bind = "2m"\n[quality]\nleast = 20\n[routes.rest]\naccounts = ["op-b"]\n'
    )
    changes = differences(before, after)
    assert {change.section for change in changes} == {"paces.x", "routing", "quality", "routes.rest"}
    assert {change.when for change in changes} == {When.AT_ONCE}
    assert taken_up(before, after) == after
