"""Rollouts by group, as commands show them: routes of one group climb as one, and have the same numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

from strangler.core.documents import RolloutsDocument, RolloutStatus
from strangler.core.rollout_text import routes_text


@dataclass(frozen=True, slots=True)
class RolloutUnit:
    """The routes that climb as one, and the status that they share: that of the first, or of the one that is named."""

    routes: tuple[str, ...]
    status: RolloutStatus

    @property
    def title(self) -> str:
        """`orders`, or `orders + carts (checkout)` for the routes of a group with a name of its own."""
        names, group = " + ".join(self.routes), self.status.group
        return names if group in self.routes else f"{names} ({group})"

    @property
    def subject(self) -> str:
        """`route 'orders'`, or `routes 'orders' and 'carts'`."""
        return routes_text(self.routes)


def units_of(document: RolloutsDocument) -> list[RolloutUnit]:
    """Return one unit for each group, in the order of the file."""
    groups = dict.fromkeys(status.group for status in document.rollouts)
    return [_unit([status for status in document.rollouts if status.group == group], 0) for group in groups]


def unit_of(document: RolloutsDocument, route: str) -> RolloutUnit | None:
    """Return the unit that a route belongs to, with the route's own status; None if it has no rollout."""
    found = next((status for status in document.rollouts if status.route == route), None)
    if found is None:
        return None
    members = [status for status in document.rollouts if status.group == found.group]
    return _unit(members, members.index(found))


def _unit(members: Sequence[RolloutStatus], at: int) -> RolloutUnit:
    return RolloutUnit(tuple(status.route for status in members), members[at])
