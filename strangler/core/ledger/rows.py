"""The rows of the ledger: what is known of each endpoint, bounded. Control keeps them from the sums of workers."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from strangler.core.ledger.counts import History, day_of, summed_buckets
from strangler.core.ledger.states import Activity
from strangler.core.ledger.word_classes import OVERFLOW

MAX_ROWS = 5000
MAX_CALLERS = 50
_REFUSALS = frozenset({400, 401, 403, 404, 405})
_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
LEGACY = "legacy"
CANDIDATE = "candidate"
ANY_METHOD = "*"
"""The method of an endpoint that a list has without one."""


@dataclass(frozen=True, slots=True)
class CallSum:
    """Calls of one endpoint that are alike, as a worker sums them up: one arm, one status, one caller."""

    at: float
    arm: str
    """`legacy` or `candidate`; empty if neither was asked, because `retire` has refused the calls."""
    status: int
    """0: the client left before there was a response."""
    caller: str
    calls: int = 1
    buckets: tuple[int, ...] = ()
    """How many took how long, by the bounds of the metrics."""
    route: str = ""
    """The route that served them; empty if none did."""


@dataclass(slots=True)
class CallerCounts:
    """The calls of one caller, and those of them that legacy served, or that `retire` refused."""

    calls: int = 0
    legacy: int = 0
    last_legacy: float | None = None
    refused: int = 0
    last_refused: float | None = None

    def add(self, other: "CallerCounts") -> None:
        self.calls += other.calls
        self.legacy += other.legacy
        self.last_legacy = _either(max, self.last_legacy, other.last_legacy)
        self.refused += other.refused
        self.last_refused = _either(max, self.last_refused, other.last_refused)


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
    is_ignored: bool = False
    """Whether the operator has hidden it."""
    route: str = ""
    """The route that last served it."""
    history: History = field(default_factory=History)
    callers: dict[str, CallerCounts] = field(default_factory=dict)
    legacy_buckets: list[int] = field(default_factory=list)
    candidate_buckets: list[int] = field(default_factory=list)
    first_seen: float | None = None
    last_seen: float | None = None
    last_legacy: float | None = None
    last_served: float | None = None
    """The last call with a response that no probe gets."""
    probes: int = 0

    @property
    def endpoint(self) -> str:
        """Return the name of the row: `GET /orders/{}`."""
        return OVERFLOW if self.template == OVERFLOW else f"{self.method} {self.template}"

    def record(self, calls: CallSum, quiet_s: float) -> bool:
        """Count calls; return False if they are probes, which keep nothing alive and teach nothing.

        Calls that `retire` refused are those of a caller, not of a probe, if the endpoint was ever served.
        """
        if not calls.arm:
            is_probe = self.last_served is None and self.source == "traffic"
        else:
            if not is_refusal(self.method, calls.status):
                self.last_served = max(calls.at, self.last_served or calls.at)
            is_probe = self.last_served is None or calls.at - self.last_served >= quiet_s
        if is_probe:
            self.probes += calls.calls
            self.history.on(calls.at).probes += calls.calls
            return False
        self._count(calls)
        return True

    def _count(self, calls: CallSum) -> None:
        day = self.history.on(calls.at)
        day.add_status(calls.status, calls.calls)
        self.first_seen = min(calls.at, self.first_seen or calls.at)
        if self.last_seen is None or calls.at >= self.last_seen:
            self.last_seen = calls.at
            self.route = calls.route
        caller = CallerCounts(calls.calls)
        if calls.arm == CANDIDATE:
            day.candidate += calls.calls
            self.candidate_buckets = summed_buckets(self.candidate_buckets, calls.buckets)
        elif calls.arm:
            day.legacy += calls.calls
            self.last_legacy = max(calls.at, self.last_legacy or calls.at)
            self.legacy_buckets = summed_buckets(self.legacy_buckets, calls.buckets)
            caller = CallerCounts(calls.calls, calls.calls, calls.at)
        else:
            caller = CallerCounts(calls.calls, refused=calls.calls, last_refused=calls.at)
        self._add_caller(calls.caller, caller)

    def _add_caller(self, name: str, counts: CallerCounts) -> None:
        """Count calls of a caller; without room for another name they count under `…`."""
        if name not in self.callers and len(self.callers) >= MAX_CALLERS - 1:
            name = OVERFLOW
        self.callers.setdefault(name, CallerCounts()).add(counts)

    @property
    def activity(self) -> Activity:
        """Return what decides the state."""
        has_probes_alone = self.source == "traffic" and self.first_seen is None
        return Activity(self.known_since, self.last_seen, self.last_legacy, has_probes_alone)

    @property
    def is_spare(self) -> bool:
        """Return True for a row that says nothing: of probes alone, or of a route that was never called."""
        return self.source in ("traffic", "route") and self.first_seen is None and self.template != OVERFLOW

    def merge(self, other: "EndpointRow") -> None:
        """Add another row, whose template is now this row's."""
        self.history.merge(other.history)
        for name, counts in other.callers.items():
            self._add_caller(name, counts)
        self.legacy_buckets = summed_buckets(self.legacy_buckets, other.legacy_buckets)
        self.candidate_buckets = summed_buckets(self.candidate_buckets, other.candidate_buckets)
        self.probes += other.probes
        self.known_since = min(self.known_since, other.known_since)
        if (other.last_seen or 0.0) > (self.last_seen or 0.0):
            self.route = other.route
        self.first_seen = _either(min, self.first_seen, other.first_seen)
        self.last_seen = _either(max, self.last_seen, other.last_seen)
        self.last_legacy = _either(max, self.last_legacy, other.last_legacy)
        self.last_served = _either(max, self.last_served, other.last_served)
        self.example = self.example or other.example
        self.owner = self.owner or other.owner
        self.is_ignored = self.is_ignored and other.is_ignored
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
    changed: dict[str, set[str]] = field(default_factory=dict, compare=False)
    """The rows that have changed since they were last saved, each with the days whose counts have."""
    dropped: set[str] = field(default_factory=set, compare=False)
    """The names that rows no longer have since then. A row of the same name may have come after."""
    spare: dict[str, None] = field(default_factory=dict, compare=False)
    """The rows that make room for others, the eldest first: those of probes alone, and of routes never called."""

    def restore(self, rows: Iterable[EndpointRow]) -> None:
        """Take over stored rows."""
        self.rows = {row.endpoint: row for row in rows}
        self._look_for_spare()

    def record(self, method: str, template: str, calls: CallSum, quiet_s: float, example: str = "") -> bool:
        """Count calls of an endpoint; return False if they are probes."""
        row = self.row_of(method, template, "traffic", calls.at)
        if row.template == OVERFLOW:
            self.left_out += calls.calls
        elif not row.example:
            row.example = example
        is_call = row.record(calls, quiet_s)
        if is_call:
            self.spare.pop(row.endpoint, None)
        self.changed.setdefault(row.endpoint, set()).add(day_of(calls.at))
        return is_call

    def row_of(self, method: str, template: str, source: str, now: float) -> EndpointRow:
        """Return the row of an endpoint, made if there is room; a row of probes alone makes room for it."""
        endpoint = OVERFLOW if template == OVERFLOW else f"{method} {template}"
        row = self.rows.get(endpoint)
        if row is not None:
            return row
        if template == OVERFLOW:
            return self._add(EndpointRow(ANY_METHOD, OVERFLOW, source, now))
        listed = f"{ANY_METHOD} {template}"
        if listed in self.rows:  # a list had it without a method, and this is its first call
            row = self.rows[listed]
            self.drop(listed)
            row.method = method
            return self._add(row)
        if len(self.rows) >= MAX_ROWS - 1 and not self._make_room():
            return self.row_of(ANY_METHOD, OVERFLOW, source, now)
        return self._add(EndpointRow(method, template, source, now))

    def drop(self, endpoint: str) -> None:
        """Forget a row."""
        del self.rows[endpoint]
        self.spare.pop(endpoint, None)
        self.changed.pop(endpoint, None)
        self.dropped.add(endpoint)

    def _add(self, row: EndpointRow) -> EndpointRow:
        self.rows[row.endpoint] = row
        self.changed.setdefault(row.endpoint, set())
        if row.is_spare:
            self.spare[row.endpoint] = None
        return row

    def _make_room(self) -> bool:
        """Drop the spare row that was made first; return False if there is none."""
        found = next(iter(self.spare), None)
        if found is not None:
            self.drop(found)
        return found is not None

    def carry_over(self, template_of: Callable[[str], str]) -> int:
        """Give the rows the templates that they now have, after folds; return how many have moved."""
        moved = 0
        former, self.rows = self.rows, {}
        for name, row in former.items():
            if name != OVERFLOW:
                row.template = template_of(row.template)
            endpoint = row.endpoint
            if endpoint != name:
                moved += 1
                self.changed.pop(name, None)
                self.dropped |= {name, endpoint}
                self.changed[endpoint] = set()
            if endpoint in self.rows:
                self.rows[endpoint].merge(row)
            else:
                self.rows[endpoint] = row
        if moved:
            self._look_for_spare()
        return moved

    def _look_for_spare(self) -> None:
        self.spare = {name: None for name, row in self.rows.items() if row.is_spare}
