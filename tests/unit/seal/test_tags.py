"""Equal values have equal tags, and nothing else is told."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mgate.seal.errors import NoKey
from mgate.seal.keyring import Keyring
from mgate.seal.tags import Tags

PHONE = "+375291110001"
NAMES = st.text(st.characters(codec="utf-8"), max_size=8)


@pytest.fixture
def tags(ring: Keyring) -> Tags:
    return Tags(ring)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(one=st.tuples(NAMES, NAMES), other=st.tuples(NAMES, NAMES))
def test_two_references_have_one_tag_only_if_client_and_reference_are_equal(
    tags: Tags, one: tuple[str, str], other: tuple[str, str]
) -> None:
    assert (tags.ref_tag(*one) == tags.ref_tag(*other)) == (one == other)
    assert (tags.operator_id_tag(*one) == tags.operator_id_tag(*other)) == (one == other)


def test_where_the_name_ends_and_the_value_begins_is_never_in_doubt(tags: Tags) -> None:
    assert tags.ref_tag("ab", "c") != tags.ref_tag("a", "bc")
    assert tags.content_tag("ab", b"c") != tags.content_tag("a", b"bc")


def test_a_value_has_another_tag_of_every_kind(tags: Tags) -> None:
    made = {
        tags.phone_tag(1, PHONE),
        tags.phone_tag(2, PHONE),
        tags.ref_tag("x", PHONE),
        tags.content_tag("x", PHONE.encode()),
        tags.operator_id_tag("x", PHONE),
    }
    assert len(made) == 5
    assert {len(tag) for tag in made} == {16}


def test_a_number_cannot_be_found_any_more_when_its_period_was_destroyed(ring: Keyring, tags: Tags) -> None:
    tags.phone_tag(1, PHONE)
    ring.destroy(1)
    with pytest.raises(NoKey):
        tags.phone_tag(1, PHONE)


def test_nothing_of_a_destroyed_key_is_kept_for_the_next_tag(ring: Keyring, tags: Tags) -> None:
    first = tags.phone_tag(1, PHONE)
    assert tags.phone_tag(1, PHONE) == first
    ring.destroy(1)
    tags.phone_tag(2, PHONE)
    assert list(tags._phone) == [2]


def test_references_outlive_every_period(ring: Keyring, tags: Tags) -> None:
    before = tags.ref_tag("local", "A-1")
    ring.destroy(1, 2)
    assert Tags(ring).ref_tag("local", "A-1") == before
