from pathlib import Path

import pytest

from mgate.channels.smpp.pdu import ESME_RTHROTTLED
from mgate.peers.smsc.script import ScriptError, load, read, status_number

SHIPPED = sorted((Path(__file__).parents[3] / "etc" / "smsc").glob("*.toml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_script_can_be_used(path: Path) -> None:
    assert load(path).account.system_id == "mgate"


def test_there_are_scripts_to_ship() -> None:
    assert {path.stem for path in SHIPPED} >= {
        "calm", "slow", "throttling", "hex-ids", "silent", "flapping", "hostile"
    }  # fmt: skip


def test_an_empty_script_is_a_calm_operator() -> None:
    script = read("")
    assert script.receipts.states == {"DELIVRD": 1.0}
    assert script.latency.submit == 0.0


def test_unknown_keys_are_all_named_with_their_nearest() -> None:
    with pytest.raises(ScriptError) as refused:
        read("prot = 1\n[receipts]\ndelays = 1\n[silense]\nx = 1\n")
    assert str(refused.value).splitlines() == [
        "prot is not known; the nearest is port",
        "receipts.delays is not known; the nearest is delay",
        "silense is not known; the nearest is silence",
    ]


@pytest.mark.parametrize(
    ("toml", "sentence"),
    [
        ("port = 70000", "port"),
        ("[silence]\nsubmits = 1.5", "silence.submits"),
        ("[receipts]\nstates = { DELIVRD = 0.5 }", "they must make 1"),
        ("[receipts]\nstates = { DELIVERED = 1.0 }", "receipts.states"),
        ("[latency]\nsubmit = [2.0, 1.0]", "latency.submit"),
        ("[latency]\nsubmit = -1.0", "latency.submit"),
        ("[errors]\nshares = { ESME_RTHROTLED = 0.1 }", "the nearest is ESME_RTHROTTLED"),
        ("[errors]\nshares = { '0x400' = 0.9 }\n[throttling]\nqueue_full = 0.2", "over 1"),
        ("port = ", "is not TOML"),
    ],
)
def test_a_wrong_value_is_refused_by_name(toml: str, sentence: str) -> None:
    with pytest.raises(ScriptError, match=sentence):
        read(toml)


def test_a_mistake_is_told_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("prot = 1")
    with pytest.raises(ScriptError, match=r"mine\.toml: prot is not known"):
        load(path)
    with pytest.raises(ScriptError, match=r"none\.toml: No such file"):
        load(tmp_path / "none.toml")


@pytest.mark.parametrize("status", ["ESME_RTHROTTLED", "0x58", "88", 88])
def test_a_status_is_a_name_or_a_number(status: str | int) -> None:
    assert status_number(status) == ESME_RTHROTTLED


def test_a_certificate_without_its_key_is_refused() -> None:
    with pytest.raises(ScriptError, match="tls: certificate and key_file belong together"):
        read('[tls]\ncertificate = "smsc.pem"\n')
