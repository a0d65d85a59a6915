# Compiled with mypyc: see docs/hot-path.md.
"""The rules in force for a request: its timeouts, its fallback, its caller's write fence."""

import time

from strangler.core.http.cookies import cookies_set
from strangler.core.resilience.fallback import FallbackRules, NoFallback
from strangler.core.resilience.write_fence import is_fencing
from strangler.core.result import Result
from strangler.core.routing.arm import CANDIDATE_ARM, Arm
from strangler.core.routing.route import Route
from strangler.core.routing.snapshot import Snapshot
from strangler.http1.exchange import Clocks
from strangler.http1.response import ResponseHead
from strangler.worker.call import Call
from strangler.worker.caller_fences import CallerFences

_NO_FALLBACK = FallbackRules(None)


class Policies:
    """The rules of the settings and the kill switch for a request. Owns the snapshot in force."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.is_killed = False
        self.killed_routes: frozenset[str] = frozenset()
        self.fences = CallerFences()
        self.adopt(snapshot)

    def adopt(self, snapshot: Snapshot) -> None:
        """Adopt new settings, for all requests that begin from now on."""
        self.snapshot = snapshot
        self.exposes_arm = snapshot.settings.expose_arm
        self._route_clocks: dict[Route, Clocks] = {}  # not by name: a request under way has its earlier route
        self._fallback_rules: dict[Route, FallbackRules] = {}

    def clocks(self, default: Clocks, route: Route | None, arm: Arm) -> Clocks:
        """Return the timeouts of an attempt: the route's own for its candidate, if it has any, else `default`."""
        if route is None or arm is not CANDIDATE_ARM or route.settings.timeouts is None:
            return default
        clocks = self._route_clocks.get(route)
        if clocks is None:
            clocks = self._route_clocks[route] = Clocks(route.settings.timeouts)
        return clocks

    def fallback_rules(self, route: Route | None) -> FallbackRules:
        """Return the rules by which legacy may respond instead of the candidate."""
        if route is None:
            return _NO_FALLBACK
        rules = self._fallback_rules.get(route)
        if rules is None:
            rules = self._fallback_rules[route] = FallbackRules(route.settings.fallback)
        return rules

    def why_no_fallback(self, call: Call) -> NoFallback | None:
        """Return the rule that keeps legacy from responding, now that the candidate has failed; None: it may."""
        return self.fallback_rules(call.plan.route).why_not(
            call.method,
            call.results,
            is_response_started=call.has_response,
            is_body_resendable=call.is_resendable,
            is_fenced=self.fences.is_fenced(call),
        )

    def note_response(self, call: Call, result: Result, response: ResponseHead) -> None:
        """Update the write fences, just before the head of a response is passed on."""
        is_write = call.arm == CANDIDATE_ARM and is_fencing(call.method, result)
        splits = self.snapshot.cookie_splits
        if not is_write and not (splits and self.fences.has_marks):
            return
        cookies = cookies_set(response.headers(), time.time()) if response.sets_cookies else {}
        route = call.plan.route
        if is_write and route is not None:
            self.fences.fence_writer(call, route, cookies, self.fallback_rules(route).fence_s)
        if cookies:
            self.fences.follow_caller(call, cookies, splits)
