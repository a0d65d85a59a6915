"""The values of the rollouts' pages: the ladder of a plan's steps, and where a rollout stands in words."""

from dataclasses import dataclass

from yarl import URL

from strangler.core.documents import RolloutLook, RolloutShort, RolloutStatus
from strangler.core.rollout_settings import RolloutSettings
from strangler.core.rollout_text import waits_phrase

_LOW = 0.2
"""The height of the lowest step, as a part of the ladder's."""


@dataclass(frozen=True, slots=True)
class LadderStep:
    """One percent of the ladder. `height`: from 0 to 1; `is_planned`: it is part of the plan, or 0 %."""

    percent: float
    height: float
    is_reached: bool
    is_here: bool
    is_planned: bool
    needs_approval: bool

    @property
    def place(self) -> str:
        """Its place relative to where the rollout is, in a word."""
        return "here" if self.is_here else "reached" if self.is_reached else "ahead"


def ladder(status: RolloutStatus, plan: RolloutSettings) -> list[LadderStep]:
    """Return the percents from 0 % up. One that is no step, as of a plan that has changed, has a place of its own."""
    percents = sorted({0.0, *status.steps, status.percent})
    return [
        LadderStep(
            percent=percent,
            height=_LOW + (1 - _LOW) * number / max(1, len(percents) - 1),
            is_reached=percent <= status.percent,
            is_here=percent == status.percent,
            is_planned=not percent or percent in status.steps,
            needs_approval=percent in plan.approve,
        )
        for number, percent in enumerate(percents)
    ]


def last_look(status: RolloutStatus) -> RolloutLook | None:
    """Return the newest look at the percent that the rollout is at; None before the first."""
    return next((look for look in reversed(status.looks) if look.percent == status.percent), None)


def rollout_text(rollout: RolloutShort | RolloutStatus) -> str:
    """Return where a rollout stands: `running, step 2 of 5, waits for evidence`."""
    text = f"{rollout.state}, step {rollout.step} of {len(rollout.steps)}"
    return f"{text}, waits {waits_phrase(rollout.waits_for)}" if rollout.waits_for else text


def rollout_url(route: str) -> str:
    """Return the address of a rollout's page, without the prefix of a proxy in front."""
    return str(URL("/rollouts") / route)
