"""The content of the pages that show rollouts: all of them, and one."""

from collections.abc import Sequence
from typing import Final, Protocol

from strangler.control.dashboard.page_content import Content
from strangler.control.dashboard.rollout_view import ladder, last_look
from strangler.core.documents import RolloutsDocument, RolloutStatus
from strangler.core.rollout.position import Position
from strangler.core.rollout_percents import rollout_groups
from strangler.core.rollout_text import next_percent
from strangler.core.settings import Settings

MAX_NEWEST: Final = 5
"""The looks that are in view at once; earlier ones are folded up."""

EXAMPLE: Final = """\
rollout:
  steps: [1, 5, 25, 50, 100]
  approve: [50]             # waits for a person before 50 %
"""
"""The lines that a route needs, as a page shows them."""


class Rollouts(Protocol):
    """The rollouts as pages read and move them."""

    def document(self) -> RolloutsDocument: ...
    def of(self, route: str) -> RolloutStatus | None: ...
    def position(self, group: str) -> Position | None: ...
    async def command(
        self,
        route: str,
        command: str,
        actor: str,
        why: str = "",
        percent: float | None = None,
        announced_at: float | None = None,
    ) -> RolloutStatus: ...


class RolloutControl(Protocol):
    """The parts of control that pages of rollouts need."""

    @property
    def rollouts(self) -> Rollouts: ...
    @property
    def settings(self) -> Settings: ...


def rollout_content(state: RolloutControl, names: Sequence[str]) -> Content | None:
    """Return the page below `/rollouts`: the list, or the rollout of a route; None if there is no such page."""
    match names:
        case []:
            return rollouts_page(state)
        case [name]:
            return rollout_page(state, name)
        case _:
            return None


def rollouts_page(state: RolloutControl) -> Content:
    """Return the list of all rollouts."""
    context = {"rollouts": state.rollouts.document().rollouts, "example": EXAMPLE}
    return Content("Rollouts", "rollouts.html", context, is_live=True)


def rollout_page(state: RolloutControl, name: str) -> Content | None:
    """Return the rollout of a route; None if there is no such route."""
    route = next((route for route in state.settings.routes if route.name == name), None)
    if route is None:
        return None
    status = state.rollouts.of(name)
    if status is None or route.rollout is None:
        return Content(f"Rollout: {name}", "rollout_off.html", {"route": name, "example": EXAMPLE}, is_live=True)
    looks = status.looks[::-1]
    context = {
        "status": status,
        "newest": looks[:MAX_NEWEST],
        "earlier": looks[MAX_NEWEST:],
        "plan": route.rollout,
        "ladder": ladder(status, route.rollout),
        "awaited": next_percent(status.steps, status.percent),
        "look": last_look(status),
        "others": group_routes(state.settings, status.group, without=name),
    }
    return Content(f"Rollout: {name}", "rollout.html", context, is_live=True)


def group_routes(settings: Settings, group: str, *, without: str = "") -> list[str]:
    """Return the names of the routes whose rollouts move as one, in the order of routes.yaml."""
    return [route.name for route in rollout_groups(settings).get(group, ()) if route.name != without]
