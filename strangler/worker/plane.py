"""What all requests of a worker share: the snapshot in force, the upstreams, the switches, the counting."""

import asyncio
import time
from collections.abc import Iterator
from email.utils import formatdate

import structlog

from strangler.core.breaker import OPEN, BreakerChanged, BreakerOpening
from strangler.core.cookies import cookies_set
from strangler.core.endpoints import EndpointChanged, EndpointKey
from strangler.core.fallback import FallbackRules
from strangler.core.fault import Fault
from strangler.core.fence import Fence, FenceMark, is_fencing
from strangler.core.plan import CANDIDATE_ARM, Arm
from strangler.core.result import Result
from strangler.core.routes import Route
from strangler.core.settings import Settings
from strangler.core.share import Share
from strangler.core.snapshot import Snapshot
from strangler.wire.clock import now
from strangler.wire.exchange import Clocks
from strangler.wire.link import WorkerLink
from strangler.wire.messages import BreakerChanged as BreakerChangedMessage
from strangler.wire.messages import BreakerOpened, EndpointHealth, FenceMarks, Shared, fence_messages
from strangler.wire.numbers import Numbers
from strangler.wire.response import Answer
from strangler.worker.call import Call
from strangler.worker.capture import Captures
from strangler.worker.record import Record
from strangler.worker.upstreams import Upstream, Upstreams

_NO_FALLBACK = FallbackRules(None)

_NO_REFUSAL = frozenset({Fault.CLIENT_GONE, *(fault for fault in Fault if fault.is_upstream or fault.is_unsent)})
"""Ends of a request that are no limit's doing, nor that of a rule of framing."""

_MOST_UNSHARED = 50_000
"""Marks that wait for a control that is too slow to hear of them."""


