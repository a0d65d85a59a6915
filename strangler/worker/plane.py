"""What all requests of a worker share: the snapshot in force, the upstreams, the switches, the counting."""

import asyncio
import time
from email.utils import formatdate

import structlog

from strangler.core.breaker import BreakerChanged
from strangler.core.endpoints import EndpointChanged
from strangler.core.fallback import FallbackRules
from strangler.core.fence import Fence, is_fencing
from strangler.core.plan import Arm
from strangler.core.result import Result
from strangler.core.routes import Route
from strangler.core.settings import Settings
from strangler.core.snapshot import Snapshot
from strangler.wire.clock import now
from strangler.wire.exchange import Clocks
from strangler.wire.link import WorkerLink
from strangler.wire.messages import BreakerChanged as BreakerChangedMessage
from strangler.wire.numbers import Numbers
from strangler.worker.call import Call
from strangler.worker.capture import Captures
from strangler.worker.record import Record
from strangler.worker.upstreams import Upstream, Upstreams

_NO_FALLBACK = FallbackRules(None)


class Plane:
    """The data plane of one worker process."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, settings: Settings, generation: int, numbers: Numbers, record: Record
    ) -> None:
        self.loop = loop
        self.numbers = numbers
        self.upstreams = Upstreams(loop)
        self.is_killed = False
        self.link: WorkerLink | None = None
        self.captures = Captures(numbers)
        self._record = record
        self._fence = Fence()
        self._log = structlog.get_logger()
        self._date = b""
        self._date_second = 0
        self.adopt(settings, generation)

    def adopt(self, settings: Settings, generation: int) -> None:
        """New settings for all requests that begin from now on."""
        snapshot = Snapshot(settings, generation)
        changes = self.upstreams.adopt(settings.upstreams, settings.limits.response_header_bytes, now())
        self.snapshot = snapshot
        self.exposes_arm = settings.expose_arm
        self._route_clocks: dict[str, Clocks] = {}
        self._fallback_rules: dict[str, FallbackRules] = {}
        self._record.adopt(settings.log)
        for change in changes:
            self.breaker_changed(change)

    # What the rules of a route say

    def clocks(self, upstream: Upstream, route: Route | None, arm: Arm) -> Clocks:
        """The timeouts of an attempt: the route's, if it has its own for its candidate."""
        if route is None or arm is not Arm.CANDIDATE or route.settings.timeouts is None:
            return upstream.clocks
        clocks = self._route_clocks.get(route.name)
        if clocks is None:
            clocks = self._route_clocks[route.name] = Clocks(route.settings.timeouts)
        return clocks

    def fallback_rules(self, call: Call) -> FallbackRules:
        route = call.plan.route
        if route is None:
            return _NO_FALLBACK
        rules = self._fallback_rules.get(route.name)
        if rules is None:
            rules = self._fallback_rules[route.name] = FallbackRules(route.settings.fallback)
        return rules

    def is_fenced(self, call: Call) -> bool:
        """True if the candidate took a write of this caller lately."""
        found = self._fence_key(call)
        return found is not None and self._fence.is_fenced(*found, now())

    # What happened

    def attempted(self, upstream: Upstream, result: Result) -> None:
        self._record.attempted(upstream.settings.name, result)

    def fell_back(self, call: Call, result: Result) -> None:
        call.is_fallback = True
        route = call.plan.route
        cause = result.cause
        self._record.fell_back(route.name if route is not None else "", str(cause))

    def answered(self, call: Call, upstream_result: Result) -> None:
        """The head of an answer is about to be passed on."""
        if call.arm == Arm.CANDIDATE and is_fencing(call.method, upstream_result):
            found = self._fence_key(call)
            rules = self.fallback_rules(call)
            if found is not None and rules.fence_s:
                self._fence.record(*found, now(), rules.fence_s)

    def record(self, call: Call) -> None:
        """The request is over."""
        if call.capture is not None:
            call.capture.abandon()
        self._record.write(call, now())

    def breaker_changed(self, change: BreakerChanged) -> None:
        self._log.warning(
            "breaker.changed",
            upstream=change.upstream,
            before=change.before.value,
            after=change.after.value,
            reason=change.reason,
        )
        if self.link is not None:
            self.link.offer(
                BreakerChangedMessage(change.upstream, change.before.value, change.after.value, change.reason)
            )

    def endpoint_changed(self, upstream: Upstream, change: EndpointChanged) -> None:
        self._log.warning(
            "endpoint.changed",
            upstream=upstream.settings.name,
            endpoint=str(change.endpoint),
            usable=change.is_usable,
            reason=change.reason,
        )

    def measure(self) -> None:
        """Bring the gauges up to date; called before each report."""
        for upstream in self.upstreams:
            name = upstream.settings.name
            self.numbers.gauge("strangler_in_flight", name).set(upstream.admission.bulkhead.in_flight)
            state = upstream.admission.breaker.state
            self.numbers.gauge("strangler_breaker_state", name).set(_STATE_FIGURES[state.value])

    # Clocks that are not the loop's

    def unix_time(self) -> float:
        return time.time()

    def http_date(self) -> bytes:
        """The Date of an answer of our own (RFC 9110 section 5.6.7)."""
        now = int(time.time())
        if now != self._date_second:
            self._date_second = now
            self._date = formatdate(now, usegmt=True).encode()
        return self._date

    def _fence_key(self, call: Call) -> tuple[str, bytes] | None:
        plan = call.plan
        if plan.route is None:
            return None
        key = plan.sticky_key or plan.route.split.sticky_key(call)
        return None if key is None else (plan.route.settings.split.group, key)


_STATE_FIGURES = {"closed": 0, "half_open": 1, "open": 2}
