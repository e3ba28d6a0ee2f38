"""What every engine of the spool must do: the claims of ``mgate.spool.engine``, told of a ``Store`` and its ``Reader``.

An engine's test module inherits these classes (or ``StoreClaims``, which is all of them) and gives one fixture,
``open_place``. Nothing here may know which engine it is.
"""

from tests.conformance.store_acceptance import AcceptanceClaims
from tests.conformance.store_answers import OutcomeClaims
from tests.conformance.store_feeds import FeedClaims, NewsClaims
from tests.conformance.store_moves import MoveClaims
from tests.conformance.store_questions import QuestionClaims
from tests.conformance.store_receipts import ReceiptClaims
from tests.conformance.store_time import TimeClaims
from tests.conformance.store_wishes import CancelClaims, GroupClaims, ReleaseClaims


class StoreClaims(
    AcceptanceClaims,
    OutcomeClaims,
    MoveClaims,
    ReceiptClaims,
    CancelClaims,
    GroupClaims,
    ReleaseClaims,
    TimeClaims,
    QuestionClaims,
    FeedClaims,
    NewsClaims,
):
    """All of them."""