class Plane:
    """The data plane of one worker process: number `index` of those that routes.yaml asks for."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        settings: Settings,
        generation: int,
        numbers: Numbers,
        record: Record,
        index: int = 0,
    ) -> None:
        self.loop = loop
        self._index = index
        self.numbers = numbers
        self.upstreams = Upstreams(loop)
        self.is_killed = False
        self.link: WorkerLink | None = None
        self.captures = Captures(numbers)
        self._record = record
        self._fence = Fence()
        self._unshared: list[FenceMark] = []
        """Marks that control has not been told of yet."""
        self._measured: set[tuple[str, str]] = set()
        self._log = structlog.get_logger()
        self._date = b""
        self._date_second = 0
        self.adopt(Snapshot(settings, generation))

    def adopt(self, snapshot: Snapshot) -> None:
        """New settings for all requests that begin from now on."""
        settings = snapshot.settings
        share = Share(self._index, settings.workers)
        changes = self.upstreams.adopt(settings.upstreams, settings.limits.response_header_bytes, now(), share)
        self.snapshot = snapshot
        self.exposes_arm = settings.expose_arm
        self._route_clocks: dict[Route, Clocks] = {}  # not by name: a request under way has a route of its own time
        self._fallback_rules: dict[Route, FallbackRules] = {}
        self._record.adopt(settings.log)
        for change in changes:
            self.breaker_changed(change)

    # What the rules of a route say

    def clocks(self, upstream: Upstream, route: Route | None, arm: Arm) -> Clocks:
        """The timeouts of an attempt: the route's, if it has its own for its candidate."""
        if route is None or arm is not CANDIDATE_ARM or route.settings.timeouts is None:
            return upstream.clocks
        clocks = self._route_clocks.get(route)
        if clocks is None:
            clocks = self._route_clocks[route] = Clocks(route.settings.timeouts)
        return clocks

    def fallback_rules(self, call: Call) -> FallbackRules:
        route = call.plan.route
        if route is None:
            return _NO_FALLBACK
        rules = self._fallback_rules.get(route)
        if rules is None:
            rules = self._fallback_rules[route] = FallbackRules(route.settings.fallback)
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

    def answered(self, call: Call, upstream_result: Result, answer: Answer) -> None:
        """The head of an answer is about to be passed on."""
        route = call.plan.route
        is_write = call.arm == CANDIDATE_ARM and is_fencing(call.method, upstream_result)
        if not is_write and not self.has_fences:
            return
        cookies: dict[bytes, bytes | None] = {}
        if answer.sets_cookies:
            cookies = cookies_set(answer.headers(), self.unix_time())
        if is_write and route is not None:
            split = route.split
            self._fence_callers(call, route, {self._sticky_key(call), split.sticky_key_after(call, cookies)})
        if cookies:
            self._follow_callers(call, cookies)

    def _fence_callers(self, call: Call, route: Route, keys: set[bytes | None]) -> None:
        """A first write may begin a session: then its caller has no key yet but the one that the answer gives it."""
        fence_s = self.fallback_rules(call).fence_s
        for key in keys:
            if key is not None and fence_s:
                self._unshared.append(self._fence.record(route.settings.split.group, key, now(), fence_s))

    def _follow_callers(self, call: Call, cookies: dict[bytes, bytes | None]) -> None:
        """A caller that is fenced gets another key, as a login or a logout gives it, from whichever arm: the fence goes
        along."""
        at = now()
        for split, groups in self.snapshot.cookie_splits:
            key, after = split.sticky_key(call), split.sticky_key_after(call, cookies)
            if key is None or after is None or after == key:
                continue
            for group in groups:
                until = self._fence.until(group, key, at)
                if until is not None:
                    self._unshared.append(self._fence.record(group, after, at, until - at))

    @property
    def has_fences(self) -> bool:
        """True if there are fences, and cookies that could carry one along to another key."""
        return len(self._fence) > 0 and bool(self.snapshot.cookie_splits)

    def record(self, call: Call) -> None:
        """The request is over."""
        if call.capture is not None:
            call.capture.abandon()
        if call.end is not None and call.end not in _NO_REFUSAL:
            self.refused(call.end)
        at = now()
        self._record.write(call, at)
        if call.trace.notes is not None and self.link is not None:
            self.link.offer(call.trace.notes.message(call, at - call.started))

    def refused(self, reason: str) -> None:
        """A limit, or a rule of framing, turned a request or a connection away, or ended it."""
        self.numbers.counter("strangler_refused_total", str(reason)).inc()

    def retry_decided(self, upstream: Upstream, decision: str) -> None:
        """A failure is listed in `retry.when`: `retry`, or why not."""
        self.numbers.counter("strangler_retries_total", upstream.settings.name, decision).inc()

    def fallback_withheld(self, call: Call, reason: str) -> None:
        """A failure is listed in `fallback.when`, and legacy must not answer all the same."""
        route = call.plan.route
        self.numbers.counter("strangler_fallbacks_withheld_total", route.name if route else "", reason).inc()

    def breaker_changed(self, change: BreakerChanged) -> None:
        """A breaker of this worker; the other workers are to hear of it if it opened."""
        self._log_breaker(change)
        upstream = self.upstreams.get(change.upstream)
        if self.link is None or upstream is None:
            return
        self.link.offer(BreakerChangedMessage(change.upstream, change.before.value, change.after.value, change.reason))
        if change.after is OPEN:
            for opening in self._openings(upstream):
                self.link.offer(opening)

    def _log_breaker(self, change: BreakerChanged) -> None:
        self._log.warning(
            "breaker.changed",
            upstream=change.upstream,
            before=change.before.value,
            after=change.after.value,
            reason=change.reason,
        )

    def endpoint_changed(self, upstream: Upstream, change: EndpointChanged) -> None:
        self._log.warning(
            "endpoint.changed",
            upstream=upstream.settings.name,
            endpoint=str(change.endpoint),
            usable=change.is_usable,
            reason=change.reason,
        )

    # What all workers are to know

    def learn(self, message: Shared) -> None:
        """Another worker, or control, has found this out."""
        if isinstance(message, FenceMarks):
            for mark in message.marks:
                self._fence.merge(mark, now())
            return
        upstream = self.upstreams.get(message.upstream)
        if upstream is None:
            return
        if isinstance(message, EndpointHealth):
            key = EndpointKey(message.url, message.address)
            upstream.set_health(key, message.is_healthy, message.reason)
            return
        opening = BreakerOpening(message.until, message.streak, message.reason)
        change = upstream.admission.breaker.force_open(opening, now())
        if change is not None:
            self._log_breaker(change)

    def share_marks(self) -> None:
        """Tell control of new write fences; called many times a second."""
        link = self.link
        if not self._unshared or link is None:
            return
        marks, self._unshared = self._unshared, []
        if not link.is_connected:
            return  # a new connection begins with all that this worker knows
        for message in fence_messages(marks):
            if not link.offer(message):
                self._unshared += message.marks
        del self._unshared[:-_MOST_UNSHARED]

    def knowledge(self) -> Iterator[Shared]:
        """All that a control that is new has to hear from this worker."""
        for upstream in self.upstreams:
            yield from self._openings(upstream)
            for key, reason in upstream.unhealthy.items():
                yield EndpointHealth(upstream.settings.name, key.url, key.address, False, reason)
        yield from fence_messages(self._fence.marks(now()))

    def _openings(self, upstream: Upstream) -> Iterator[BreakerOpened]:
        opening = upstream.admission.breaker.export()
        if opening is not None:
            yield BreakerOpened(upstream.settings.name, self.snapshot.generation, *opening)

    def measure(self) -> None:
        """Bring the gauges up to date; called before each report."""
        at = now()
        measured = set()
        for upstream in self.upstreams:
            name = upstream.settings.name
            bulkhead, breaker = upstream.admission.bulkhead, upstream.admission.breaker
            self.numbers.gauge("strangler_in_flight", name).set(bulkhead.in_flight)
            self.numbers.gauge("strangler_waiting", name).set(bulkhead.waiting)
            self.numbers.gauge("strangler_streams", name).set(bulkhead.streams)
            is_cool = breaker.state is OPEN and not breaker.refuses(at)  # the next request is its first trial
            figure = 1 if is_cool else _STATE_FIGURES[breaker.state.value]
            self.numbers.gauge("strangler_breaker_state", name).set(figure)
            for url, figure in upstream.endpoint_figures(at).items():
                measured.add((name, url))
                self.numbers.gauge("strangler_endpoint_state", name, url).set(figure)
        for gone in self._measured - measured:
            self.numbers.gauge("strangler_endpoint_state", *gone).set(0)
        self._measured = measured

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
        route, key = call.plan.route, self._sticky_key(call)
        return None if route is None or key is None else (route.settings.split.group, key)

    def _sticky_key(self, call: Call) -> bytes | None:
        plan = call.plan
        return None if plan.route is None else plan.sticky_key or plan.route.split.sticky_key(call)


_STATE_FIGURES = {"closed": 0, "half_open": 1, "open": 2}
