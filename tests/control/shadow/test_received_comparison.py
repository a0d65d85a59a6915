"""A mirrored request from both arms to its finding, over real sockets."""

import asyncio
from typing import Any

import msgspec
import pytest

from strangler.control.shadow.arms import CapturedArms
from strangler.control.shadow.received_comparison import ReceivedComparison
from strangler.core.settings import BaselineSettings
from strangler.ipc.messages import Captured
from strangler.store.evidence.findings import Finding
from strangler.store.evidence.index import IndexState
from tests.control.shadow.test_comparison import NINE, TEN, Site, site
from tests.http1.scripted import Connection
from tests.store.evidence.pairs import captured


def mirrored(**changes: Any) -> Captured:
    """A request whose response only another proxy has seen."""
    return msgspec.structs.replace(captured(arm="", upstream="", url=""), **changes)


async def finding(on: Site, request: Captured) -> Finding:
    arms = CapturedArms(request, on.route, on.upstreams, None, lambda route, why: None)
    return await ReceivedComparison(arms, IndexState(), on.threads).run()


async def test_both_arms_are_asked_once_and_timed() -> None:
    async with site() as on:
        found = await finding(on, mirrored())
        assert (found.outcome, on.requests_seen) == ("match", (1, 1))
        assert found.latency is not None
        assert found.is_timeable


async def test_both_arms_are_asked_at_the_same_time() -> None:
    """Each arm responds only once the other has its request, too."""
    both = asyncio.Barrier(2)

    async def waits(connection: Connection) -> None:
        await connection.read_request()
        async with asyncio.timeout(10):
            await both.wait()
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with site() as on:
        on.legacy.script = on.candidate.script = waits
        assert (await finding(on, mirrored())).outcome == "match"


@pytest.mark.parametrize("of", ["legacy", "candidate", "any"])
async def test_a_mismatch_is_checked_again_at_one_arm(of: str) -> None:
    async with site(candidate=[TEN], of=of) as on:
        found = await finding(on, mirrored())
        assert (found.outcome, on.requests_seen) == ("mismatch", (2, 1) if of == "candidate" else (1, 2))
        assert [difference.path for difference in found.differences] == ["$.price"]


async def test_a_candidate_that_had_only_lagged_behind_is_not_comparable() -> None:
    async with site(candidate=[TEN, NINE]) as on:
        found = await finding(on, mirrored())
        assert (found.outcome, found.reason) == ("not_comparable", "lag")


async def test_a_baseline_asks_legacy_alone_once_more() -> None:
    async with site(legacy=[NINE, TEN], candidate=[NINE], baseline=BaselineSettings(1.0, False)) as on:
        found = await finding(on, mirrored())
        assert (found.outcome, on.requests_seen) == ("match", (2, 1))
        assert found.baseline is not None
        assert [noisy.path for noisy in found.baseline] == ["$.price"]


async def test_a_baseline_leaves_out_requests_with_credentials() -> None:
    async with site(baseline=BaselineSettings(1.0, False)) as on:
        found = await finding(on, mirrored(lines=b"Host: shop\r\nCookie: sid=1\r\n"))
        assert (found.baseline, on.requests_seen) == (None, (1, 1))
        assert found.latency is not None, "both arms were asked alike all the same"


async def test_the_line_names_no_arm_that_served() -> None:
    async with site(candidate=[TEN]) as on:
        found = await finding(on, mirrored())
        assert msgspec.json.decode(found.line or b"")["served_by"] == ""


async def breaks(connection: Connection) -> None:
    await connection.read_request()
    await connection.send(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n")


async def test_an_error_of_legacy_is_no_evidence_and_one_of_the_candidate_is() -> None:
    async with site() as on:
        on.legacy.script = breaks
        found = await finding(on, mirrored())
        assert (found.outcome, found.reason) == ("not_comparable", "legacy_error")
    async with site() as on:
        on.candidate.script = breaks
        assert (await finding(on, mirrored())).outcome == "mismatch"


async def test_a_stop_ends_the_second_look() -> None:
    async with site(candidate=[TEN], baseline=BaselineSettings(1.0, False)) as on:
        on.route.stopped = "because"
        assert (await finding(on, mirrored())).outcome == "mismatch"
        assert on.requests_seen == (1, 1)


async def test_the_arms_get_one_body() -> None:
    async with site() as on:
        request = mirrored(body=b"{}", lines=b"Host: shop\r\nContent-Length: 2\r\n")
        assert (await finding(on, request)).outcome == "match"
        assert [arm.requests[0].raw.endswith(b"\r\n\r\n{}") for arm in (on.legacy, on.candidate)] == [True, True]
