"""The current state of a route's shadows."""

from strangler.control.shadow.counters import COMPARISONS, OUTCOMES
from strangler.control.shadow.route_table import ShadowRouteTable
from strangler.control.totals import Key, TotalsState
from strangler.core.documents import ShadowComparisons, ShadowStatus


def route_status(table: ShadowRouteTable, totals: TotalsState, name: str) -> ShadowStatus | None:
    """Return the status of the shadows of a route; None if it has none."""
    route = table.routes.get(name)
    if route is None:
        return None
    return ShadowStatus(
        percent=route.shadow.percent,
        of=route.shadow.of,
        stopped=route.stopped,
        open=route.open,
        breakers={
            upstream: table.upstreams[upstream].breaker.state.value
            for upstream in sorted(frozenset().union(*map(route.upstreams_of, route.other_arms())))
        },
        comparisons=ShadowComparisons(
            **{outcome: int(totals.counter(COMPARISONS, name, outcome)) for outcome in OUTCOMES}
        ),
    )


def stopped_gauges(table: ShadowRouteTable) -> dict[Key, float]:
    """Return `strangler_shadow_stopped` of each route that has shadows."""
    return {
        ("strangler_shadow_stopped", (name,)): float(route.stopped is not None) for name, route in table.routes.items()
    }
