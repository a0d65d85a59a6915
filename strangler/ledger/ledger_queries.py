"""The documents of the ledger: its rows, one endpoint, and the calls of all by day."""

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from datetime import date

from strangler.core.documents import (
    LedgerCaller,
    LedgerCalls,
    LedgerDay,
    LedgerDocument,
    LedgerEndpointDocument,
    LedgerEvidence,
    LedgerHistoryDocument,
    LedgerHour,
    LedgerRow,
    LedgerTimes,
)
from strangler.core.ledger.counts import DAY_S, Counts, History, day_of, p95_ms, total_of
from strangler.core.ledger.rows import CallerCounts, EndpointRow
from strangler.core.ledger.states import State, deletable_at, served_by_candidates, state_of
from strangler.core.ledger.word_classes import OVERFLOW
from strangler.core.ledger_settings import LedgerSettings
from strangler.core.ledger_text import STATES
from strangler.core.settings import Settings
from strangler.core.time_buckets import BOUNDS_S
from strangler.ledger.ledger_state import LedgerState
from strangler.ledger.next_step import StepFacts, next_step
from strangler.ledger.placements import Placed, PlacementsState
from strangler.ledger.steps import at_once
from strangler.times import rfc3339

SORTS = ("calls", "endpoint", "state", "last_seen", "last_legacy", "p95")
SHARE_DAYS = 7
"""The days whose calls make up the share of candidates, today included."""
ROWS_OF_A_STEP = 25
"""The rows of which the documents are made at once: 5 ms where all have many callers."""
_MIGRATION = {name: at for at, name in enumerate(STATES)}
"""The states in the order in which an endpoint has them."""


@dataclass(frozen=True, slots=True)
class Filters:
    """The rows that are asked for."""

    states: frozenset[str] = frozenset()
    route: str | None = None
    since: str | None = None
    """A day, `2027-02-01`: calls before it are not counted."""
    text: str = ""
    """A part of the endpoint, of its owner or of a caller, in upper or lower case."""
    sort: str = "calls"
    with_hidden: bool = False
    """Also what only probes have called, and what is ignored."""
    with_callers: bool = True
    """Without callers, thousands of rows take half the time."""


