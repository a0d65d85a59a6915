"""Looking must not change anything: what shadows ask of each arm, counted by the arms themselves."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web

from tests.e2e.commands import run
from tests.e2e.shadowing import Respond, Stage, kill_control, says, stage
from tests.http1.raw import OK
from tests.http1.scripted import ScriptedUpstream, responding, send

ORDER = {"id": 7, "price": "19.99"}
OTHER = {"id": 7, "price": 19.99}
LOOKS = 30


async def get(on: Stage, count: int, path: str = "/api/orders/7", **headers: str) -> None:
    """So many requests at once, each answered with 200."""
    async with ClientSession(cookies={}, headers=headers) as client:

        async def item() -> int:
            async with client.get(f"http://127.0.0.1:{on.proxy.port}{path}") as response:
                return response.status

        assert set(await asyncio.gather(*(item() for _ in range(count)))) == {200}


class VisitsState:
    """A page that counts the visits of a session."""

    def __init__(self) -> None:
        self.visits: Counter[str] = Counter()

    async def response(self, request: web.Request) -> web.Response:
        session = request.cookies.get("sessionid", "")
        self.visits[session] += 1
        return web.json_response({"visits": self.visits[session]})


class TestRechecks:
    async def test_a_visitors_counter_stays_exact(self, tmp_path: Path) -> None:
        visits = VisitsState()
        shadow = ", recheck: 50ms, baseline: 100%, in_flight: 128"
        async with stage(tmp_path, visits.response, says({"visits": "none"}), shadow=shadow) as on:
            for _ in range(100):
                await get(on, 1, Cookie="sessionid=ana")
            await on.compared(100, "mismatch")
            assert visits.visits == {"ana": 100}
            assert len(on.legacy.heard) == 100
            assert 100 < len(on.candidate.heard) <= 100 + LOOKS + 5

    async def test_a_lag_is_one_though_not_each_pair_is_looked_at_again(self, tmp_path: Path) -> None:
        seen: set[str] = set()

        async def late(request: web.Request) -> web.Response:
            name = request.headers["X-Request-Id"]
            is_first = name not in seen
            seen.add(name)
            return web.json_response(OTHER if is_first else ORDER)

        shadow = ", recheck: 200ms, baseline: 0, in_flight: 128"
        async with stage(tmp_path, says(ORDER), late, shadow=shadow) as on:
            await get(on, 60)
            await get(on, 20)
            await on.compared(80)
            await on.line(79)
            assert {(line["outcome"], line["reason"]) for line in on.lines} == {("not_comparable", "lag")}
            assert len(on.legacy.heard) == 80
            assert len(on.candidate.heard) <= 80 + LOOKS + 5

    async def test_after_the_cutover_legacy_alone_is_asked_again(self, tmp_path: Path) -> None:
        shadow = ", of: candidate, recheck: 50ms, baseline: 0"
        route = "    split: {percent: 100}\n"
        async with stage(tmp_path, says(ORDER), says(OTHER), route=route, shadow=shadow) as on:
            await get(on, 1)
            assert (await on.line())["outcome"] == "mismatch"
            assert [heard.is_shadow for heard in on.legacy.heard] == [True, True]
            assert [heard.is_shadow for heard in on.candidate.heard] == [False]

    async def test_a_look_at_another_release_tells_nothing(self, tmp_path: Path) -> None:
        releases = ["1", "2"]

        async def deployed(_: web.Request) -> web.Response:
            release = releases.pop(0)
            return web.json_response(OTHER if release == "1" else ORDER, headers={"X-Release": release})

        route = "    release: {header: X-Release}\n"
        async with stage(tmp_path, says(ORDER), deployed, route=route, shadow=", recheck: 50ms, baseline: 0") as on:
            await get(on, 1)
            assert (await on.line())["outcome"] == "mismatch", "release 1 differed, whatever release 2 does"
            assert len(on.candidate.heard) == 2

    async def test_the_kill_switch_ends_what_waits_for_its_second_look(self, tmp_path: Path) -> None:
        async with stage(tmp_path, says(ORDER), says(OTHER), shadow=", recheck: 5s, baseline: 0") as on:
            await get(on, 3)
            await on.proxy.until(lambda: len(on.candidate.heard) == 3)
            turn = {"on": True, "reason": "a test"}
            async with ClientSession(on.proxy.admin) as client, client.post("/api/kill-switch", json=turn) as response:
                assert response.status == 200
            await on.dropped("killed", 3)
            assert len(on.candidate.heard) == 3
            assert on.lines == []


@pytest.mark.parametrize(
    ("setting", "headers", "query", "legacy"),
    [
        pytest.param("100%", {}, "", 2, id="a request without credentials is asked again"),
        pytest.param("100%", {"Cookie": "theme=dark"}, "", 1, id="one with a cookie is not"),
        pytest.param("100%", {"Authorization": "Bearer x"}, "", 1, id="nor with Authorization"),
        pytest.param("100%", {"X-Api-Key": "x"}, "", 1, id="nor with a key"),
        pytest.param("100%", {}, "?access_token=x", 1, id="nor with a token in its query"),
        pytest.param("{share: 100%, credentials: true}", {"Cookie": "a=b"}, "?token=x", 2, id="unless it is said so"),
    ],
)
async def test_baselines_ask_for_requests_without_credentials(
    tmp_path: Path, setting: str, headers: dict[str, str], query: str, legacy: int
) -> None:
    async with stage(tmp_path, says(ORDER), says(ORDER), shadow=f", recheck: 0, baseline: {setting}") as on:
        await get(on, 1, f"/api/orders/7{query}", **headers)
        await on.compared(1, "match")
        assert len(on.legacy.heard) == legacy
        assert len(on.candidate.heard) == legacy


class Candidate:
    """A candidate that tells of each request, and confirms dry runs while it `knows` them."""

    def __init__(self, knows: bool = True, release: str = "1", options: Respond | None = None) -> None:
        self.knows = knows
        self.release = release
        self.options = options
        self.methods: list[str] = []
        self.may_respond = asyncio.Event()
        self.may_respond.set()

    async def response(self, request: web.Request) -> web.StreamResponse:
        self.methods.append(request.method)
        if request.method == "OPTIONS":
            await self.may_respond.wait()
            if self.options is not None:
                return await self.options(request)
        headers = {"X-Release": self.release} | ({"X-Strangler-Shadow-Handled": "1"} if self.knows else {})
        return web.json_response(ORDER, headers=headers)


async def reset(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


class TestDryRuns:
    SHADOW = ", methods: [GET, POST, PUT], writes: dry_run, recheck: 0, baseline: 0, in_flight: 128, timeout: 3s"
    ROUTE = "    release: {header: X-Release}\n"

    async def _write(self, on: Stage, count: int = 1, path: str = "/api/orders", method: str = "POST") -> None:
        async with ClientSession() as client:

            async def item() -> int:
                url = f"http://127.0.0.1:{on.proxy.port}{path}"
                async with client.request(method, url, json={"sku": "TEA"}) as response:
                    return response.status

            assert set(await asyncio.gather(*(item() for _ in range(count)))) == {200}

    async def _write_together(self, on: Stage, candidate: Candidate, count: int) -> None:
        """Writes of which none can be sent before the candidate has heard OPTIONS."""
        candidate.may_respond.clear()
        await self._write(on, count)
        await on.proxy.until(lambda: candidate.methods)
        candidate.may_respond.set()

    def _stage(self, folder: Path, candidate: Candidate) -> Any:
        return stage(folder, says(ORDER), candidate.response, shadow=self.SHADOW, route=self.ROUTE)

    async def _ended(self, on: Stage, count: int) -> None:
        """Wait for so many; those that reach control once the shadows have stopped are dropped."""

        async def have_ended() -> bool:
            judged = await on.proxy.metric("strangler_shadow_comparisons_total", outcome="not_comparable")
            dropped = await on.proxy.metric("strangler_shadow_dropped_total", reason="stopped")
            return bool(judged + dropped == count)

        await on.proxy.until(have_ended)

    async def test_of_fifty_at_once_none_reaches_a_candidate_that_does_not_confirm(self, tmp_path: Path) -> None:
        candidate = Candidate(knows=False)
        async with self._stage(tmp_path, candidate) as on:
            await self._write_together(on, candidate, 50)
            await self._ended(on, 50)
            assert candidate.methods == ["OPTIONS"]
            await on.line(0)
            assert {line["reason"] for line in on.lines} == {"not_handled"}
            stopped = (await on.proxy.status())["routes"][0]["shadow"]["stopped"]
        assert "OPTIONS /api/orders" in stopped
        assert "strangler shadow resume orders" in stopped

    async def test_of_fifty_at_once_all_reach_one_that_confirms_after_one_question(self, tmp_path: Path) -> None:
        candidate = Candidate()
        async with self._stage(tmp_path, candidate) as on:
            candidate.may_respond.clear()
            await self._write(on, 50)
            await on.proxy.until(lambda: candidate.methods)
            assert candidate.methods == ["OPTIONS"], "none goes out before it is answered"
            candidate.may_respond.set()
            await on.compared(50, "match")
            assert candidate.methods == ["OPTIONS"] + 50 * ["POST"]

    async def test_of_fifty_at_once_one_reaches_a_candidate_that_confirms_the_question_alone(
        self, tmp_path: Path
    ) -> None:
        confirmed = says({}, headers={"X-Strangler-Shadow-Handled": "1"})
        candidate = Candidate(knows=False, options=confirmed)
        async with self._stage(tmp_path, candidate) as on:
            await self._write_together(on, candidate, 50)
            await self._ended(on, 50)
            assert candidate.methods == ["OPTIONS", "POST"]
            assert "may have run" in (await on.proxy.status())["routes"][0]["shadow"]["stopped"]

    async def test_where_the_first_write_gets_no_response_those_that_wait_are_not_sent(self, tmp_path: Path) -> None:
        candidate = Candidate()

        async def lost(request: web.Request) -> web.StreamResponse:
            response = await candidate.response(request)
            return response if request.method == "OPTIONS" else await reset(request)

        async with stage(tmp_path, says(ORDER), lost, shadow=self.SHADOW, route=self.ROUTE) as on:
            await self._write_together(on, candidate, 20)
            await on.compared(20, "not_comparable")
            # one write for each time of asking: who reaches control after the first was lost asks anew
            assert candidate.methods == ["OPTIONS", "POST"] * (len(candidate.methods) // 2)
            assert len(candidate.methods) < 20
            on.candidate.response = candidate.response
            await self._write(on)
            await on.compared(1, "match")

    async def test_each_endpoint_is_asked_for(self, tmp_path: Path) -> None:
        candidate = Candidate()
        async with self._stage(tmp_path, candidate) as on:
            for count, (method, path) in enumerate(
                [("POST", "/api/orders"), ("PUT", "/api/orders/7"), ("PUT", "/api/orders/8"), ("POST", "/api/orders")]
            ):
                await self._write(on, 1, path, method)
                await on.compared(count + 1, "match")
            assert candidate.methods == ["OPTIONS", "POST", "OPTIONS", "PUT", "PUT", "POST"]

    async def test_a_new_release_is_asked_anew_and_stops_the_route_if_it_does_not_know(self, tmp_path: Path) -> None:
        candidate = Candidate()
        async with self._stage(tmp_path, candidate) as on:
            await self._write(on)
            await on.compared(1, "match")
            candidate.release, candidate.knows = "2", False
            await get(on, 1)  # whichever response names it first
            await on.compared(2, "match")
            await self._write(on)
            await on.compared(1, "not_comparable")
            assert candidate.methods == ["OPTIONS", "POST", "GET", "OPTIONS"]

    async def test_a_write_that_is_not_confirmed_after_all_stops_the_route(self, tmp_path: Path) -> None:
        candidate = Candidate(knows=False, options=says({}, headers={"X-Strangler-Shadow-Handled": "1"}))
        async with self._stage(tmp_path, candidate) as on:
            await self._write(on)
            await on.compared(1, "not_comparable")
            assert candidate.methods == ["OPTIONS", "POST"]
            await self._write(on)
            await on.dropped("stopped")
            assert "may have run" in (await on.proxy.status())["routes"][0]["shadow"]["stopped"]

    async def test_a_failed_connection_ends_the_permission(self, tmp_path: Path) -> None:
        candidate = Candidate()
        async with self._stage(tmp_path, candidate) as on:
            await self._write(on)
            await on.compared(1, "match")
            on.candidate.response = reset
            await get(on, 1)
            await on.compared(1, "not_comparable")
            on.candidate.response = candidate.response
            await self._write(on)
            await on.compared(2, "match")
            assert candidate.methods == ["OPTIONS", "POST", "OPTIONS", "POST"]

    async def test_where_the_question_gets_no_response_nothing_is_sent_and_the_next_asks_anew(
        self, tmp_path: Path
    ) -> None:
        candidate = Candidate(options=reset)
        async with self._stage(tmp_path, candidate) as on:
            await self._write(on)
            assert (await on.line())["reason"] == "unavailable"
            candidate.options, candidate.may_respond = None, asyncio.Event()
            await self._write(on)
            assert (await on.line(1))["reason"] == "timeout"
            candidate.may_respond.set()
            await self._write(on)
            await on.compared(1, "match")
            assert candidate.methods == ["OPTIONS", "OPTIONS", "OPTIONS", "POST"]


class TestAStop:
    """Shadowing that has stopped by itself is told everywhere, once, and goes on when somebody says so."""

    SHADOW = ", methods: [GET, POST], writes: dry_run, recheck: 0, baseline: 0"

    async def _post(self, on: Stage) -> None:
        async with ClientSession() as client, client.post(f"http://127.0.0.1:{on.proxy.port}/api/orders") as response:
            assert response.status == 200

    def _events(self, on: Stage) -> list[tuple[str, str]]:
        events = [(line["type"], line["subject"]) for line in on.proxy.events("event")]
        return [item for item in events if item[0] in ("shadow.stopped", "shadow.started")]

    async def test_it_is_told_and_somebody_resumes(self, tmp_path: Path) -> None:
        candidate = Candidate(knows=False)
        async with stage(tmp_path, says(ORDER), candidate.response, shadow=self.SHADOW) as on:
            assert await on.proxy.metric("strangler_shadow_stopped", route="orders") == 0
            code, output = await run(on.proxy.folder, "shadow", "resume", "orders")
            assert (code, "shadowing of route 'orders' is not stopped" in output) == (1, True), output
            await self._post(on)
            await on.proxy.until(lambda: on.rows("SELECT route FROM stops") == [("orders",)])
            await self._is_reported(on)
            await kill_control(on)
            await self._is_reported(on)
            candidate.knows = True
            code, output = await run(
                on.proxy.folder, "shadow", "resume", "orders", "--why", "it confirms now", STRANGLER_USER="ana"
            )
            assert (code, output) == (0, "shadowing of route 'orders' goes on\n")
            await on.proxy.until(lambda: on.rows("SELECT route FROM stops") == [])
            await on.proxy.until(
                lambda: self._events(on)[-1] == ("shadow.started", "orders")
            )  # logged once it is stored
            assert await on.proxy.metric("strangler_shadow_stopped", route="orders") == 0
            assert on.rows("SELECT who, what, route, why FROM audit") == [
                ("ana", "shadow resume", "orders", "it confirms now")
            ]
            await on.proxy.until(lambda: self._is_shadowed(on, candidate))

    async def _is_shadowed(self, on: Stage, candidate: Candidate) -> bool:
        await self._post(on)
        return "POST" in candidate.methods

    async def _is_reported(self, on: Stage) -> None:
        output = "shadowing of route 'orders' is stopped: the candidate responded to OPTIONS /api/orders"
        assert await on.proxy.metric("strangler_shadow_stopped", route="orders") == 1
        await on.proxy.until(lambda: self._events(on))
        assert self._events(on) == [("shadow.stopped", "orders")], "once, whichever control process runs"
        assert on.rows("SELECT subject FROM events WHERE type = 'shadow.stopped'") == [("orders",)]
        for command in ("status", "diffs"):
            code, text = await run(on.proxy.folder, command, COLUMNS="400")
            assert (code, output in text) == (0, True), text
        async with ClientSession(on.proxy.admin) as client:
            for page in ("/", "/routes/orders"):
                async with client.get(page) as response:
                    text = await response.text()
                    assert "shadowing of route &#39;orders&#39; is stopped" in text
        assert 'action="/actions/shadows/orders"' in text

    async def test_a_new_shadow_in_routes_yaml_ends_it(self, tmp_path: Path) -> None:
        candidate = Candidate(knows=False)
        async with stage(tmp_path, says(ORDER), candidate.response, shadow=self.SHADOW) as on:
            await self._post(on)
            await on.proxy.until(lambda: on.rows("SELECT route FROM stops") == [("orders",)])
            on.proxy.edit(on.proxy.file.read_text().replace("baseline: 0}", "baseline: 0, in_flight: 8}"))
            await on.proxy.until(lambda: on.rows("SELECT route FROM stops") == [])
            await on.proxy.until(
                lambda: self._events(on) == [("shadow.stopped", "orders"), ("shadow.started", "orders")]
            )

    async def test_a_slip_of_the_pen_and_a_proxy_that_does_not_run_are_said(self, tmp_path: Path) -> None:
        async with stage(tmp_path, says(ORDER), says(ORDER), start=False) as on:
            code, output = await run(on.proxy.folder, "shadow", "resume", "ordrs")
            assert (code, "did you mean 'orders'?" in output) == (2, True), output
            code, output = await run(on.proxy.folder, "shadow", "resume", "orders")
            assert (code, "no proxy runs" in output) == (1, True), output
            await on.proxy.start()
            async with ClientSession(on.proxy.admin) as client:
                for route, status, text in (("ordrs", 404, "did you mean 'orders'?"), ("orders", 409, "not stopped")):
                    body = {"who": "ana", "why": ""}
                    async with client.post(f"/api/shadows/{route}/resume", json=body) as response:
                        assert (response.status, text in (await response.json())["detail"]) == (status, True)


HEAD = (
    b"%b HTTP/1.1\r\nhOST: shop.example\r\nX-LATIN: caf\xe9 \xff\r\nx-odd-CASE:  kept \r\nX-Empty:\r\nX-Twice: 1\r\n"
    b"Accept: */*\r\nx-twice: 2\r\nX-UTF: caf\xc3\xa9\r\nX-Request-Id: r-1\r\nCookie: a=\xe9; b=2\r\n"
    b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n%b\r\n"
)
RAW = [
    pytest.param(HEAD % (b"GET /api/orders/caf\xc3\xa9/%C3%A9?q=\xff&%zz", b""), id="a read"),
    pytest.param(HEAD % (b"GET http://other.example/api/orders/7?a", b""), id="an absolute target"),
    pytest.param(HEAD % (b"POST /api/orders/\xc3\xa9?\xe9", b"content-LENGTH: 4\r\n") + b"\x00\xff\r\n", id="a write"),
    pytest.param(
        HEAD % (b"POST /api/orders", b"Transfer-Encoding: chunked\r\n") + b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", id="chunks"
    ),
    pytest.param(HEAD % (b"GET /api/orders", b"Connection: close, X-Hop\r\nX-Hop: 1\r\nTE: x\r\n"), id="hop by hop"),
]
MARKS = (b"X-Strangler-Shadow: 1\r\n", b"Connection: close\r\n")


async def exchange(port: int, raw: bytes) -> None:
    """Send the bytes of one request and wait for the head of its response."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(raw)
        head = await reader.readuntil(b"\r\n\r\n")
    finally:
        writer.close()
        await writer.wait_closed()
    assert head.startswith(b"HTTP/1.1 200"), head


