"""Pure functions of the routes of a group, and of the percents that are kept of it."""

from collections.abc import Sequence
from dataclasses import replace

from strangler.core.rollout.advance import Change, ChangeKind
from strangler.core.rollout.machine import RolloutState
from strangler.core.rollout.position import Position, WaitsFor
from strangler.core.settings import RouteSettings
from strangler.state.kill_switch import KillSwitchState
from strangler.state.rollout_file import KeptPercent
from strangler.store.evidence.stored_rollouts import StoredRollout


def led_by(routes: Sequence[RouteSettings]) -> frozenset[str]:
    """Return the upstreams that the candidates of routes need: a required part of an aggregate is one."""
    found = {route.candidate for route in routes if route.candidate is not None}
    found |= {part.upstream for route in routes for part in route.aggregate or () if part.required}
    return frozenset(found)


def is_overridden(routes: Sequence[RouteSettings], switch: KillSwitchState) -> bool:
    """Return whether a route of them goes to legacy whatever its percent says: all climb as one, so all wait."""
    return switch.on or any(not route.enabled or route.name in switch.routes for route in routes)


def waiting_at(percent: float, now: float) -> Position:
    """Return the position of a rollout that was never started."""
    return Position(percent=percent, since=now)


def lost(kept: KeptPercent, now: float) -> tuple[Position, tuple[Change, ...]]:
    """Return the position of a rollout that the store has lost: only its percent is known."""
    return _paused(Position(), kept, now, "its position is lost with the store")


def unreadable(row: StoredRollout, kept: KeptPercent | None, now: float) -> tuple[Position, tuple[Change, ...]]:
    """Return the position for a row that cannot be read. The file knows its percent best."""
    known = KeptPercent(row.percent, row.moves)
    newest = kept if kept is not None and kept.moves >= known.moves else known
    return _paused(Position(), newest, now, "its stored position cannot be read")


def fallen_unstored(position: Position, kept: KeptPercent, now: float) -> tuple[Position, tuple[Change, ...]]:
    """Return the position after a move that only the file knows of: it is one down, which does not wait for the
    store."""
    return _paused(position, kept, now, f"it went from {position.percent:g} % to {kept.percent:g} %")


def _paused(position: Position, kept: KeptPercent, now: float, what: str) -> tuple[Position, tuple[Change, ...]]:
    percent = kept.percent
    after = replace(
        position.at_percent(percent, now),
        state=RolloutState.PAUSED,
        waits_for=WaitsFor.RESUME,
        until=None,
        moves=max(kept.moves, position.moves),
    )
    why = f"{what}; paused until somebody resumes it"
    return after, (Change(ChangeKind.WAITING, now, percent, percent, why),)
