"""The kill switch as every page shows it while it is on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from strangler.core.settings import Settings
from strangler.state.kill_switch import KillSwitchState

MAX_LINES: Final = 20
"""The most single routes that a page lists."""


class Switched(Protocol):
    """The parts of control that are needed here."""

    @property
    def settings(self) -> Settings: ...
    @property
    def kill_switch(self) -> KillSwitchState: ...


@dataclass(frozen=True, slots=True)
class KilledRouteView:
    """A route that the kill switch is on for by itself."""

    name: str
    reason: str
    since: str | None
    has_page: bool  # routes.yaml has it
    is_passthrough: bool  # now: the switch has no effect


@dataclass(frozen=True, slots=True)
class KillSwitchView:
    """The kill switch, which is on for all routes or for some."""

    state: KillSwitchState
    routes: Sequence[KilledRouteView]
    hidden: int  # routes that are not listed


def kill_switch_view(control: Switched) -> KillSwitchView | None:
    """Return what pages show; None while it is off for all nodes. Routes that have no page are listed first: they are
    turned off here."""
    state = control.kill_switch
    if not state.on and not state.routes and not state.pending:
        return None
    passthrough = {route.name: route.is_passthrough for route in control.settings.routes if route.name in state.routes}
    views = [
        KilledRouteView(name, killed.reason, killed.since, name in passthrough, passthrough.get(name, False))
        for name, killed in state.routes.items()
    ]
    views.sort(key=lambda view: view.has_page)
    return KillSwitchView(state, views[:MAX_LINES], max(0, len(views) - MAX_LINES))
