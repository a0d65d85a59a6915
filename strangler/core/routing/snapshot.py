# Compiled with mypyc: see docs/hot-path.md.
"""The routing table and settings that one request sees. A reload makes a new snapshot; none is ever changed."""

import math
from collections.abc import Iterable

from strangler.core.http import problem
from strangler.core.http.head import RequestHead
from strangler.core.routing.arm import LEGACY, Arm, Reason
from strangler.core.routing.path import Oddity
from strangler.core.routing.plan import Draw, Plan, decide, plan_to
from strangler.core.routing.retirement import Clock
from strangler.core.routing.route import Route
from strangler.core.routing.split import Split
from strangler.core.routing.table import RoutingTable
from strangler.core.settings import RouteSettings, Settings, StickySource, TracingSettings

_NO_ROUTE = Plan(None, Arm.LEGACY, LEGACY, Reason.NO_ROUTE)
_NO_ROUTES: frozenset[str] = frozenset()


def _long_ago() -> float:
    return -math.inf


class Snapshot:
    """Settings, the routes compiled from them, and `plan`, the decision of the hot path."""

    __slots__ = ("_odd", "cookie_splits", "generation", "routes", "sampled_below", "settings", "table")

    def __init__(self, settings: Settings, generation: int) -> None:
        self.settings = settings
        self.generation = generation
        self.sampled_below = _sampled_below(settings.tracing)
        """A trace that begins at the proxy has spans if the last 16 digits of its id are below this; None: no spans."""
        self.routes = {
            route.name: Route(route, index, _has_base_path(settings, route))
            for index, route in enumerate(settings.routes)
        }
        self.cookie_splits = _cookie_splits(self.routes.values())
        """The splits with a cookie among their sticky sources, each list of sources once, with its groups."""
        self.table = RoutingTable(self.routes.values())
        self._odd = {oddity: _odd_plan(oddity, settings.ambiguous_paths == "reject") for oddity in Oddity}

    def plan(
        self,
        head: RequestHead,
        draw: Draw,
        killed: bool = False,
        clock: Clock = _long_ago,
        killed_routes: frozenset[str] = _NO_ROUTES,
    ) -> Plan:
        """Decide which arm serves the request, why, and whether it gets a shadow. Never raises, whatever the bytes.

        With `killed` (the kill switch is on) every route goes to legacy, except passthrough routes; so do those that
        are named in `killed_routes`. A disabled or killed route sends its candidate no shadows either. A request whose
        plan has a `refusal` gets that response and is not forwarded. `clock` is read only for a route that ends;
        without it, its end is still to come. A disabled or killed route is served as if it did not end.
        """
        found = self.table.lookup(head)
        if found is None:
            return _NO_ROUTE
        if isinstance(found, Oddity):
            return self._odd[found]
        if not found.settings.enabled:
            return plan_to(found, Arm.LEGACY, Reason.DISABLED)
        is_killed = killed or (len(killed_routes) > 0 and found.name in killed_routes)
        if is_killed and not found.settings.is_passthrough:
            return plan_to(found, Arm.LEGACY, Reason.KILL_SWITCH)
        if found.retirement is not None and not is_killed:
            refusal = found.retirement.refusal(clock())
            if refusal is not None:
                return Plan(found, Arm.LEGACY, LEGACY, refusal.reason, refusal=refusal.problem)
        return decide(found, head, draw)


def _cookie_splits(routes: Iterable[Route]) -> list[tuple[Split, tuple[str, ...]]]:
    found: dict[tuple[StickySource, ...], tuple[Split, dict[str, None]]] = {}
    for route in routes:
        split = route.split
        if any(source.kind == "cookie" for source in split.sources):
            found.setdefault(split.sources, (split, {}))[1][route.settings.split.group] = None
    return [(split, tuple(groups)) for split, groups in found.values()]


def _sampled_below(tracing: TracingSettings) -> bytes | None:
    """Return the bound of OpenTelemetry's TraceIdRatioBased: the share of 2^64, for the trace id's lower 64 bits."""
    if tracing.otlp is None:
        return None
    return b"g" if tracing.sample >= 1.0 else b"%016x" % int(tracing.sample * 2**64)


def _has_base_path(settings: Settings, route: RouteSettings) -> bool:
    upstream = settings.upstreams.get(route.candidate or "")
    return upstream is not None and any(url.path.rstrip("/") for url in upstream.urls)


def _odd_plan(oddity: Oddity, is_rejecting: bool) -> Plan:
    if oddity.is_malformed:
        return Plan(None, Arm.LEGACY, LEGACY, Reason.MALFORMED_TARGET, refusal=problem.BAD_TARGET, oddity=oddity)
    refusal = problem.AMBIGUOUS_PATH if is_rejecting else None
    return Plan(None, Arm.LEGACY, LEGACY, Reason.AMBIGUOUS_PATH, refusal=refusal, oddity=oddity)
