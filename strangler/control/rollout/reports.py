"""The moves of a rollout as people and systems hear of them: events, and the history."""

from collections.abc import Sequence
from typing import Any, Final

import structlog

from strangler.control.rollout.climb import ClimbState, Unsaved
from strangler.core.rollout.advance import Change, ChangeKind
from strangler.core.rollout.judgement import ArmNumbers, LookRecord
from strangler.core.rollout.position import WaitsFor
from strangler.core.settings import RouteSettings
from strangler.store.events.event import Event, Kind, event
from strangler.store.evidence.stored_rollouts import StoredMove

_KINDS: Final = {
    ChangeKind.STEPPED: Kind.ROLLOUT_STEPPED,
    ChangeKind.FAILED: Kind.ROLLOUT_FAILED,
    ChangeKind.WAITING: Kind.ROLLOUT_WAITING,
    ChangeKind.DONE: Kind.ROLLOUT_DONE,
}
_HALF: Final = 50.0
_WARM: Final = ("candidate", "any")
COLD_LEGACY: Final = (
    "legacy serves less than half of the callers and gets no shadows, so it may go cold, and be slow once the rollout"
    " comes down: `shadow.of: candidate` keeps it warm"
)

log = structlog.get_logger()


def goes_cold(routes: Sequence[RouteSettings], percent: float) -> bool:
    """Return whether a percent leaves legacy with less than half, and nothing keeps it warm."""
    return percent > _HALF and not any(route.shadow is not None and route.shadow.of in _WARM for route in routes)


def report(climb: ClimbState, changes: Sequence[Change]) -> Unsaved:
    """Return the events and moves that changes are stored with. Log that legacy may go cold."""
    found = Unsaved()
    for change in changes:
        notes = []
        if goes_cold(climb.routes, change.to_percent):
            notes.append(COLD_LEGACY)
            if change.to_percent > change.from_percent <= _HALF:
                log.warning("rollout.cold_legacy", group=climb.group, percent=change.to_percent, remedy=COLD_LEGACY)
        found.events.append(_event(climb, change, notes))
        kind, look = change.kind.value, change.look
        move = StoredMove(change.at, change.from_percent, change.to_percent, kind, change.why, look=look)
        found.moves.append(move)
    return found


def _event(climb: ClimbState, change: Change, notes: list[str]) -> Event:
    routes = [route.name for route in climb.routes]
    data: dict[str, Any] = {
        "route": routes[0],
        "group": climb.group,
        "routes": routes,
        "from": change.from_percent,
        "to": change.to_percent,
        "why": change.why,
        "at": change.at,
        "look": None if change.look is None else _look(change.look),
        "notes": notes,
    }
    if change.kind is ChangeKind.WAITING:
        is_resume = change.from_percent == change.to_percent
        data["waits_for"] = (WaitsFor.RESUME if is_resume else WaitsFor.APPROVAL).value
    return event(_KINDS[change.kind], routes[0], data, change.at)


def _look(look: LookRecord) -> dict[str, Any]:
    return {
        "at": look.at,
        "percent": look.percent,
        "verdict": look.verdict.value,
        "reasons": list(look.reasons),
        "legacy": _arm(look.legacy),
        "candidate": _arm(look.candidate),
        "callers": look.callers,
    }


def _arm(arm: ArmNumbers) -> dict[str, Any]:
    return {"requests": arm.requests, "failed": arm.failed, "p95_ms": arm.p95_ms}
