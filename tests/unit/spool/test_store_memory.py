"""The store in memory, held to the claims of every store."""

import pytest

from mgate.spool.memory import MemoryStore
from tests.conformance.player import Open, Place, same_number
from tests.conformance.store import StoreClaims


@pytest.fixture
def open_place() -> Open:
    # Its memory is its disk: what ends with a process is only what was never committed.
    store = MemoryStore(same_number)
    return lambda: Place(store, store)


class TestMemoryStore(StoreClaims):
    pass
