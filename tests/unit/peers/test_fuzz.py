"""Whatever octets come, the readers answer with typed errors, soon and in flat memory; and a broken reader is found."""

from __future__ import annotations

import mmap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgate.channels.smpp import framing, pdu, receipt, session
from mgate.intake import lines, quick, request
from mgate.net import routing
from mgate.peers.fuzz import campaign, main, seeds
from mgate.peers.fuzz.targets import TARGETS, Target
from mgate.peers.smsc import content

ROOT = Path(__file__).resolve().parents[3]
BY_NAME = {target.name: target for target in TARGETS}
each_target = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)


@each_target
def test_former_findings_stay_mended(target: Target) -> None:
    for case in seeds.kept(ROOT / main.CORPUS, target.name):
        target.run(case)


@each_target
def test_the_corpus_and_its_first_children_are_read(target: Target) -> None:
    result = campaign.attack(target._replace(huge=()), 300, seed=1)
    assert [finding for finding in result.findings if finding.kind != "slow"] == []  # a tracer slows all


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(list(BY_NAME)), st.data())
def test_no_octets_at_all_break_a_reader(name: str, data: st.DataObject) -> None:
    target = BY_NAME[name]
    pieces = st.one_of(st.binary(max_size=64), st.sampled_from(target.seeds), st.sampled_from(target.words))
    target.run(b"".join(data.draw(st.lists(pieces, max_size=4))))


# ---- a target that finds nothing proves nothing --------------------------------------------------------------------

Patch = Callable[[pytest.MonkeyPatch], None]


def _wrap(owner: object, name: str, wrong: Callable[..., Any]) -> Patch:
    """`wrong` stands in the place of owner.name and gets the right one first."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        right = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *given, **named: wrong(right, *given, **named))

    return patch


def _index_error_at_an_empty_state(right: Callable[..., Any], body: bytes, offset: int) -> pdu.Tlvs:
    tlvs: pdu.Tlvs = right(body, offset)
    tlvs.get(pdu.TLV_MESSAGE_STATE, b"\x02")[0]
    return tlvs


def _loses_the_only_octet(right: Callable[..., Any], framer: framing.Framer, data: bytes) -> Any:
    return right(framer, data if len(data) != 1 else b"")


def _forgets_the_error(right: Callable[..., Any], body: bytes) -> Any:
    usual = right(body)
    return usual and usual._replace(reason=usual.reason.split()[0])


def _no_number(right: Callable[..., Any], message: pdu.DeliverSm) -> Any:
    int(message.tlvs.get(pdu.TLV_NETWORK_ERROR_CODE, b"\x03\x00\x0b").hex(), 16)
    return right(message)


def _beyond_the_header(right: Callable[..., Any], header: bytes) -> Any:
    if header[:1] == b"\x05":
        header[header[1]]
    return right(header)


def _loses_the_nacked(right: Callable[..., Any], link: Any, turn: Any, frame: Any) -> None:
    link._waiting.pop(frame.sequence)


def _meta_is_never_null(right: Callable[..., Any], given: dict[str, Any]) -> Any:
    given["meta"].__sizeof__() if given["meta"] is not None else given["met"]
    return right(given)


def _strips(right: Callable[..., Any], cutter: lines.Lines, data: bytes) -> Any:
    return right(cutter, data.rstrip(b"\r"))


def _decodes_strictly(right: Callable[..., Any], segment: bytes) -> str:
    return unquote_to_bytes(segment).decode("utf-8")


class _AnyNumber(int):
    """Equal to every other, whatever is added."""

    def __add__(self, other: int) -> _AnyNumber:
        return self

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = int.__hash__


def _ponders(right: Callable[..., Any], body: bytes) -> Any:
    until = time.thread_time() + (0.0015 if b"\x1e\x00\x00" in body else 0.0)
    while time.thread_time() < until:
        pass
    return right(body)


BREAKS: list[tuple[str, Patch, str]] = [
    ("framer", _wrap(framing.Framer, "feed", _loses_the_only_octet), "Broken"),
    ("pdu", _wrap(pdu, "parse_tlvs", _index_error_at_an_empty_state), "IndexError"),
    ("pdu", _wrap(pdu, "parse_bind", _ponders), "slow"),
    ("receipt", _wrap(receipt, "usual_receipt", _forgets_the_error), "Broken"),
    ("receipt", _wrap(receipt, "read_receipt", _no_number), "ValueError"),
    ("udh", _wrap(content, "_concatenation", _beyond_the_header), "IndexError"),
    ("session", _wrap(session.Session, "_misfit", _loses_the_nacked), "Broken"),
    ("request", _wrap(request, "_meta", _meta_is_never_null), "KeyError"),
    ("request", _wrap(quick, "_colons", lambda right, form: _AnyNumber()), "Broken"),
    ("lines", _wrap(lines.Lines, "feed", _strips), "Broken"),
    ("http", _wrap(routing, "decoded", _decodes_strictly), "HttpParserCallbackError"),
]


@pytest.mark.parametrize(("name", "broken", "found"), BREAKS, ids=[f"{name}-{found}" for name, _, found in BREAKS])
def test_a_reader_broken_on_purpose_is_found(
    name: str, broken: Patch, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch)
    result = campaign.attack(BY_NAME[name]._replace(huge=()), 15_000, seed=7, most=1)
    assert [finding for finding in result.findings if finding.kind.startswith(found)], result.findings
    assert not result.good


def test_a_reader_that_keeps_what_it_read_is_found() -> None:
    # Pages of the kernel's own: what other tests have let go of in this process would be used again unseen.
    kept: list[mmap.mmap] = []

    def leaks(_case: bytes) -> int:
        kept.append(mmap.mmap(-1, 1 << 18))
        kept[-1].write(bytes(1 << 18))
        return 1

    result = campaign.attack(BY_NAME["lines"]._replace(run=leaks, huge=()), 300, seed=7)
    for pages in kept:
        pages.close()
    assert result.grown >= campaign.MOST_GROWTH
    assert not result.good


def test_a_finding_is_told_by_its_shortest_case_and_by_the_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(case: bytes) -> int:
        if b"\xff" in case:
            raise KeyError(case)
        return 1

    monkeypatch.setattr(main, "TARGETS", (BY_NAME["udh"]._replace(run=fails),))
    assert main.main(["--cases", "500", "--seed", "1"]) == 1
    said = capsys.readouterr().out.splitlines()
    assert any("FINDING KeyError at test_fuzz.py" in line for line in said)
    assert "ff" in [line.strip() for line in said]


def test_the_same_seed_makes_the_same_cases() -> None:
    heard: list[bytes] = []

    def notes(case: bytes) -> int:
        heard.append(case)
        return 1

    def cases() -> list[bytes]:
        heard.clear()
        campaign.attack(BY_NAME["http"]._replace(run=notes), 500, seed=3)
        return list(dict.fromkeys(heard))  # a case that seemed slow is read again

    assert cases() == cases()


def test_an_unknown_target_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main.main(["frame"])
    assert "the targets are framer, pdu" in capsys.readouterr().err


def test_former_findings_are_read_from_a_file_with_remarks(tmp_path: Path) -> None:
    (tmp_path / "pdu.hex").write_text("00ff  # a remark\n\n7f\n")
    assert seeds.kept(tmp_path, "pdu") == [b"\x00\xff", b"", b"\x7f"]
    assert seeds.kept(tmp_path, "http") == []
