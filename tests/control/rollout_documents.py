"""Documents of rollouts for tests, made short: `rollout("orders", state="running", percent=5.0)`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from strangler.core.documents import (
    RolloutArmNumbers,
    RolloutLook,
    RolloutMove,
    RolloutsDocument,
    RolloutShort,
    RolloutStatus,
)
from strangler.core.rollout.position import Position

STEPS = (1.0, 5.0, 25.0, 50.0, 100.0)
AT = "2026-11-30T09:00:00.000Z"


def look(
    percent: float = 25.0,
    verdict: str = "good",
    legacy: tuple[int, int, float | None] = (9000, 12, 61.0),
    candidate: tuple[int, int, float | None] = (3000, 3, 48.5),
    callers: int = 140,
    reasons: Sequence[str] = (),
    at: str = AT,
) -> RolloutLook:
    return RolloutLook(
        at, percent, verdict, list(reasons), RolloutArmNumbers(*legacy), RolloutArmNumbers(*candidate), callers
    )


def move(what: str, from_: float, to: float, why: str = "", actor: str = "", at: str = AT) -> RolloutMove:
    return RolloutMove(at, from_, to, what, why, actor)


def rollout(route: str = "orders", **more: Any) -> RolloutStatus:
    """Return a rollout that runs on its step of 25 %, unless said otherwise."""
    fields: dict[str, Any] = {
        "group": route,
        "state": "running",
        "percent": 25.0,
        "steps": list(STEPS),
        "since": AT,
        "until": None,
        "waits_for": "evidence",
        "why": "the candidate has served 120 of 500 requests on this step",
        "commands": ["pause", "back"],
        "callers": 140,
        "failed_looks": 0,
        "looks": [],
        "moves": [],
        "notes": [],
        **more,
    }
    steps, percent = fields["steps"], fields["percent"]
    return RolloutStatus(route=route, step=sum(step <= percent for step in steps), **fields)


Command = tuple[str, str, str, str, float | None, float | None]
"""The route, the command, who gives it, why, the percent, and when it was announced that it waits."""


@dataclass(slots=True)
class FixedRollouts:
    """Rollouts that stay as they are, and what they were told to do. `positions`: by group."""

    statuses: list[RolloutStatus] = field(default_factory=list)
    positions: dict[str, Position] = field(default_factory=dict)
    refusal: Exception | None = None
    commands: list[Command] = field(default_factory=list)
    on_command: Callable[[Command], None] | None = None

    def document(self) -> RolloutsDocument:
        return RolloutsDocument(self.statuses)

    def of(self, route: str) -> RolloutStatus | None:
        return next((status for status in self.statuses if status.route == route), None)

    def position(self, group: str) -> Position | None:
        return self.positions.get(group)

    async def command(
        self,
        route: str,
        command: str,
        actor: str,
        why: str = "",
        percent: float | None = None,
        announced_at: float | None = None,
    ) -> RolloutStatus:
        if self.refusal is not None:
            raise self.refusal
        given = (route, command, actor, why, percent, announced_at)
        self.commands.append(given)
        if self.on_command is not None:
            self.on_command(given)
        found = self.of(route)
        assert found is not None
        return found

    def short(self, route: str) -> RolloutShort | None:
        found = self.of(route)
        if found is None:
            return None
        return RolloutShort(found.state, found.step, found.steps, found.waits_for, found.group)

    async def close(self) -> None:
        """Nothing is left to be stored."""
