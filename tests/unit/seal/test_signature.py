"""What an instance signs, anybody can check; and what is put aside on the disk for a moment is noise afterwards."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgate.seal.errors import Tampered
from mgate.seal.keyfile import Kek
from mgate.seal.keyring import Keyring
from mgate.seal.scratch import Scratch
from mgate.seal.signature import (
    BadPublicKey,
    NotSigned,
    SignedLines,
    Signer,
    check_lines,
    pem,
    read_pem,
    verified,
)

SENTENCE = b"mgate reckoning 1\nall is well\n"


def test_the_signature_of_an_instance_holds_for_its_sentence_and_for_no_other(ring: Keyring) -> None:
    signer = Signer(ring)
    signature = signer.sign(SENTENCE)
    assert verified(signer.public, SENTENCE, signature)
    assert not verified(signer.public, SENTENCE + b" ", signature)
    assert not verified(signer.public, SENTENCE, bytes(64))
    assert not verified(signer.public, SENTENCE, b"")
    assert not verified(bytes(32), SENTENCE, signature)


def test_an_instance_signs_with_the_same_key_after_a_restart(ring: Keyring, kek: Kek, tmp_path: Path) -> None:
    assert Signer(Keyring.open(tmp_path, kek)).public == Signer(ring).public


def test_two_instances_sign_with_two_keys(ring: Keyring, kek: Kek, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    assert Signer(Keyring.create(other, kek, bytes(16))).public != Signer(ring).public


def test_openssl_reads_the_public_key_and_believes_the_signature(ring: Keyring, tmp_path: Path) -> None:
    signer = Signer(ring)
    files = {"key": pem(signer.public).encode(), "said": SENTENCE, "signature": signer.sign(SENTENCE)}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    command = "openssl pkeyutl -verify -pubin -inkey key -rawin -in said -sigfile signature"
    assert subprocess.run(command.split(), cwd=tmp_path, check=False, capture_output=True).returncode == 0
    (tmp_path / "said").write_bytes(SENTENCE.upper())
    assert subprocess.run(command.split(), cwd=tmp_path, check=False, capture_output=True).returncode != 0


@given(st.binary(min_size=32, max_size=32))
def test_a_public_key_is_read_as_it_was_written(public: bytes) -> None:
    assert read_pem(pem(public)) == public


@pytest.mark.parametrize(
    "text",
    ["", "ssh-ed25519 AAAA", pem(bytes(31)), pem(bytes(32)).replace("MCow", "MCo*"), pem(bytes(32))[30:]],
)
def test_what_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(BadPublicKey):
        read_pem(text)


def test_a_signer_says_nothing_of_its_key(ring: Keyring) -> None:
    assert ring.long_index_key.hex() not in repr(Signer(ring))


def test_what_is_put_aside_comes_back_under_its_number_and_with_its_key_only() -> None:
    scratch = Scratch()
    put = scratch.seal(7, b"ord-1\0ord-2")
    assert b"ord" not in put
    assert scratch.unseal(7, put) == b"ord-1\0ord-2"
    for other, number, sealed in [(scratch, 8, put), (Scratch(), 7, put), (scratch, 7, put[:-1]), (scratch, 7, b"")]:
        with pytest.raises(Tampered):
            other.unseal(number, sealed)


@given(st.text(), st.text())
def test_two_texts_have_one_tag_only_if_they_are_equal(one: str, other: str) -> None:
    scratch = Scratch()
    assert (scratch.tag(one) == scratch.tag(other)) == (one == other)
    assert Scratch().tag(one) != scratch.tag(one)


KIND = "reckoning 1"


def signed(ring: Keyring, *lines: bytes) -> list[bytes]:
    whole = SignedLines(Signer(ring), KIND)
    return [*(whole.line(line) for line in lines), whole.last()]


def test_lines_that_were_signed_are_believed(ring: Keyring) -> None:
    for lines in ([], [b"one"], [b"one", b"two"]):
        check_lines(KIND, signed(ring, *lines), Signer(ring).public)


def test_lines_that_were_changed_left_out_added_or_turned_round_are_not(ring: Keyring) -> None:
    one, two, last = signed(ring, b"one", b"two")
    for lines in ([one, b"tw0\n", last], [one, last], [one, two, two, last], [two, one, last], [one, two], [], [last]):
        with pytest.raises(NotSigned):
            check_lines(KIND, lines, Signer(ring).public)


def test_lines_of_another_instance_or_of_another_kind_are_not_believed(ring: Keyring, kek: Kek, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Keyring.create(tmp_path / "other", kek, bytes(16))
    with pytest.raises(NotSigned, match="another instance"):
        check_lines(KIND, signed(other, b"one"), Signer(ring).public)
    with pytest.raises(NotSigned, match="forged"):
        check_lines("audit 1", signed(ring, b"one"), Signer(ring).public)


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_no_octet_of_a_signed_file_can_be_changed(position: int, value: int) -> None:
    whole = b"".join(SIGNED)
    changed = whole[: position % len(whole)] + bytes([value]) + whole[position % len(whole) + 1 :]
    lines = changed.splitlines(keepends=True)
    if changed == whole:
        check_lines(KIND, lines, PUBLIC)
    else:
        with pytest.raises(NotSigned):
            check_lines(KIND, lines, PUBLIC)


def _made() -> tuple[bytes, list[bytes]]:
    with tempfile.TemporaryDirectory() as folder:
        ring = Keyring.create(Path(folder), Kek(bytes(32)), bytes(16))
        return Signer(ring).public, signed(ring, b'{"core": 2}', b'{"differs": "missing"}')


PUBLIC, SIGNED = _made()
