"""Rollouts as the proxy sends them, for tests of how commands show them."""

from typing import Any

from strangler.core.documents import RolloutArmNumbers, RolloutLook, RolloutMove, RolloutStatus

LACKING = "the candidate has served 120 of 500 requests and 3 of 20 callers on this step"


def look(
    time: str = "14:05",
    verdict: str = "not_enough",
    *,
    percent: float = 25.0,
    legacy: tuple[int, int, float | None] = (31360, 12, 120.4),
    candidate: tuple[int, int, float | None] = (120, 0, 99.2),
    callers: int = 3,
    reasons: tuple[str, ...] = (LACKING,),
) -> RolloutLook:
    """A look at a time of one day; of each arm the requests, the failed ones and the 95th percentile."""
    at = f"2026-11-30T{time}:11.000Z"
    return RolloutLook(
        at, percent, verdict, list(reasons), RolloutArmNumbers(*legacy), RolloutArmNumbers(*candidate), callers
    )


def move(
    time: str, what: str, from_: float, to: float, why: str = "", actor: str = "", by: RolloutLook | None = None
) -> RolloutMove:
    return RolloutMove(f"2026-11-30T{time}:11.000Z", from_, to, what, why, actor, by)


def rollout(route: str = "orders", **more: Any) -> RolloutStatus:
    """A rollout at 25 %, that waits for evidence unless `more` says otherwise."""
    values: dict[str, Any] = {
        "route": route,
        "group": route,
        "state": "running",
        "percent": 25.0,
        "step": 3,
        "steps": [1.0, 5.0, 25.0, 50.0, 100.0],
        "since": "2026-11-30T14:02:11.000Z",
        "until": None,
        "waits_for": "evidence",
        "why": LACKING,
        "commands": ["pause", "approve", "back"],
        "callers": 3,
        "failed_looks": 0,
        "looks": [look()],
        "moves": [move("14:02", "stepped", 5.0, 25.0, "the look was good")],
        "notes": [],
    }
    return RolloutStatus(**(values | more))
