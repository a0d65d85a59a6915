"""Which arm answers, what each side sees of the other, and what is told of it."""

from dataclasses import replace
from typing import Any

import pytest

from strangler.core.settings import HeaderEdits, UpstreamSettings
from tests.factories import upstream
from tests.http1.scripted import ScriptedUpstream, in_turn, read_request, reset, responding, send
from tests.worker.conftest import Serve
from tests.worker.plane import at, request, response, two_arms


@pytest.mark.parametrize(
    ("changes", "fields", "arm", "reason"),
    [
        pytest.param({"percent": 100}, (), "candidate", "percent", id="100 percent"),
        pytest.param({"percent": 0}, (), "legacy", "percent", id="0 percent"),
        pytest.param(
            {"percent": 0, "split_headers": {"X-Beta": "1"}}, ("X-Beta: 1",), "candidate", "split_header", id="header"
        ),
        pytest.param(
            {"percent": 0, "override": "X-Arm"}, ("X-Arm: candidate",), "candidate", "override", id="override"
        ),
        pytest.param(
            {"percent": 100, "override": "X-Arm"}, ("X-Arm: legacy",), "legacy", "override", id="override back"
        ),
        pytest.param({"enabled": False}, (), "legacy", "disabled", id="disabled"),
        pytest.param({"methods": ("POST",)}, (), "legacy", "no_route", id="no route"),
    ],
)
async def test_the_plan_says_which_arm_answers(
    changes: dict[str, Any],
    fields: tuple[str, ...],
    arm: str,
    reason: str,
    serve: Serve,
    legacy: ScriptedUpstream,
    candidate: ScriptedUpstream,
) -> None:
    running = await serve(two_arms(legacy, candidate, **changes))
    reply = await running.ask(request("/api/7?x=1", *fields))
    assert (reply.body.decode(), reply.values(b"x-strangler-arm")) == (arm, [arm.encode()])
    line = await running.line()
    assert (line["arm"], line["reason"]) == (arm, reason)


