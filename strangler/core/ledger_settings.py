"""The settings of the ledger: how long it keeps counts, when an endpoint is quiet, and how callers are named."""

from dataclasses import dataclass

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class LedgerSettings:
    keep_s: float = 400 * DAY_S
    quiet_s: float = 30 * DAY_S
    callers: str = "user-agent"  # lower-case name of the request field that names the caller
    by: tuple[str, ...] = ()  # `query:action`, `header:SOAPAction`: values that split one path into several endpoints
