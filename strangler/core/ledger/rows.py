"""The rows of the ledger: what is known of each endpoint, bounded. Control keeps them from the sums of workers."""

from collections.abc import Callable
from dataclasses import dataclass, field

from strangler.core.ledger.counts import History, by_status, summed_buckets
from strangler.core.ledger.states import Activity
from strangler.core.ledger.word_classes import OVERFLOW

MAX_ROWS = 5000
MAX_CALLERS = 50
_REFUSALS = frozenset({400, 401, 403, 404, 405})
_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


@dataclass(frozen=True, slots=True)
class CallSum:
    """Calls of one endpoint that are alike, as a worker sums them up: one arm, one status, one caller."""

    at: float
    is_candidate: bool
    status: int
    caller: str
    calls: int = 1
    buckets: tuple[int, ...] = ()
    """How many took how long, by the bounds of the metrics."""


@dataclass(slots=True)
class EndpointRow:
    """One endpoint. Times are Unix times."""

    method: str
    template: str
    source: str
    """`traffic`, `import` or `route`."""
    known_since: float
    example: str = ""
    owner: str | None = None
    history: History = field(default_factory=History)
    callers: dict[str, int] = field(default_factory=dict)
    legacy_buckets: list[int] = field(default_factory=list)
    candidate_buckets: list[int] = field(default_factory=list)
    first_seen: float | None = None
    last_seen: float | None = None
    last_legacy: float | None = None
    last_served: float | None = None
    """The last call with a response that no probe gets."""
    probes: int = 0

    def record(self, calls: CallSum, quiet_s: float) -> bool:
        """Count calls; return False if they are probes, which keep nothing alive and teach nothing."""
        if not is_refusal(self.method, calls.status):
            self.last_served = max(calls.at, self.last_served or calls.at)
        if self.last_served is None or calls.at - self.last_served >= quiet_s:
            self.probes += calls.calls
            self.history.on(calls.at).probes += calls.calls
            return False
        self._count(calls)
        return True

    def _count(self, calls: CallSum) -> None:
        day = self.history.on(calls.at)
        name = by_status(calls.status)
        day.statuses[name] = day.statuses.get(name, 0) + calls.calls
        self.first_seen = min(calls.at, self.first_seen or calls.at)
        self.last_seen = max(calls.at, self.last_seen or calls.at)
        if calls.is_candidate:
            day.candidate += calls.calls
            self.candidate_buckets = summed_buckets(self.candidate_buckets, calls.buckets)
        else:
            day.legacy += calls.calls
            self.last_legacy = max(calls.at, self.last_legacy or calls.at)
            self.legacy_buckets = summed_buckets(self.legacy_buckets, calls.buckets)
        add_caller(self.callers, calls.caller, calls.calls)

    @property
    def activity(self) -> Activity:
        """Return what decides the state."""
        has_probes_alone = self.source == "traffic" and self.first_seen is None
        return Activity(self.known_since, self.last_seen, self.last_legacy, has_probes_alone)

    def merge(self, other: "EndpointRow") -> None:
        """Add another row, whose template is now this row's."""
        self.history.merge(other.history)
        for name, calls in other.callers.items():
            add_caller(self.callers, name, calls)
        self.legacy_buckets = summed_buckets(self.legacy_buckets, other.legacy_buckets)
        self.candidate_buckets = summed_buckets(self.candidate_buckets, other.candidate_buckets)
        self.probes += other.probes
        self.known_since = min(self.known_since, other.known_since)
        self.first_seen = _either(min, self.first_seen, other.first_seen)
        self.last_seen = _either(max, self.last_seen, other.last_seen)
        self.last_legacy = _either(max, self.last_legacy, other.last_legacy)
        self.last_served = _either(max, self.last_served, other.last_served)
        self.example = self.example or other.example
        self.owner = self.owner or other.owner
        self.source = self.source if self.source != "traffic" else other.source


def is_refusal(method: str, status: int) -> bool:
    """Return True for a response that a probe gets: 400, 401, 403, 404, 405, or a redirect.

    A redirect after a write (POST, 303) is the usual response to a form that was processed, so it is none.
    """
    return status in _REFUSALS or (300 <= status < 400 and status != 304 and method in _SAFE)


def _either(choose: Callable[[float, float], float], first: float | None, second: float | None) -> float | None:
    if first is None or second is None:
        return first if second is None else second
    return choose(first, second)


def add_caller(callers: dict[str, int], name: str, calls: int) -> None:
    """Count calls of a caller; without room for another name they count under `…`."""
    if name not in callers and len(callers) >= MAX_CALLERS - 1:
        name = OVERFLOW
    callers[name] = callers.get(name, 0) + calls


@dataclass(slots=True)
class LedgerRowsState:
    """All rows by method and template (`GET /orders/{}`). What has no room counts under `…`."""

    rows: dict[str, EndpointRow] = field(default_factory=dict)
    left_out: int = 0
    """The calls that were counted under `…`."""

    def record(self, method: str, template: str, calls: CallSum, quiet_s: float, example: str = "") -> bool:
        """Count calls of an endpoint; return False if they are probes."""
        row = self.row_of(method, template, "traffic", calls.at)
        if row.template == OVERFLOW:
            self.left_out += calls.calls
        elif not row.example:
            row.example = example
        return row.record(calls, quiet_s)

    def row_of(self, method: str, template: str, source: str, now: float) -> EndpointRow:
        """Return the row of an endpoint, made if there is room; a row of probes alone makes room for it."""
        endpoint = f"{method} {template}"
        row = self.rows.get(endpoint)
        if row is not None:
            return row
        if len(self.rows) >= MAX_ROWS - 1 and not self._make_room():
            return self.rows.setdefault(OVERFLOW, EndpointRow("*", OVERFLOW, source, now))
        row = self.rows[endpoint] = EndpointRow(method, template, source, now)
        return row

    def _make_room(self) -> bool:
        """Drop the row of probes alone that was made first; return False if there is none."""
        found = next((name for name, row in self.rows.items() if row.activity.has_probes_alone), None)
        if found is None or found == OVERFLOW:
            return False
        del self.rows[found]
        return True

    def carry_over(self, template_of: Callable[[str], str]) -> int:
        """Give the rows the templates that they now have, after folds; return how many went into others."""
        count = len(self.rows)
        former, self.rows = self.rows, {}
        for name, row in former.items():
            row.template = row.template if name == OVERFLOW else template_of(row.template)
            endpoint = name if name == OVERFLOW else f"{row.method} {row.template}"
            if endpoint in self.rows:
                self.rows[endpoint].merge(row)
            else:
                self.rows[endpoint] = row
        return count - len(self.rows)