def plain(raw: bytes) -> bytes:
    """A shadow without its marks, and chunks as a whole."""
    for mark in MARKS:
        assert raw.count(mark) == 1, raw
        raw = raw.replace(mark, b"")
    return raw


class TestBytes:
    """A shadow reaches what its live request reaches: the same bytes, but for what docs/shadow.md names."""

    SHADOW = ", methods: [GET, POST], writes: sandbox, to: orders, recheck: 0, baseline: 0"

    @pytest.mark.parametrize("raw", RAW)
    async def test_a_shadow_is_the_live_request_and_its_marks(self, tmp_path: Path, raw: bytes) -> None:
        script = responding(send(OK))
        async with (
            ScriptedUpstream(script) as legacy,
            ScriptedUpstream(script) as candidate,
            stage(tmp_path, says({}), says({}), shadow=self.SHADOW, candidate_port=candidate.port, start=False) as on,
        ):
            text = on.proxy.file.read_text()
            on.proxy.file.write_text(text.replace(f"127.0.0.1:{on.legacy.port}", f"127.0.0.1:{legacy.port}"))
            await on.proxy.start()
            await exchange(on.proxy.port, raw)
            await on.compared(1, "match")
            (live,), (shadow,) = legacy.requests, candidate.requests
        expected = live.raw.replace(
            b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", b"Content-Length: 3\r\n\r\nabc"
        )
        expected = expected.replace(
            b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", b"Content-Length: 3\r\n\r\nabc"
        )
        assert plain(shadow.raw) == expected

    @pytest.mark.parametrize(
        "target",
        [b"GET /api/pages/caf\xc3\xa9?q=\xff", b"GET http://other.example/api/pages/7"],
        ids=["origin", "absolute"],
    )
    async def test_so_are_the_parts_of_an_aggregate(self, tmp_path: Path, target: bytes) -> None:
        body = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
        raw = HEAD % (target, b'If-None-Match: "1"\r\nAccept-Encoding: gzip\r\n')
        more = (
            "  - name: pages\n    match: {path: '/api/pages/{id}'}\n"
            "    aggregate: {order: {upstream: orders, path: '/v2/orders/{id}'}}\n"
            "    shadow: {percent: 100, recheck: 0, baseline: 0}\n    split: {percent: PERCENT}\n"
        )
        async with (
            ScriptedUpstream(responding(send(body))) as part,
            ScriptedUpstream(responding(send(OK))) as legacy,
            stage(tmp_path, says({"order": {}}), says({}), candidate_port=part.port, start=False) as on,
        ):
            text = on.proxy.file.read_text().replace(f"127.0.0.1:{on.legacy.port}", f"127.0.0.1:{legacy.port}") + more
            on.proxy.file.write_text(text.replace("PERCENT", "0"))
            await on.proxy.start()
            await exchange(on.proxy.port, raw)
            await on.compared(1)
            on.proxy.edit(text.replace("PERCENT", "100"))

            async def is_served_by_parts() -> bool:
                await exchange(on.proxy.port, raw)
                return MARKS[0] not in part.requests[-1].raw

            await on.proxy.until(is_served_by_parts)
            shadow, live = part.requests[0], part.requests[-1]
        assert plain(shadow.raw) == live.raw
