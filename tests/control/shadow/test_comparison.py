"""One capture from its arms to its finding, over real sockets: what is asked, and what it comes to."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pytest

from strangler.comparing.client import ArmUpstream
from strangler.control.shadow.arms import CapturedArms
from strangler.control.shadow.comparison import ShadowComparison
from strangler.control.shadow.route import ShadowRoute
from strangler.core.ledger.template_tree import TemplateTreeState
from strangler.core.routing.arm import Arm
from strangler.core.settings import BaselineSettings
from strangler.ipc.messages import CandidateFailed, Captured, CapturedResponse
from strangler.store.evidence.findings import Finding
from strangler.store.evidence.index import IndexState
from tests.factories import route, shadow, upstream
from tests.http1.scripted import Connection, ScriptedUpstream
from tests.store.evidence.pairs import KEY, captured

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
NINE, TEN = {"price": 9}, {"price": 10}
NO_BASELINE = BaselineSettings(0.0, False)


def says(*documents: Any) -> Callable[[Connection], Any]:
    """One document for each connection, the last for all that come later."""
    bodies = [msgspec.json.encode(document) for document in documents]

    async def script(connection: Connection) -> None:
        await connection.read_request()
        body = bodies.pop(0) if len(bodies) > 1 else bodies[0]
        head = HEAD.replace(b"\r\n\r\n", b"\r\nContent-Length: %d\r\n\r\n" % len(body))
        await connection.send(head + body)

    return script


def got(document: Any, **changes: Any) -> CapturedResponse:
    """The response that the client got."""
    body = msgspec.json.encode(document)
    return msgspec.structs.replace(CapturedResponse(200, HEAD, body, None, 0.01, len(body), False, False), **changes)


@dataclass(slots=True)
class Site:
    """Both arms, and a route between them."""

    route: ShadowRoute
    legacy: ScriptedUpstream
    candidate: ScriptedUpstream
    upstreams: dict[str, ArmUpstream]
    threads: ThreadPoolExecutor

    async def finding(self, request: Captured) -> Finding:
        arms = CapturedArms(request, self.route, self.upstreams, None, self._halt)
        return await ShadowComparison(arms, IndexState(), self.threads).run()

    def _halt(self, of: ShadowRoute, why: str) -> None:
        of.stopped = why

    @property
    def requests_seen(self) -> tuple[int, int]:
        """How often legacy and the candidate were asked."""
        return len(self.legacy.requests), len(self.candidate.requests)


@asynccontextmanager
async def site(
    legacy: Sequence[Any] = (NINE,), candidate: Sequence[Any] = (NINE,), **changes: Any
) -> AsyncIterator[Site]:
    given: dict[str, Any] = {"recheck_s": 0.01, "baseline": NO_BASELINE} | changes
    made = ShadowRoute.if_shadowed(replace(route("orders"), shadow=shadow(**given)), KEY)
    assert made is not None
    async with ScriptedUpstream(says(*legacy)) as this_upstream, ScriptedUpstream(says(*candidate)) as other:
        upstreams = {
            name: ArmUpstream(upstream(name, f"http://127.0.0.1:{to.port}"))
            for name, to in (("legacy", this_upstream), ("orders", other))
        }
        threads = ThreadPoolExecutor(1)
        yield Site(made, this_upstream, other, upstreams, threads)
        threads.shutdown()
        for to in upstreams.values():
            await to.close()


async def test_only_the_other_arm_is_asked_and_only_once_if_it_agrees() -> None:
    async with site() as on:
        assert (await on.finding(captured(response=got(NINE)))).outcome == "match"
        assert on.requests_seen == (0, 1)
        assert (await on.finding(captured(arm="candidate", response=got(NINE)))).outcome == "match"
        assert on.requests_seen == (1, 1)


async def test_a_mismatch_is_asked_once_more_and_stands_if_it_is_there_again() -> None:
    async with site(candidate=[TEN]) as on:
        assert (await on.finding(captured(response=got(NINE)))).outcome == "mismatch"
        assert on.requests_seen == (0, 2)


async def test_an_arm_that_had_only_lagged_behind_is_not_comparable() -> None:
    async with site(candidate=[TEN, NINE]) as on:
        finding = await on.finding(captured(response=got(NINE)))
        assert (finding.outcome, finding.reason) == ("not_comparable", "lag")


async def test_a_write_is_never_asked_again() -> None:
    async with site(legacy=[TEN]) as on:
        request = captured(method=b"POST", arm="candidate", response=got(NINE))
        assert (await on.finding(request)).outcome == "mismatch"
        assert on.requests_seen == (1, 0)


async def test_a_dry_run_is_confirmed_for_each_endpoint_though_the_ledger_has_folded_them() -> None:
    """A permission for a write must not let another one out, only because their paths have one name now."""
    tree = TemplateTreeState()
    tree.name(["/users/{}"])
    handled = HEAD.replace(b"\r\n\r\n", b"\r\nX-Strangler-Shadow-Handled: 1\r\nContent-Length: 11\r\n\r\n")

    async def confirm(connection: Connection) -> None:
        while True:
            await connection.read_request()
            await connection.send(handled + b'{"price":9}')

    async with site(writes="dry_run") as on:
        on.candidate.script = confirm
        names = set()
        for path in (b"/users/ana", b"/users/bob", b"/users/ana"):
            arms = CapturedArms(captured(path, method=b"POST"), on.route, on.upstreams, None, on._halt, tree=tree)
            names.add(arms.endpoint)
            await arms.ask(Arm.CANDIDATE)
        assert names == {"POST /users/{}"}
        requests = [request.raw.partition(b" HTTP")[0] for request in on.candidate.requests]
        assert requests == [
            b"OPTIONS /users/ana", b"POST /users/ana", b"OPTIONS /users/bob", b"POST /users/bob", b"POST /users/ana",
        ]  # fmt: skip


async def test_no_recheck_is_made_once_shadows_have_stopped() -> None:
    async with site(candidate=[TEN], recheck_s=0.1) as on:
        running = asyncio.create_task(on.finding(captured(response=got(NINE))))
        while on.requests_seen != (0, 1):  # noqa: ASYNC110 - sockets tell their own tasks, not us
            await asyncio.sleep(0.005)
        on.route.stopped = "no header"
        assert (await running).outcome == "mismatch"
        assert on.requests_seen == (0, 1)


async def test_a_baseline_asks_both_arms_and_times_them() -> None:
    async with site(baseline=BaselineSettings(1.0, False)) as on:
        finding = await on.finding(captured(response=got(NINE)))
        assert (finding.outcome, finding.baseline, finding.is_timeable) == ("match", (), True)
        assert finding.latency is not None
        assert on.requests_seen == (1, 2)


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        pytest.param(got(NINE, status=500), "legacy_error", id="legacy has failed"),
        pytest.param(got(NINE, is_streaming=True), "streaming", id="a stream"),
        pytest.param(got(NINE, is_too_large=True), "too_large", id="a body that was not kept"),
    ],
)
async def test_what_cannot_be_compared_asks_nobody(response: CapturedResponse, reason: str) -> None:
    async with site() as on:
        finding = await on.finding(captured(response=response))
        assert (finding.outcome, finding.reason, on.requests_seen) == ("not_comparable", reason, (0, 0))


async def test_a_candidate_that_failed_before_legacy_responded_is_evidence_as_it_is() -> None:
    async with site() as on:  # where it has recovered by now
        finding = await on.finding(captured(response=got(NINE), failed=CandidateFailed(None, 503, 0.01)))
        assert (finding.outcome, [difference.place for difference in finding.differences]) == ("mismatch", ["status"])
        assert on.requests_seen == (0, 0)
