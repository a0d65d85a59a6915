"""An excerpt of the ledger for the report: the most called endpoints of each state, with who still calls legacy."""

from collections import Counter

from msgspec.structs import replace

from strangler.core.documents import LedgerDocument, LedgerRow

MAX_OF_STATE = 100
MAX_CALLERS = 5


def excerpt(document: LedgerDocument) -> LedgerDocument:
    """Return the document with at most 100 endpoints of each state, the most called first, and 5 callers of each."""
    taken: Counter[str] = Counter()
    rows = []
    for row in sorted(document.rows, key=lambda row: (-row.calls.legacy - row.calls.candidate, row.endpoint)):
        taken[row.state] += 1
        if taken[row.state] <= MAX_OF_STATE:
            rows.append(_with_callers_of_legacy(row))
    return replace(document, rows=rows)


def _with_callers_of_legacy(row: LedgerRow) -> LedgerRow:
    """Return the row with those who call legacy, the latest first."""
    callers = [caller for caller in row.callers if caller.last_legacy is not None]
    callers.sort(key=lambda caller: (caller.last_legacy or "", caller.name), reverse=True)
    return replace(row, callers=callers[:MAX_CALLERS])
