"""Whole instances as processes, each in a folder of its own."""

from collections.abc import Iterator

import pytest

from tests.integration.instance import House


@pytest.fixture
def house() -> Iterator[House]:
    """An instance that is not made yet; its processes never outlive the test."""
    built = House()
    try:
        yield built
    finally:
        built.end()