def filters_problem(filters: Filters) -> str | None:
    """Return what is wrong with filters, and the way out; None if they can be used."""
    unknown = sorted(filters.states - set(STATES))
    if unknown:
        return f"there is no state {unknown[0][:40]!r}; write one of {', '.join(STATES)}"
    if filters.sort not in SORTS:
        return f"cannot sort by {filters.sort[:40]!r}; write one of {', '.join(SORTS)}"
    if filters.since is not None:
        try:
            is_day = date.fromisoformat(filters.since).isoformat() == filters.since
        except ValueError:
            is_day = False
        if not is_day:
            return f"since is {filters.since[:40]!r}; write a day such as 2027-02-01"
    return None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the migration is."""

    share: float
    """The share of the requests that candidates served, 0 to 1."""
    states: dict[str, int]
    """The endpoints in each state; ignored ones are not."""


@dataclass(frozen=True, slots=True)
class _View:
    """The ledger at one moment, with the settings then in force."""

    state: LedgerState
    placements: PlacementsState
    ledger: LedgerSettings
    now: float

    def state_of(self, row: EndpointRow, placed: Placed) -> State:
        return state_of(placed.placement, row.activity, self.state.watch, self.now, self.ledger.quiet_s)


def _view(state: LedgerState, settings: Settings, now: float, placements: PlacementsState | None) -> _View:
    if placements is None or placements.settings is not settings:
        placements = PlacementsState(settings)
    return _View(state, placements, settings.ledger or LedgerSettings(), now)


def progress(state: LedgerState, settings: Settings, now: float, placements: PlacementsState | None = None) -> Progress:
    """Return how far the migration is. `placements` saves computing those of the same settings again."""
    view = _view(state, settings, now, placements)
    last_days = [day_of(now - ago * DAY_S) for ago in range(SHARE_DAYS)]
    states = dict.fromkeys(STATES, 0)
    legacy = candidate = 0
    for row in state.rows.rows.values():
        if row.is_ignored:
            continue
        placed = view.placements.of(row)
        if row.template != OVERFLOW:
            states[view.state_of(row, placed).value] += 1
        if not placed.placement.is_passthrough:
            for day in last_days:
                counts = row.history.days.get(day)
                if counts is not None:
                    legacy += counts.legacy
                    candidate += counts.candidate
    return Progress(served_by_candidates(legacy, candidate), states)


def ledger_document(
    state: LedgerState,
    settings: Settings,
    now: float,
    filters: Filters,
    placements: PlacementsState | None = None,
) -> LedgerDocument:
    """Return the rows that filters ask for, sorted, and how far the migration is as a whole."""
    return at_once(document_steps(state, settings, now, filters, placements))


def document_steps(
    state: LedgerState,
    settings: Settings,
    now: float,
    filters: Filters,
    placements: PlacementsState | None = None,
    reached: Progress | None = None,
) -> Generator[None, None, LedgerDocument]:
    """Make the same document in steps of some milliseconds. `reached`: how far the migration is, if that is known."""
    view = _view(state, settings, now, placements)
    found: list[LedgerRow] = []
    for at, each in enumerate(list(state.rows.rows.values()), 1):
        row = _wanted(each, view, filters)
        if row is not None:
            found.append(row)
        if at % ROWS_OF_A_STEP == 0:
            yield
    found.sort(key=lambda row: row.endpoint)
    found.sort(key=_SORTS[filters.sort])
    reached = reached or progress(state, settings, now, view.placements)
    spans = state.watch.spans
    return LedgerDocument(
        rows=found,
        share=round(reached.share, 6),
        states=reached.states,
        quiet_s=view.ledger.quiet_s,
        keep_s=view.ledger.keep_s,
        since=None if filters.since is None else f"{filters.since}T00:00:00.000Z",
        watched_since=rfc3339(spans[0].start) if spans else None,
        watched_s=round(sum((span.end - span.start for span in spans), 0.0), 3),
        left_out=state.left_out,
        sampled=state.sampled,
    )


def _wanted(row: EndpointRow, view: _View, filters: Filters) -> LedgerRow | None:
    """Return a row as its document if the filters ask for it."""
    if row.is_ignored and not filters.with_hidden:
        return None
    placed = view.placements.of(row)
    found = view.state_of(row, placed)
    if filters.states and found.value not in filters.states:
        return None
    if found is State.PROBED and not filters.with_hidden and not filters.states:
        return None
    if filters.route is not None and (placed.route is None or placed.route.name != filters.route):
        return None
    if filters.text and not _has_text(row, filters.text.casefold()):
        return None
    counts = _counts_since(row.history, filters.since)
    return _row(row, placed, found, counts, _callers(row) if filters.with_callers else [])


def _has_text(row: EndpointRow, text: str) -> bool:
    names = (row.endpoint, row.owner or "", *row.callers)
    return any(text in name.casefold() for name in names)


def _counts_since(history: History, since: str | None) -> Counts:
    """Return the sum of the counts from a day on; of earlier months, only whole ones."""
    if since is None:
        return history.total()
    days = [counts for day, counts in history.days.items() if day >= since]
    return total_of([*days, *(counts for month, counts in history.months.items() if f"{month}-01" >= since)])


def _callers(row: EndpointRow) -> list[LedgerCaller]:
    return [
        LedgerCaller(name, each.calls, each.legacy, _time(each.last_legacy), each.refused, _time(each.last_refused))
        for name, each in _by_calls(row)
    ]


def _row(row: EndpointRow, placed: Placed, state: State, counts: Counts, callers: list[LedgerCaller]) -> LedgerRow:
    return LedgerRow(
        endpoint=row.endpoint,
        method=row.method,
        path=row.template,
        state=state.value,
        route=None if placed.route is None else placed.route.name,
        calls=LedgerCalls(counts.legacy, counts.candidate, counts.refused),
        statuses=dict(sorted(counts.statuses.items())),
        probes=counts.probes,
        first_seen=_time(row.first_seen),
        last_seen=_time(row.last_seen),
        last_legacy=_time(row.last_legacy),
        callers=callers,
        p95_ms=LedgerTimes(_p95(row.legacy_buckets), _p95(row.candidate_buckets)),
        example=row.example,
        source=row.source,
        owner=row.owner,
        is_ignored=row.is_ignored,
    )


def _by_calls(row: EndpointRow) -> list[tuple[str, CallerCounts]]:
    """Return the callers, the most frequent first, and last what stands for all others."""
    return sorted(row.callers.items(), key=lambda item: (item[0] == OVERFLOW, -item[1].calls, item[0]))


def _p95(buckets: list[int]) -> float | None:
    found = p95_ms(buckets, BOUNDS_S)
    return None if found is None else round(found, 1)


def _time(at: float | None) -> str | None:
    return None if at is None else rfc3339(at)


_Key = tuple[str | float, ...]


def _latest_first(text: str | None) -> _Key:
    """Return a key by which later times come first, and none last."""
    return (1,) if text is None else (0, *(-ord(char) for char in text))


def _slowest_first(times: LedgerTimes) -> _Key:
    known = [each for each in (times.legacy, times.candidate) if each is not None]
    return (-max(known),) if known else (1,)


_SORTS: dict[str, Callable[[LedgerRow], _Key]] = {
    "calls": lambda row: (-(row.calls.legacy + row.calls.candidate + row.calls.refused),),
    "endpoint": lambda row: (row.path, row.method),
    "state": lambda row: (_MIGRATION[row.state],),
    "last_seen": lambda row: _latest_first(row.last_seen),
    "last_legacy": lambda row: _latest_first(row.last_legacy),
    "p95": lambda row: _slowest_first(row.p95_ms),
}


def endpoint_document(
    state: LedgerState,
    settings: Settings,
    now: float,
    endpoint: str,
    evidence: LedgerEvidence | None,
    placements: PlacementsState | None = None,
) -> LedgerEndpointDocument | None:
    """Return all that is known of an endpoint; None if it is unknown."""
    row = state.find(endpoint)
    if row is None:
        return None
    view = _view(state, settings, now, placements)
    placed = view.placements.of(row)
    found = view.state_of(row, placed)
    at = deletable_at(row.activity, state.watch, now, view.ledger.quiet_s)
    recent = [
        name
        for name, each in _by_calls(row)
        if each.last_legacy is not None and now - each.last_legacy < view.ledger.quiet_s
    ]
    facts = StepFacts(
        method=row.method,
        template=row.template,
        state=found,
        route=placed.route,
        last_call=row.last_seen,
        last_legacy=row.last_legacy,
        deletable_at=at,
        callers=[name for name, _ in _by_calls(row)],
        callers_of_legacy=recent,
        open_differences=0 if evidence is None else evidence.open_differences,
    )
    return LedgerEndpointDocument(
        row=_row(row, placed, found, row.history.total(), _callers(row)),
        days=_days(row.history.days.items()),
        months=_days(row.history.months.items()),
        deletable_at=None if placed.placement.is_passthrough else rfc3339(at),
        evidence=evidence,
        next=next_step(facts, settings, now),
        folded=sorted({template for template, _ in state.tree.folds() if template == row.template}),
    )


def _days(counts: Iterable[tuple[str, Counts]]) -> list[LedgerDay]:
    return [
        LedgerDay(day, each.legacy, each.candidate, each.probes, dict(sorted(each.statuses.items())))
        for day, each in sorted(counts, key=lambda item: item[0])
    ]


def history_document(state: LedgerState, placements: PlacementsState | None = None) -> LedgerHistoryDocument:
    """Return the calls of all endpoints together, but for ignored ones, and for those of passthrough routes where
    `placements` tell them: as in the share of candidates."""
    total = History()
    for row in state.rows.rows.values():
        is_beside = placements is not None and placements.of(row).placement.is_passthrough
        if not row.is_ignored and not is_beside:
            total.merge(row.history)
    hours = [LedgerHour(name, *state.hours[name]) for name in sorted(state.hours)]
    return LedgerHistoryDocument(_days(total.days.items()), _days(total.months.items()), hours)
