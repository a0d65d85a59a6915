"""The lines of `strangler status` above its tables."""

import msgspec
import pytest

from strangler.cli._tables import notices
from strangler.control.api_reference.examples import STATUS
from strangler.core.documents import LedgerStatus


@pytest.mark.parametrize(
    ("ledger", "line"),
    [
        (
            LedgerStatus(0.254, {"legacy": 9, "quiet": 0, "probed": 7}, 0),
            "ledger: 9 endpoints (9 legacy); candidates served 25.4 % of the requests of the last 7 days",
        ),
        (
            LedgerStatus(1.0, {"deletable": 1}, 0),
            "ledger: 1 endpoint (1 deletable); candidates served 100 % of the requests of the last 7 days",
        ),
        (LedgerStatus(0.0, {"legacy": 0, "probed": 3}, 0), None),
        (None, None),
    ],
    ids=["several endpoints", "one", "only probes", "no ledger"],
)
def test_one_line_says_how_far_the_migration_is(ledger: LedgerStatus | None, line: str | None) -> None:
    status = msgspec.structs.replace(STATUS, ledger=ledger)
    assert [found for found in notices(status) if found.startswith("ledger")] == ([] if line is None else [line])
