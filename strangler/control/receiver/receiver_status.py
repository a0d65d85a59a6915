"""The current state of the receiver."""

from strangler.control.receiver.receiving import RECEIVED, RESULTS
from strangler.control.totals import TotalsState
from strangler.core.documents import ReceiverStatus
from strangler.core.settings import Settings


def receiver_status(listen: str, totals: TotalsState, settings: Settings) -> ReceiverStatus | None:
    """Return the status of the receiver; None if there is none."""
    if not listen:
        return None
    counts = {str(result): int(totals.counter(RECEIVED, result)) for result in RESULTS}
    return ReceiverStatus(listen, settings.workers == 0, counts)
