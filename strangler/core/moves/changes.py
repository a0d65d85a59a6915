"""The changes of a new routes.yaml: the endpoints of a log that the two files serve in different ways."""

from collections.abc import Mapping
from dataclasses import dataclass

from strangler.core.http.methods import SAFE
from strangler.core.ledger.counts import most_called
from strangler.core.moves.calls import CallCountsState, RowCounts, RowKey
from strangler.core.moves.difference import MOVES, Kind, affected_share, kinds_of
from strangler.core.moves.serving import Serving
from strangler.core.routing.arm import LEGACY
from strangler.core.settings import Settings

REFUSED = "refused"
"""The name under which calls count that the proxy itself responds to."""


@dataclass(frozen=True, slots=True)
class Change:
    """Calls of one endpoint that the two files serve in different ways."""

    method: str
    template: str
    before: Serving
    after: Serving
    kinds: tuple[Kind, ...]
    needs: tuple[str, ...]
    """Conditions on which the log says nothing, and which must hold; empty for a change that is certain."""
    calls: int
    affected: float
    """The calls for which anything differs: fewer than `calls` where a percent decides."""
    callers: tuple[tuple[str, int], ...]
    is_missed: bool
    """True if nothing serves the endpoint today: each of its calls got 404 or 405."""

    @property
    def endpoint(self) -> str:
        return f"{self.method} {self.template}"

    @property
    def is_write(self) -> bool:
        return self.method.encode() not in SAFE

    @property
    def is_move(self) -> bool:
        """True if calls are served elsewhere, not only with another shadow or timeout."""
        return not MOVES.isdisjoint(self.kinds)


@dataclass(frozen=True, slots=True)
class Moves:
    """All that a change of routes.yaml moves. Calls are those of the log."""

    calls: int
    endpoints: int
    """Those that something serves today."""
    changes: tuple[Change, ...]
    """The most calls first; those that need what the log does not have come last."""
    missed: tuple[Change, ...]
    """The changes of endpoints that nothing serves today."""
    unmatched: tuple[str, ...]
    """The routes of the new file to which no call of the log comes, in their order."""
    possible: tuple[str, ...]
    """The routes to which calls come only if they had what the log does not have."""
    served_before: Mapping[str, float]
    """The expected calls by upstream; those that are refused under `refused`."""
    served_after: Mapping[str, float]

    @property
    def certain(self) -> tuple[Change, ...]:
        return tuple(change for change in self.changes if not change.needs)

    @property
    def writes(self) -> tuple[Change, ...]:
        """The writes that move, or may do so."""
        return tuple(change for change in self.changes if change.is_move and change.is_write)


def moves_of(state: CallCountsState, after: Settings) -> Moves:
    """Return what the calls that were counted say."""
    rows = state.finish()
    missed = _missed_endpoints(rows)
    found = [_change(key, counts, key[:2] in missed) for key, counts in rows.items() if _differs(key)]
    found.sort(key=lambda change: (bool(change.needs), -change.affected, change.template, change.method, change.needs))
    unreached = [route.name for route in after.routes if route.name not in state.reached]
    certain = [(outcome, counts.calls) for (_, _, outcome), counts in rows.items() if not outcome.needs]
    return Moves(
        calls=state.calls,
        endpoints=len({key[:2] for key in rows} - missed),
        changes=tuple(change for change in found if not change.is_missed),
        missed=tuple(change for change in found if change.is_missed),
        unmatched=tuple(name for name in unreached if name not in state.possible),
        possible=tuple(name for name in unreached if name in state.possible),
        served_before=_served([(outcome.before, calls) for outcome, calls in certain]),
        served_after=_served([(outcome.after, calls) for outcome, calls in certain]),
    )


def _differs(key: RowKey) -> bool:
    return bool(kinds_of(key[2].before, key[2].after))


def _missed_endpoints(rows: Mapping[RowKey, RowCounts]) -> set[tuple[str, str]]:
    served = {key[:2] for key, counts in rows.items() if counts.missed < counts.calls}
    return {key[:2] for key in rows} - served


def _change(key: RowKey, counts: RowCounts, is_missed: bool) -> Change:
    method, template, outcome = key
    return Change(
        method=method,
        template=template,
        before=outcome.before,
        after=outcome.after,
        kinds=kinds_of(outcome.before, outcome.after),
        needs=outcome.needs,
        calls=counts.calls,
        affected=counts.calls * affected_share(outcome.before, outcome.after),
        callers=tuple(most_called(counts.callers)),
        is_missed=is_missed,
    )


def _served(servings: list[tuple[Serving, int]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for serving, calls in servings:
        share = serving.percent / 100
        parts = {REFUSED: 1.0} if serving.refused is not None else {serving.upstream: share, LEGACY: 1 - share}
        for name, part in parts.items():
            if part:
                found[name] = found.get(name, 0.0) + part * calls
    return found
