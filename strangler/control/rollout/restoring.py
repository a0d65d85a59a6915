"""The rollout of a group as an earlier control has left it: in the store, in the file, or in neither."""

from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from strangler.control.rollout.climb import ClimbState
from strangler.control.rollout.groups import fallen_unstored, lost, unreadable, waiting_at
from strangler.core.rollout.advance import Change
from strangler.core.rollout.position import Position
from strangler.core.settings import RouteSettings
from strangler.state.rollout_file import KeptPercent
from strangler.store.evidence.stored_rollouts import StoredRollout

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Restored:
    """A rollout, and the changes that its restoration makes: something was lost."""

    climb: ClimbState
    changes: tuple[Change, ...]


def restored(
    group: str,
    routes: tuple[RouteSettings, ...],
    row: StoredRollout | None,
    kept: KeptPercent | None,
    former: Mapping[str, float],
    now: float,
) -> Restored:
    """Return the rollout of a group. `former`: by route, the percents that were last in force, for one that is new.

    The store has more than the file; but a fall that could not be stored is in the file alone.
    """
    position, changes = _stand(routes, row, kept, former, now)
    climb = ClimbState(group, routes, position, generation=0)
    if row is not None:
        climb.moves = list(row.history)
        if row.kept is not None:
            climb.pairs.legacy_times, climb.pairs.p95_s = row.kept.legacy_times, row.kept.p95_s
    return Restored(climb, changes)


def log_unread(rows: Mapping[str, StoredRollout]) -> None:
    """Log what the store has of each group and cannot be read."""
    for group, row in rows.items():
        for reason in row.unread_moves:
            log.error("rollout.unreadable_move", group=group, reason=reason)
        if row.problem is not None:
            remedy = f"it is paused at {row.percent:g} %; `strangler rollout resume` goes on with new evidence"
            log.error("rollout.unreadable", group=group, reason=row.problem, remedy=remedy)


def _stand(
    routes: tuple[RouteSettings, ...],
    row: StoredRollout | None,
    kept: KeptPercent | None,
    former: Mapping[str, float],
    now: float,
) -> tuple[Position, tuple[Change, ...]]:
    if row is None:
        if kept is not None and kept.percent:
            return lost(kept, now)
        percents = [max(former.get(route.name, 0.0), route.split.percent) for route in routes]
        return waiting_at(max(percents), now), ()
    if row.kept is None:
        return unreadable(row, kept, now)
    if kept is not None and kept.moves > row.moves:
        return fallen_unstored(row.kept.position, kept, now)
    return row.kept.position, ()