async def test_the_arm_is_not_told_if_it_is_not_to_be(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = responding(send(response(200, b"ok", "X-Strangler-Arm: forged")))
    running = await serve(two_arms(legacy, candidate, general={"expose_arm": False}))
    assert (await running.ask(request())).values(b"x-strangler-arm") == []


async def test_the_access_line_tells_the_story(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    running = await serve(two_arms(legacy, candidate))
    await running.ask(request("/api/%22x?secret=1", "X-Request-Id: r-1"))
    line = await running.line()
    assert line.pop("time").endswith("Z")
    assert 0 <= line.pop("duration_ms") < 1000
    assert line == {
        "level": "info",
        "event": "request",
        "client": "127.0.0.1",
        "method": "GET",
        "path": "/api/%22x",
        "route": "orders",
        "arm": "candidate",
        "reason": "percent",
        "upstream": "orders",
        "status": 200,
        "fault": None,
        "attempts": 1,
        "bytes": 9,
        "request_id": "r-1",
        "process": "worker-0",
        "pid": 1,
    }


@pytest.mark.parametrize(
    ("path", "reported"),
    [
        pytest.param(b"/api/\xc3\xa9", "/api/é", id="UTF-8"),
        pytest.param(b"/api/\xff", "/api/\\xff", id="no UTF-8"),
        pytest.param(b'/api/"', '/api/"', id="a quote"),
        pytest.param(b"/api/\\", "/api/\\", id="a backslash"),
    ],
)
async def test_odd_paths_leave_the_line_whole(
    path: bytes, reported: str, serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    running = await serve(two_arms(legacy, candidate))
    await running.ask(request().replace(b"/api", path))
    assert (await running.line())["path"] == reported


@pytest.mark.parametrize(
    ("sent", "status", "fault"),
    [
        pytest.param(b"nonsense\r\n\r\n", 400, "malformed", id="no request"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", 400, "malformed", id="no Host"),
        pytest.param(b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405, "method_not_allowed", id="TRACE"),
        pytest.param(b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505, "unknown_version", id="HTTP/3"),
    ],
)
async def test_what_is_refused_is_told_too(
    sent: bytes, status: int, fault: str, serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    running = await serve(two_arms(legacy, candidate))
    client = await running.client()
    await client.send(sent)
    assert (await client.response()).status == status
    line = await running.line()
    assert (line["status"], line["fault"], line["upstream"], line["attempts"]) == (status, fault, None, 0)
    assert sum(running.counted("strangler_requests_total").values()) == 1


async def test_every_request_is_counted_once(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    running = await serve(two_arms(legacy, candidate, fallback=None))
    client = await running.client()
    for target in ("/api", "/api", "/else"):
        await client.ask(request(target))
    await candidate.renew()
    candidate.script = in_turn(read_request(), reset())
    await client.ask(request(method="POST"))
    assert running.counted("strangler_requests_total") == {
        ("orders", "candidate", "orders", "2xx"): 2,
        ("", "legacy", "legacy", "2xx"): 1,
        ("orders", "candidate", "orders", "5xx"): 1,
    }
    assert running.counted("strangler_attempts_total") == {
        ("orders", "2xx"): 2,
        ("legacy", "2xx"): 1,
        ("orders", "reset"): 1,
    }
    durations = {
        tuple(c.labels): sum(c.buckets) for c in next(running.numbers.report_all()).histograms if "request" in c.name
    }
    assert durations[("orders", "candidate")] == 3
    assert durations[("", "legacy")] == 1


# What the upstream sees


def edited(candidate: ScriptedUpstream, **changes: Any) -> UpstreamSettings:
    return upstream("orders", at(candidate), **changes)


@pytest.mark.parametrize(
    ("edits", "present", "absent"),
    [
        pytest.param(HeaderEdits((("X-Env", "blue"),), ()), [b"X-Env: blue"], [], id="set"),
        pytest.param(
            HeaderEdits((("Accept", "text/x"),), ()), [b"Accept: text/x"], [b"Accept: text/html"], id="set anew"
        ),
        pytest.param(HeaderEdits((), ("accept",)), [], [b"Accept: text/html"], id="remove, in any case"),
        pytest.param(HeaderEdits((), ("X-Forwarded-For",)), [b"X-Forwarded-Host: shop"], [], id="ours may stay"),
    ],
)
async def test_header_edits_of_an_upstream(
    edits: HeaderEdits,
    present: list[bytes],
    absent: list[bytes],
    serve: Serve,
    legacy: ScriptedUpstream,
    candidate: ScriptedUpstream,
) -> None:
    running = await serve(two_arms(legacy, edited(candidate, headers=edits)))
    await running.ask(request("/api", "Accept: text/html"))
    lines = candidate.requests[0].raw.split(b"\r\n")
    assert [line in lines for line in present] == [True] * len(present)
    assert [line in lines for line in absent] == [False] * len(absent)


@pytest.mark.parametrize("host", ["preserve", "upstream"])
async def test_the_host_that_an_upstream_sees(
    host: str, serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    running = await serve(two_arms(legacy, edited(candidate, host=host)))
    await running.ask(request())
    lines = candidate.requests[0].raw.split(b"\r\n")
    expected = b"shop" if host == "preserve" else b"127.0.0.1:%d" % candidate.port
    assert [line for line in lines if line.lower().startswith(b"host:")] == [b"Host: " + expected]
    assert b"X-Forwarded-Host: shop" in lines


@pytest.mark.parametrize(
    ("base", "rewrite", "target", "seen", "location", "public"),
    [
        pytest.param("", "/v2/orders", "/api/7?x=%2F", "/v2/orders/7?x=%2F", "/v2/orders/8", "/api/8", id="rewrite"),
        pytest.param("/base", None, "/api/7", "/base/api/7", "/base/api/8", "/api/8", id="url with a path"),
        pytest.param("/base", "/v2", "/api/7", "/base/v2/7", "/base/v2/8", "/api/8", id="both"),
        pytest.param("", None, "/api/7", "/api/7", "/v2/orders/8", "/v2/orders/8", id="neither"),
        pytest.param(
            "", "/v2", "/api/7", "/v2/7", "https://else.example/v2/8", "https://else.example/v2/8", id="elsewhere"
        ),
    ],
)
async def test_paths_are_moved_there_and_back(
    base: str,
    rewrite: str | None,
    target: str,
    seen: str,
    location: str,
    public: str,
    serve: Serve,
    legacy: ScriptedUpstream,
    candidate: ScriptedUpstream,
) -> None:
    candidate.script = responding(send(response(201, b"", f"Location: {location}", f"Content-Location: {location}")))
    there = upstream("orders", at(candidate, path=base))
    running = await serve(two_arms(legacy, there, rewrite=rewrite))
    reply = await running.ask(request(target))
    assert candidate.requests[0].target.decode() == seen
    assert [reply.values(name) for name in (b"location", b"content-location")] == [[public.encode()]] * 2


@pytest.mark.parametrize(
    ("base", "rewrite", "cookie", "public", "prefix"),
    [
        pytest.param("", "/v2/orders", "/v2/orders", "/api", b"/api", id="rewrite"),
        pytest.param("", "/", "/", "/api", b"/api", id="to the root"),
        pytest.param("/base", None, "/base/x", "/x", None, id="url with a path"),
        pytest.param("", None, "/v2/orders", "/v2/orders", None, id="neither"),
    ],
)
async def test_a_candidates_cookies_come_back_to_it(
    base: str,
    rewrite: str | None,
    cookie: str,
    public: str,
    prefix: bytes | None,
    serve: Serve,
    legacy: ScriptedUpstream,
    candidate: ScriptedUpstream,
) -> None:
    fields = (f"Set-Cookie: sid=1; Path={cookie}; HttpOnly", "Set-Cookie: b=2")
    candidate.script = responding(send(response(200, b"", *fields)))
    running = await serve(two_arms(legacy, upstream("orders", at(candidate, path=base)), rewrite=rewrite))
    reply = await running.ask(request("/api/7", "X-Forwarded-Prefix: /forged" if prefix else "X: y"))
    assert reply.values(b"set-cookie") == [f"sid=1; Path={public}; HttpOnly".encode(), b"b=2"]
    head = candidate.requests[0].raw
    assert head.count(b"X-Forwarded-Prefix") == (prefix is not None)
    assert prefix is None or b"\r\nX-Forwarded-Prefix: %b\r\n" % prefix in head


async def test_a_prefix_from_a_trusted_proxy_stays_in_front(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    trusting = {"trusted_proxies": ("127.0.0.0/8",)}
    running = await serve(two_arms(legacy, candidate, rewrite="/", general=trusting))
    await running.ask(request("/api/7", "X-Forwarded-Prefix: /shop/"))
    assert b"\r\nX-Forwarded-Prefix: /shop/api\r\n" in candidate.requests[0].raw


async def test_a_fallback_sends_legacy_the_path_that_the_client_asked_for(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    candidate.script = responding(send(response(503)))
    legacy.script = responding(send(response(302, b"", "Location: /v2/x")))
    running = await serve(two_arms(legacy, candidate, rewrite="/v2"))
    reply = await running.ask(request("/api/7"))
    assert (candidate.requests[0].target, legacy.requests[0].target) == (b"/v2/7", b"/api/7")
    assert reply.values(b"location") == [b"/v2/x"]
    ids = [r.raw.split(b"X-Request-Id: ")[1].split(b"\r\n")[0] for r in (candidate.requests[0], legacy.requests[0])]
    assert ids[0] == ids[1]


async def test_a_path_that_can_be_read_in_two_ways_goes_to_legacy_or_is_refused(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    settings = two_arms(legacy, candidate)
    running = await serve(settings)
    assert (await running.ask(request("/api/../else"))).body == b"legacy"
    assert legacy.requests[0].target == b"/api/../else"
    running.adopt(replace(settings, ambiguous_paths="reject"))
    assert (await running.ask(request("/api/../else"))).status == 400
    assert [line["fault"] for line in await running.lines(2)] == [None, "ambiguous_path"]
