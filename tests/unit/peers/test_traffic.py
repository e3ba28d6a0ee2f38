import json
from collections import Counter

import pytest

from mgate.peers.fingerprint import Fingerprint
from mgate.peers.traffic import LIVES, Maker, Mix
from mgate.policy.classes import RULES
from mgate.policy.segments import Alphabet, Segments, decode, split

KEY = Fingerprint(b"key")


def cut(text: str) -> list[str]:
    """The bodies that the product would send."""
    segments = split(text)
    assert isinstance(segments, Segments)
    return [decode(segments.alphabet, octets) for octets in segments.parts]


def test_the_same_seed_makes_the_same() -> None:
    one, two, other = (Maker(seed, Mix(), KEY) for seed in (1, 1, 2))
    first = [one.make().line for _ in range(200)]
    assert first == [two.make().line for _ in range(200)]
    assert not set(first) & {other.make().line for _ in range(200)}


def test_every_text_is_cut_where_the_fingerprints_say() -> None:
    maker = Maker(1, Mix(parts={1: 0.4, 2: 0.3, 3: 0.3}), KEY)
    seen: set[tuple[Alphabet, int]] = set()
    for _ in range(500):
        draft = maker.make()
        text = json.loads(draft.line)["text"]
        bodies = cut(text)
        seen.add((split(text).alphabet, len(bodies)))  # type: ignore[union-attr]  # cut() has seen that it is not
        numbers = [0] if len(bodies) == 1 else range(1, len(bodies) + 1)
        assert draft.texts == tuple(KEY.text(body, part) for body, part in zip(bodies, numbers, strict=True))
    assert seen == {(alphabet, parts) for alphabet in Alphabet for parts in (1, 2, 3)}


def test_no_two_bodies_are_alike() -> None:
    maker = Maker(1, Mix(parts={1: 0.4, 2: 0.6}), KEY)
    texts = [text for _ in range(2000) for text in maker.make().texts]
    assert len(set(texts)) == len(texts)


def test_the_mix_is_kept() -> None:
    maker = Maker(3, Mix(classes={"otp": 0.75, "marketing": 0.25}, short=0.5, short_life=7), KEY)
    drafts = [maker.make() for _ in range(2000)]
    counts = Counter(draft.traffic for draft in drafts)
    assert 1400 < counts["otp"] < 1600
    assert counts["otp"] + counts["marketing"] == 2000
    short = [draft for draft in drafts if draft.life == 7]
    assert 900 < len(short) < 1100
    assert all(json.loads(draft.line)["valid_for"] == 7 for draft in short)


def test_the_lives_are_those_that_the_bank_was_promised() -> None:
    assert {traffic.word: rules.life for traffic, rules in RULES.items()} == LIVES


def test_a_fingerprint_needs_its_key_and_tells_parts_apart() -> None:
    assert KEY.text("a") != Fingerprint().text("a")
    assert len({KEY.text("a"), KEY.text("a", 1), KEY.text("a", 2)}) == 3


@pytest.mark.parametrize("lone", ["\ud83c"])
def test_a_lone_surrogate_has_a_fingerprint(lone: str) -> None:
    assert len(KEY.text(lone)) == 16
