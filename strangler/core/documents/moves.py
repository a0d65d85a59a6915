"""The document of `strangler plan --json`: the calls that a change of routes.yaml moves."""

from msgspec import Struct, field


class CallerCalls(Struct, frozen=True):
    """A caller of an endpoint, and its calls in the log."""

    name: str
    calls: int


class ServedDocument(Struct, frozen=True):
    """How calls are served under one of the two files."""

    route: str | None
    percent: float
    upstream: str
    rewrite: str | None
    shadow_percent: float
    shadow_to: str | None
    response_timeouts_s: list[float | None]
    refused: int | None
    sunset: str | None


class ChangeDocument(Struct, frozen=True):
    """Calls of one endpoint that the two files serve in different ways."""

    endpoint: str
    route: str | None
    from_: str = field(name="from")
    to: str
    calls_per_day: float | None
    """Those for which anything differs; null if the log covers no hour."""
    callers: list[CallerCalls]
    method: str
    path: str
    calls: int
    """All calls of the log that are served so."""
    affected_calls: float
    kinds: list[str]
    needs: list[str]
    unknown: list[str]
    why: list[str]
    before: ServedDocument
    after: ServedDocument


class LogDocument(Struct, frozen=True):
    """An access log that was read."""

    name: str
    format: str
    calls: int
    skipped: list[str]


class MovesDocument(Struct, frozen=True):
    """The calls of a log that a change of routes.yaml moves."""

    days: float | None
    changes: list[ChangeDocument]
    calls: int
    endpoints: int
    moved_endpoints: int
    moved_calls_per_day: float | None
    moved_writes: int
    missed_changes: int
    missed_calls: int
    unmatched_routes: list[str]
    possible_routes: list[str]
    served: dict[str, list[float]]
    notes: list[str]
    logs: list[LogDocument]
    failed: dict[str, list[str]]
