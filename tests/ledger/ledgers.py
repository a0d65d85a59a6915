"""Ledgers for tests, made short: `called(state, "GET /orders/7", calls=3)`."""

from strangler.core.ledger.first_template import first_template
from strangler.core.ledger.rows import CallSum
from strangler.ledger.ledger_state import EndpointSum, LedgerState

DAY = 86_400.0
NOW = 20_000 * DAY + 3600
QUIET = 30 * DAY


def sum_of(
    endpoint: str,
    at: float = NOW,
    *,
    arm: str = "legacy",
    status: int = 200,
    calls: int = 1,
    caller: str = "Firefox",
    route: str = "",
) -> EndpointSum:
    """Calls as a worker sums them up; `endpoint` has a path as a client calls it."""
    method, _, path = endpoint.partition(" ")
    buckets = (0, calls, *(0,) * 13)
    return EndpointSum(
        method, first_template(path.encode()), path, CallSum(at, arm, status, caller, calls, buckets, route)
    )


def called(state: LedgerState, endpoint: str, at: float = NOW, **of_sum: object) -> None:
    """Count calls of an endpoint."""
    state.count([sum_of(endpoint, at, **of_sum)], QUIET)  # type: ignore[arg-type]
