"""The arms of a replay: the connections to what it sends to, and the requests that go there."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from strangler.comparing.arm_request import Outgoing, is_absolute, lines_of, outgoing, question
from strangler.comparing.ask_parts import ask_parts
from strangler.comparing.comparer import ArmResponse
from strangler.comparing.digest import endpoint_of
from strangler.comparing.kept_upstream import CallerUpstream, KeptUpstream
from strangler.core.compare import Response
from strangler.core.routing.arm import AGGREGATE, LEGACY
from strangler.core.settings import Url
from strangler.core.shadowing.dry_runs import Basis, Place
from strangler.ipc.messages import Captured
from strangler.replay.destination import Destination, ReplayedRoute
from strangler.replay.progress import ReplayProgress
from strangler.replay.replay_settings import PROXY
from strangler.replay.stop_rule import StopRuleState
from strangler.store.evidence.stored_releases import named_in

_EXPIRE_EVERY_S = 0.1
_PART_TIMEOUT_S = 60.0
"""The limit of a part of an aggregate that has none of its own."""


@dataclass(slots=True)
class ReplayArms:
    """All that a replay sends to. It must be closed."""

    upstreams: Mapping[str, KeptUpstream]
    """By name; the proxy's listener as `PROXY`."""
    progress: ReplayProgress
    stop: Callable[[str], None]
    """Called with the reason why the replay ends."""
    _rules: dict[str, StopRuleState] = field(default_factory=dict)
    _releases: dict[str, str] = field(default_factory=dict)
    """By route, the release that its candidate named last."""

    async def keep_time(self) -> None:
        """End exchanges whose time is over, until cancelled."""
        while True:
            await asyncio.sleep(_EXPIRE_EVERY_S)
            now = time.monotonic()
            for upstream in self.upstreams.values():
                upstream.expire(now)
            self._sum_up()

    def release(self, caller: str) -> None:
        """Let other callers have the connections of one that has no more requests for now."""
        for upstream in self.upstreams.values():
            upstream.release(caller)

    async def close(self) -> None:
        for upstream in self.upstreams.values():
            await upstream.close()
        self._sum_up()

    def _sum_up(self) -> None:
        self.progress.sent_again = sum(upstream.sent_again for upstream in self.upstreams.values())

    async def ask_legacy(self, route: ReplayedRoute, captured: Captured, caller: str) -> ArmResponse:
        """Send a safe request to legacy."""
        return await self.ask(Destination(route, LEGACY), captured, caller)

    async def ask(self, destination: Destination, captured: Captured, caller: str) -> ArmResponse:
        """Send a request where it goes, and count what came of it."""
        if destination.upstream == AGGREGATE:
            reply = ArmResponse(await self._ask_parts(destination, captured, caller), None)
        else:
            reply = await self._ask(destination, captured, caller)
            self._count(destination.upstream, reply)
        if destination.upstream == LEGACY:
            return reply
        release = named_in(destination.route.settings, reply.response)
        if release:
            self._releases[destination.route.name] = release
        return ArmResponse(reply.response, reply.url, release)

    def _count(self, upstream: str, reply: ArmResponse) -> None:
        rule = self._rules.get(upstream)
        if rule is None:
            rule = self._rules[upstream] = StopRuleState(upstream)
        rule.add(reply.response, reply.url)
        reason = rule.reason() if reply.response.fault is not None else None
        if reason is not None:
            self.stop(reason)

    async def _ask_parts(self, destination: Destination, captured: Captured, caller: str) -> Response:
        route = destination.route
        upstreams = {part.upstream: self._for_caller(destination, part.upstream, caller) for part in route.parts}
        return await ask_parts(captured, route.parts, upstreams, _PART_TIMEOUT_S, route.max_body_bytes)

    def _for_caller(self, destination: Destination, name: str, caller: str) -> CallerUpstream:
        upstream = self.upstreams[name]
        return CallerUpstream(upstream, caller, destination.route.timeouts_of(name, upstream.settings.timeouts))

    async def _ask(self, destination: Destination, captured: Captured, caller: str) -> ArmResponse:
        route, upstream = destination.route, self.upstreams[destination.upstream]
        url = upstream.pick(caller)
        timeouts = route.timeouts_of(destination.upstream, upstream.settings.timeouts)
        if destination.is_dry_run:
            return ArmResponse(await self._ask_dry_run(destination, captured, caller, url), url)
        if destination.upstream == PROXY:
            request = _to_proxy(captured, url)
        else:
            rewrite = route.rewrite if destination.is_rewritten else None
            request = outgoing(captured, upstream.settings, url, rewrite, is_dry_run=False, is_last=False)
        return ArmResponse(await upstream.ask(caller, request, timeouts, route.max_body_bytes), url)

    async def _ask_dry_run(self, destination: Destination, captured: Captured, caller: str, url: Url) -> Response:
        """Send a write as a dry run, after the candidate has confirmed that it supports dry runs."""
        route, upstream = destination.route, self.upstreams[destination.upstream]
        timeouts = route.timeouts_of(destination.upstream, upstream.settings.timeouts)

        def basis() -> Basis:
            return Basis(self._releases.get(route.name, ""), upstream.failures)

        def named(response: Response) -> str | None:
            return named_in(route.settings, response) or None

        async def ask() -> Response:
            asking = question(captured, upstream.settings, url, route.rewrite, is_last=False)
            response = await upstream.ask(caller, asking, timeouts, route.max_body_bytes)
            release = named(response)
            if release is not None:
                self._releases[route.name] = release
            return response

        async def send(may_send: Callable[[], bool]) -> Response:
            request = outgoing(captured, upstream.settings, url, route.rewrite, is_dry_run=True, is_last=False)
            return await upstream.ask(caller, request, timeouts, route.max_body_bytes, may_send)

        place = Place(endpoint_of(captured, route.names(None)), str(url))
        response, refusal = await route.dry_runs.run(place, basis, ask, send, named)
        if refusal is not None:
            self.progress.refusals.setdefault(route.name, refusal.text(place.endpoint))
        return response


def _to_proxy(captured: Captured, url: Url) -> Outgoing:
    """Return the request as a client sends it to the proxy: without a mark."""
    fields = list(lines_of(captured.lines))
    if not captured.host:
        fields.insert(0, (b"Host", url.authority.encode()))
    elif is_absolute(captured.target):
        fields = [(name, captured.host if name.lower() == b"host" else value) for name, value in fields]
    if captured.body and not any(name.lower() == b"content-length" for name, _ in fields):
        fields.append((b"Content-Length", b"%d" % len(captured.body)))
    return Outgoing(url, captured.method, captured.target, tuple(fields), captured.body)
