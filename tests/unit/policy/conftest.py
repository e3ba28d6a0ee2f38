from collections.abc import Iterator

import pytest

from tests.peers.node import NodeOracle, running


@pytest.fixture(scope="session")
def node() -> Iterator[NodeOracle]:
    yield from running()
