"""The claims of the conformance suite stand outside the tests' own modules, and are to fail as readably."""

import pytest

for _module in (
    "player",
    "store_acceptance",
    "store_answers",
    "store_questions",
    "store_receipts",
    "store_time",
    "store_wishes",
):
    pytest.register_assert_rewrite(f"tests.conformance.{_module}")
