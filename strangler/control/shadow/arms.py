"""The arms of one captured request: the response that its client got, and the responses of the arms to a copy."""

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from strangler.comparing.arm_request import lines_of, outgoing, question
from strangler.comparing.ask_parts import ask_parts
from strangler.comparing.client import ArmUpstream
from strangler.comparing.comparer import ArmResponse
from strangler.comparing.digest import endpoint_of, request_of
from strangler.control.shadow.route import ShadowRoute
from strangler.core.compare import CompareRules, Response
from strangler.core.compare.model.endpoint_names import TemplateTree
from strangler.core.fault import Fault
from strangler.core.http.methods import SAFE
from strangler.core.routing.arm import LEGACY, Arm
from strangler.core.settings import Url
from strangler.core.shadowing.dry_runs import Basis, Place
from strangler.ipc.messages import CandidateFailed, Captured, CapturedResponse
from strangler.store.evidence.releases_state import ReleasesState
from strangler.store.evidence.stored_releases import named_in


@dataclass(slots=True)
class CapturedArms:
    """Both arms of one capture. `halt` stops the shadows of a route, for a reason; `tree` is that of the ledger."""

    captured: Captured
    route: ShadowRoute
    upstreams: Mapping[str, ArmUpstream]
    served_url: Url | None
    halt: Callable[[ShadowRoute, str], None]
    releases: ReleasesState = field(default_factory=ReleasesState)
    tree: TemplateTree | None = None
    endpoint: str = field(init=False)
    rules: CompareRules = field(init=False)
    """The rules in force for this request."""

    def __post_init__(self) -> None:
        self.endpoint = endpoint_of(self.captured, self.route.names(self.tree))
        rules = self.route.endpoint_rules
        self.rules = rules.of(self.endpoint, request_of(self.captured) if rules.depend_on_requests else "")

    @property
    def is_safe(self) -> bool:
        """Whether the request may be sent again without an effect (RFC 9110, section 9.2.1)."""
        return self.captured.method in SAFE

    @property
    def shadowed(self) -> Arm:
        """The arm that did not serve the client; if that is not known, or no shadows are sent to it, the other one."""
        other, served = Arm.CANDIDATE, Arm.LEGACY
        if self.captured.arm == Arm.CANDIDATE:
            other, served = served, other
        return other if other in self.route.looks else served

    # 1. What is known without asking

    def served(self) -> ArmResponse:
        """Return the response that the client got."""
        response = _response_of(self.captured.response)
        if self.captured.arm == Arm.LEGACY:
            return ArmResponse(response, self.served_url)
        return self.of_candidate(response, self.served_url, self.captured.at)

    def failed(self, failure: CandidateFailed) -> ArmResponse:
        """Return the failure of the candidate before legacy responded in its place."""
        return self.of_candidate(_failed(failure), None, self.captured.at)

    def of_candidate(self, response: Response, url: Url | None, requested_at: float) -> ArmResponse:
        """Return a response of the candidate with its release, and take note of the release that it names.

        If it names none, its release is the one that was current when the request was sent.
        """
        release = self.releases.see(self.route.settings, response, requested_at, time.time())
        if self._named(response) is not None:
            self.route.dry_runs.state.see(release)
        return ArmResponse(response, url, release)

    def _named(self, response: Response) -> str | None:
        """Return the release that a response of the candidate names by its header, if there is one."""
        return named_in(self.route.settings, response) or None

    # 2. What they respond when they are asked

    async def pair(self, served: ArmResponse) -> tuple[ArmResponse, ArmResponse]:
        """Return legacy's response and the candidate's, one of them as the client got it."""
        if self.captured.arm == Arm.LEGACY:
            return served, await self.ask(Arm.CANDIDATE)
        return await self.ask(Arm.LEGACY), served

    async def ask_both(self) -> tuple[ArmResponse, ArmResponse]:
        """Ask legacy and the candidate at the same time; which one is first is left to chance."""
        arms = [Arm.LEGACY, Arm.CANDIDATE]
        random.shuffle(arms)
        responses = dict(zip(arms, await asyncio.gather(*map(self.ask, arms)), strict=True))
        return responses[Arm.LEGACY], responses[Arm.CANDIDATE]

    async def ask(self, arm: Arm) -> ArmResponse:
        """Send the request to one arm."""
        if arm is Arm.CANDIDATE:
            return await self._ask_candidate()
        route, upstream = self.route, self.upstreams[LEGACY]
        url = upstream.pick()
        request = outgoing(self.captured, upstream.settings, url, None, is_dry_run=False)
        async with route.sending:
            return ArmResponse(await upstream.ask(request, route.shadow.timeout_s, route.shadow.max_body_bytes), url)

    async def _ask_candidate(self) -> ArmResponse:
        route, captured, shadow = self.route, self.captured, self.route.shadow
        async with route.sending:
            requested_at = time.time()
            if route.parts:
                response = await ask_parts(
                    captured, route.parts, self.upstreams, shadow.timeout_s, shadow.max_body_bytes
                )
                return self.of_candidate(response, None, requested_at)
            upstream = self.upstreams[route.upstream_of(Arm.CANDIDATE, captured.method)]
            url = upstream.pick()
            if route.is_dry_run(captured.method):
                response = await self._ask_dry_run(upstream, url)
            else:
                request = outgoing(captured, upstream.settings, url, route.rewrite, is_dry_run=False)
                response = await upstream.ask(request, shadow.timeout_s, shadow.max_body_bytes)
            if route.is_sandboxed(captured.method):  # a sandbox may have another release, which does not count
                return ArmResponse(response, url, self.releases.at(route.name, requested_at))
            return self.of_candidate(response, url, requested_at)

    async def _ask_dry_run(self, upstream: ArmUpstream, url: Url) -> Response:
        """Send a write as a dry run, after the candidate has confirmed that it supports dry runs."""
        route, captured, shadow = self.route, self.captured, self.route.shadow
        # What the ledger has folded does not count: a permission for `/posts/hello` is none for `/posts/delete-all`.
        runs, place = route.dry_runs, Place(endpoint_of(captured, route.names(None)), str(url))

        def basis() -> Basis:
            return Basis(self.releases.current(route.name), upstream.failures)

        async def ask() -> Response:
            asking = question(captured, upstream.settings, url, route.rewrite)
            response = await upstream.ask(asking, shadow.timeout_s, shadow.max_body_bytes)
            return self.of_candidate(response, url, time.time()).response

        async def send(may_send: Callable[[], bool]) -> Response:
            request = outgoing(captured, upstream.settings, url, route.rewrite, is_dry_run=True)
            return await upstream.ask(request, shadow.timeout_s, shadow.max_body_bytes, may_send)

        reply, refusal = await runs.run(place, basis, ask, send, self._named)
        if refusal is not None:
            self.halt(route, f"{refusal.text(self.endpoint)}; {_WAY_OUT.format(route.name)}")
        return reply


_WAY_OUT = "let it confirm dry runs, then `strangler shadow resume {}`"


def _response_of(captured: CapturedResponse) -> Response:
    return Response(
        status=captured.status,
        headers=list(lines_of(captured.head.partition(b"\r\n")[2])),
        body=captured.body,
        fault=None if captured.fault is None else Fault(captured.fault),
        duration_s=captured.duration_s,
        is_too_large=captured.is_too_large,
        is_streaming=captured.is_streaming,
    )


def _failed(failed: CandidateFailed) -> Response:
    fault = None if failed.fault is None else Fault(failed.fault)
    return Response(failed.status or 0, fault=fault, duration_s=failed.duration_s)
