"""Shadows from end to end: real processes, real sockets."""

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from msgspec import convert
from yarl import URL

from strangler.cli._tables import notices
from strangler.core.documents import StatusDocument
from tests.e2e.shadowing import Stage, arm, kill_control, says, stage
from tests.http1.scripted import ScriptedUpstream, drip, hang, in_turn, read_request, refused_port, reset

ORDER = {"id": 7, "price": "19.99"}
OTHER = {"id": 7, "price": 19.99}


class TestPairs:
    async def test_answers_that_agree_are_a_match_and_leave_no_line(self, tmp_path: Path) -> None:
        async with stage(tmp_path, says(ORDER), says(ORDER)) as on:
            assert await on.proxy.get("/api/orders/7") == 200
            await on.compared(1, "match")
            await on.proxy.until(lambda: on.rows("SELECT count FROM pairs WHERE outcome = 'match'"))
            assert on.lines == []

    async def test_a_difference_is_told_as_the_design_says(self, tmp_path: Path) -> None:
        async with stage(tmp_path, says(ORDER), says(OTHER)) as on:
            await on.proxy.get("/api/orders/7?x=1")
            line = await on.line()
        assert list(line) == [
            *("time", "event", "id", "request_id", "trace_id", "route", "release", "source", "method", "path"),
            *("served_by", "outcome", "reason", "severity", "signature", "legacy", "candidate", "differences"),
            "accepted",
        ]
        difference = {"in": "body", "path": "$.price", "kind": "type", "severity": "breaking"}
        assert line["differences"] == [difference | {"legacy": "19.99", "candidate": 19.99}]
        assert line["path"] == "/api/orders/7"
        assert (line["served_by"], line["outcome"], line["severity"]) == ("legacy", "mismatch", "breaking")
        assert len(line["trace_id"]) == 32
        assert len(line["id"]) == 26
        assert line["legacy"]["upstream"] == "legacy"
        assert line["candidate"] | {"duration_ms": 0} == {
            "upstream": "orders",
            "status": 200,
            "duration_ms": 0,
            "bytes": len(json.dumps(OTHER)),
        }

    async def test_a_shadow_is_the_request_as_forwarded_and_marked(self, tmp_path: Path) -> None:
        upstream = ", headers: {set: {X-Tenant: shop}, remove: [X-Debug]}"
        async with stage(tmp_path, says(ORDER), says(ORDER), upstream=upstream) as on:
            headers = {
                "X-Odd-CASE": "kept",
                "X-Debug": "1",
                "X-Strangler-Shadow": "forged",
                "Cookie": "sid=1; theme=dark",
                "Authorization": "Bearer 1",
                "X-Request-Id": "r-1",
            }
            url = URL(f"http://127.0.0.1:{on.proxy.port}/api/orders/7%2e5?b=%20&a", encoded=True)
            async with (
                ClientSession(skip_auto_headers=["User-Agent", "Accept", "Accept-Encoding"]) as client,
                client.get(url, headers=headers) as response,
            ):
                assert response.status == 200
            await on.compared(1)
            (served,), (shadow,) = on.legacy.heard, on.candidate.heard
        assert not served.is_shadow
        assert shadow.target == "/api/orders/7%2e5?b=%20&a"
        assert [
            pair for pair in shadow.headers if pair[0] not in ("Connection", "Host", "X-Tenant", "X-Strangler-Shadow")
        ] == [pair for pair in served.headers if pair[0] not in ("Host", "X-Debug")]
        assert shadow.value("host") == served.value("host")
        assert (shadow.value("x-tenant"), shadow.value("x-strangler-shadow")) == ("shop", "1")
        assert shadow.value("x-request-id") == "r-1"
        assert shadow.value("traceparent") == served.value("traceparent")

    async def test_a_rewritten_path_is_what_the_candidate_sees_and_locations_come_back(self, tmp_path: Path) -> None:
        async def to(location: str) -> web.Response:
            return web.Response(status=302, headers={"Location": location})

        async with stage(
            tmp_path,
            lambda _: to("/api/orders/8"),
            lambda _: to("/v2/orders/8"),
            route="    rewrite: {prefix: /v2/orders}\n",
        ) as on:
            assert await on.proxy.get("/api/orders/7?x") == 302
            await on.compared(1, "match")
            assert on.candidate.heard[0].target == "/v2/orders/7?x"

    async def test_the_comparison_runs_the_other_way_after_a_cutover(self, tmp_path: Path) -> None:
        route = "    split: {percent: 100}\n"
        async with stage(
            tmp_path, says(ORDER), says(OTHER), route=route, shadow=", of: candidate, recheck: 0, baseline: 0"
        ) as on:
            await on.proxy.get("/api/orders/7")
            line = await on.line()
            assert [heard.is_shadow for heard in on.legacy.heard] == [True]
            assert [heard.is_shadow for heard in on.candidate.heard] == [False]
        assert line["served_by"] == "candidate"
        assert line["differences"][0]["legacy"] == "19.99"
        assert line["candidate"]["upstream"] == "orders"

    async def test_compressed_answers_are_compared_by_their_content(self, tmp_path: Path) -> None:
        async def zipped(_: web.Request) -> web.Response:
            body = gzip.compress(json.dumps(ORDER).encode())
            return web.Response(
                body=body, headers={"Content-Encoding": "gzip", "Content-Type": "application/json; charset=utf-8"}
            )

        async with stage(tmp_path, zipped, says(ORDER)) as on:
            await on.proxy.get("/api/orders/7")
            await on.compared(1)
            assert await on.proxy.metric("strangler_shadow_comparisons_total", outcome="mismatch") == 0
            assert await on.proxy.metric("strangler_shadow_comparisons_total", outcome="not_comparable") == 0

    async def test_accept_rules_accept(self, tmp_path: Path) -> None:
        route = '    compare: {accept: [{path: "$.price"}]}\n'
        async with stage(tmp_path, says(ORDER), says(OTHER), route=route) as on:
            await on.proxy.get("/api/orders/7")
            await on.compared(1, "accepted")
            line = await on.line()
        assert (line["outcome"], line["differences"], line["accepted"]) == ("accepted", [], 1)


async def test_captures_of_all_workers_are_taken(tmp_path: Path) -> None:
    async with stage(tmp_path, says(ORDER), says(ORDER), start=False) as on:
        on.proxy.file.write_text(on.proxy.file.read_text().replace("state: state", "state: state\nworkers: 2"))
        await on.proxy.start()
        await on.proxy.until(lambda: _has_workers(on, 2))
        for count in (8, 16, 24):  # fewer at once than the room of a worker: however slow control is, none is dropped
            for _ in range(8):
                assert await on.proxy.get("/api/orders/7") == 200
            await on.compared(count, "match")
        await on.proxy.until(
            lambda: {line["process"] for line in on.proxy.events("request")} == {"worker-0", "worker-1"}
        )


class TestNotComparable:
    async def test_legacy_errors_are_not_asked_of_the_candidate(self, tmp_path: Path) -> None:
        async with stage(tmp_path, says({}, 500), says(ORDER)) as on:
            await on.proxy.get("/api/orders/7")
            line = await on.line()
            assert (line["outcome"], line["reason"]) == ("not_comparable", "legacy_error")
            assert on.candidate.heard == []

    async def test_a_5xx_of_the_candidate_is_a_mismatch(self, tmp_path: Path) -> None:
        async with stage(tmp_path, says(ORDER), says({}, 503)) as on:
            await on.proxy.get("/api/orders/7")
            line = await on.line()
        assert (line["outcome"], line["severity"]) == ("mismatch", "breaking")
        assert line["differences"][0] == {
            "in": "status",
            "path": None,
            "kind": "value",
            "severity": "breaking",
            "legacy": 200,
            "candidate": 503,
        }

    @pytest.mark.parametrize(
        ("legacy_bytes", "candidate_bytes"), [(2000, 10), (10, 2000)], ids=["legacy's", "the candidate's"]
    )
    async def test_a_body_over_max_body_is_too_large(
        self, tmp_path: Path, legacy_bytes: int, candidate_bytes: int
    ) -> None:
        shadow = ", max_body: 1KiB, recheck: 0, baseline: 0"
        async with stage(tmp_path, says("x" * legacy_bytes), says("x" * candidate_bytes), shadow=shadow) as on:
            await on.proxy.get("/api/orders/7")
            line = await on.line()
        assert (line["outcome"], line["reason"]) == ("not_comparable", "too_large")

    async def test_event_streams_are_not_compared_and_not_asked_for_twice(self, tmp_path: Path) -> None:
        async def stream(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            await response.write(b"data: 1\n\n")
            return response

        async with stage(tmp_path, stream, says(ORDER)) as on:
            await on.proxy.get("/api/orders/7")
            line = await on.line()
            assert (line["outcome"], line["reason"]) == ("not_comparable", "streaming")
            assert on.candidate.heard == []

    async def test_what_is_gone_at_the_second_look_was_a_lag(self, tmp_path: Path) -> None:
        responses = [OTHER, ORDER, ORDER]

        async def late(_: web.Request) -> web.Response:
            return web.json_response(responses.pop(0))

        async with stage(tmp_path, says(ORDER), late, shadow=", recheck: 100ms, baseline: 0") as on:
            await on.proxy.get("/api/orders/7")
            line = await on.line()
            assert (line["outcome"], line["reason"]) == ("not_comparable", "lag")
            assert [heard.is_shadow for heard in on.legacy.heard] == [False], "legacy is never asked a second time"
            assert [heard.is_shadow for heard in on.candidate.heard] == [True, True]

    async def test_what_both_looks_share_is_what_counts(self, tmp_path: Path) -> None:
        looks = [OTHER | {"at": 1}, OTHER]

        async def response(_: web.Request) -> web.Response:
            return web.json_response(looks.pop(0))

        async with stage(tmp_path, says(ORDER), response, shadow=", recheck: 100ms, baseline: 0") as on:
            await on.proxy.get("/api/orders/7")
            line = await on.line()
        assert [difference["path"] for difference in line["differences"]] == ["$.price"]


class TestAnArmThatFails:
    """It costs comparisons, never a request of a client."""

    async def _line_with(self, tmp_path: Path, port: int, **more: Any) -> dict[str, Any]:
        async with stage(tmp_path, says(ORDER), says(ORDER), candidate_port=port, **more) as on:
            assert await on.proxy.get("/api/orders/7") == 200
            return await on.line()

    async def test_refuses(self, tmp_path: Path) -> None:
        async with refused_port() as port:
            line = await self._line_with(tmp_path, port)
        assert (line["outcome"], line["reason"]) == ("not_comparable", "unavailable")

    @pytest.mark.parametrize(
        ("steps", "timeout", "reason"),
        [
            pytest.param((read_request(), reset()), "20s", "unavailable", id="resets"),
            pytest.param((read_request(), hang()), "300ms", "timeout", id="hangs"),
            pytest.param((drip(b"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + b"x" * 900, 0.001),), "300ms",
                         "timeout", id="drips"),
            pytest.param((read_request(), drip(b"SMTP ready\r\n")), "20s", "unavailable", id="speaks no HTTP"),
        ],
    )  # fmt: skip
    async def test_does_not_answer(self, tmp_path: Path, steps: Any, timeout: str, reason: str) -> None:
        async with ScriptedUpstream(in_turn(*steps)) as upstream:
            shadow = f", timeout: {timeout}, recheck: 0, baseline: 0"
            line = await self._line_with(tmp_path, upstream.port, shadow=shadow)
        assert (line["outcome"], line["reason"]) == ("not_comparable", reason)

    async def test_the_breaker_of_shadows_keeps_them_away_and_is_told(self, tmp_path: Path) -> None:
        async with (
            refused_port() as port,
            stage(tmp_path, says(ORDER), says(ORDER), candidate_port=port) as on,
        ):
            for _ in range(8):
                assert await on.proxy.get("/api/orders/7") == 200
                await asyncio.sleep(0.1)
            await on.compared(6, "not_comparable")
            status = await on.proxy.status()
            (upstream,) = [each_upstream for each_upstream in status["upstreams"] if each_upstream["name"] == "orders"]
            assert status["routes"][0]["shadow"]["breakers"] == {"orders": "open"}
            assert upstream["breaker"] == "closed", "the breaker of requests is another one"
            lines = notices(convert(status, StatusDocument))
            assert any("orders does not respond" in line for line in lines)

    async def test_one_that_hangs_fills_the_places_and_the_rest_is_dropped(self, tmp_path: Path) -> None:
        async with (
            ScriptedUpstream(in_turn(read_request(), hang())) as upstream,
            stage(
                tmp_path,
                says(ORDER),
                says(ORDER),
                candidate_port=upstream.port,
                shadow=", in_flight: 2, timeout: 30s",
            ) as on,
        ):
            for _ in range(10):
                assert await on.proxy.get("/api/orders/7") == 200
            await on.dropped("full", 7)
            assert len(upstream.connections) <= 2


class TestFallback:
    """Legacy answered in the place of a candidate that had just failed: it is not asked again."""

    SHADOW = ", of: any, recheck: 0, baseline: 0"

    async def test_its_status_is_evidence(self, tmp_path: Path) -> None:
        route = "    split: {percent: 100}\n    fallback: {when: [503]}\n"
        async with stage(tmp_path, says(ORDER), says({}, 503), route=route, shadow=self.SHADOW) as on:
            assert await on.proxy.get("/api/orders/7") == 200
            line = await on.line()
            assert len(on.candidate.heard) == 1
        assert (line["served_by"], line["outcome"]) == ("legacy", "mismatch")
        assert [(difference["legacy"], difference["candidate"]) for difference in line["differences"]] == [(200, 503)]

    async def test_one_that_did_not_answer_cannot_be_compared(self, tmp_path: Path) -> None:
        route = "    split: {percent: 100}\n"
        async with (
            refused_port() as port,
            stage(tmp_path, says(ORDER), says({}), route=route, shadow=self.SHADOW, candidate_port=port) as on,
        ):
            assert await on.proxy.get("/api/orders/7") == 200
            line = await on.line()
        assert (line["outcome"], line["reason"]) == ("not_comparable", "unavailable")


class TestWrites:
    METHODS = ", methods: [GET, POST], recheck: 0, baseline: 0"

    async def _post(self, on: Stage) -> int:
        async with (
            ClientSession() as client,
            client.post(f"http://127.0.0.1:{on.proxy.port}/api/orders", json={"sku": "TEA"}) as response,
        ):
            return response.status

    async def test_a_dry_run_is_marked_and_carries_the_body(self, tmp_path: Path) -> None:
        candidate = says(ORDER, 201, {"X-Strangler-Shadow-Handled": "1"})
        async with stage(tmp_path, says(ORDER, 201), candidate, shadow=f"{self.METHODS}, writes: dry_run") as on:
            assert await self._post(on) == 201
            await on.compared(1, "match")
            request, shadow = on.candidate.heard
        assert (request.method, request.target, request.body) == ("OPTIONS", "/api/orders", b"")
        assert request.value("x-strangler-shadow") == "dry-run"
        assert [name for name, _ in request.headers if name.lower().startswith("content-")] == []
        assert (shadow.method, shadow.value("x-strangler-shadow")) == ("POST", "dry-run")
        assert json.loads(shadow.body) == {"sku": "TEA"}

    async def test_a_candidate_that_does_not_confirm_stops_the_shadows_of_its_route(self, tmp_path: Path) -> None:
        async with stage(tmp_path, says(ORDER), says(ORDER), shadow=f"{self.METHODS}, writes: dry_run") as on:
            await self._post(on)
            line = await on.line()
            assert (line["outcome"], line["reason"]) == ("not_comparable", "not_handled")
            await self._post(on)
            await on.dropped("stopped")
            assert [heard.method for heard in on.candidate.heard] == ["OPTIONS"]
            status = await on.proxy.status()
            assert "X-Strangler-Shadow-Handled" in status["routes"][0]["shadow"]["stopped"]
            (reported,) = await on.proxy.wait_for_log("shadow.stopped")
            assert reported["message"].startswith(
                "shadowing of route 'orders' is stopped: the candidate responded to OPTIONS"
            )
            lines = notices(convert(status, StatusDocument))
            assert any("shadowing of route 'orders' is stopped" in line for line in lines)

    async def test_a_stop_outlives_the_control_process(self, tmp_path: Path) -> None:
        async with stage(tmp_path, says(ORDER), says(ORDER), shadow=f"{self.METHODS}, writes: dry_run") as on:
            await self._post(on)
            await on.line()
            await on.proxy.until(lambda: on.rows("SELECT * FROM stops"))
            await kill_control(on)
            await self._post(on)
            await on.dropped("stopped")
            assert len(on.candidate.heard) == 1

    async def test_a_sandbox_gets_the_writes_and_the_candidate_the_rest(self, tmp_path: Path) -> None:
        async with arm(says(ORDER)) as sandbox:
            more = f'  copy: {{url: "http://127.0.0.1:{sandbox.port}"}}\n'
            shadow = f"{self.METHODS}, writes: sandbox, to: copy"
            async with stage(tmp_path, says(ORDER), says(ORDER), shadow=shadow, more=more) as on:
                await self._post(on)
                await on.proxy.get("/api/orders/7")
                await on.compared(2, "match")
                assert [heard.method for heard in sandbox.heard] == ["POST"]
                assert [heard.method for heard in on.candidate.heard] == ["GET"]

    async def test_legacy_never_runs_a_write_that_the_candidate_ran(self, tmp_path: Path) -> None:
        shadow = f"{self.METHODS}, writes: dry_run, of: any"
        async with stage(tmp_path, says(ORDER), says(ORDER), shadow=shadow, route="    split: {percent: 100}\n") as on:
            await self._post(on)
            await on.proxy.get("/api/orders/7")
            await on.compared(1)
            assert [heard.method for heard in on.legacy.heard] == ["GET"]


class TestTheClient:
    async def test_its_answer_is_the_same_bytes_with_and_without_shadows(self, tmp_path: Path) -> None:
        async def chunked(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Date": "Mon, 23 Nov 2026 08:00:00 GMT"})
            await response.prepare(request)
            for part in range(50):
                await response.write(b"%d" % part * 1000)
            return response

        seen = []
        for name, percent in (("with", ""), ("without", ", percent: 0")):
            folder = tmp_path / name
            folder.mkdir()
            shadow = ", max_body: 64KiB" if not percent else ""
            async with stage(folder, chunked, says({}), shadow=shadow) as on:
                if percent:
                    text = on.proxy.file.read_text()
                    on.proxy.edit(text.replace("shadow: {percent: 100", "shadow: {percent: 0"))
                    await on.proxy.until(lambda: on.proxy.has_generation(2))
                reader, writer = await asyncio.open_connection("127.0.0.1", on.proxy.port)
                writer.write(
                    b"POST /api/orders HTTP/1.1\r\nHost: shop\r\nContent-Length: 4\r\n\r\nbody"
                    b"GET /api/orders/7 HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"
                )
                seen.append(_dechunked(await reader.read()))
                writer.close()
                assert len(on.legacy.heard) == 2
        assert seen[0] == seen[1]

    async def test_it_has_its_answer_while_the_candidate_hangs(self, tmp_path: Path) -> None:
        async with (
            ScriptedUpstream(in_turn(read_request(), hang())) as upstream,
            stage(tmp_path, says(ORDER), says({}), candidate_port=upstream.port) as on,
        ):
            async with asyncio.timeout(20):  # a hundred that each waited for a shadow would take minutes
                for _ in range(100):
                    assert await on.proxy.get("/api/orders/7") == 200


async def _has_workers(on: Stage, count: int) -> bool:
    return [worker["is_connected"] for worker in (await on.proxy.status())["workers"]] == [True] * count


def _dechunked(raw: bytes) -> list[bytes]:
    """Heads and bodies without chunk borders: these are as the network cut them. Ids differ from request to request."""
    responses = []
    for part in raw.split(b"HTTP/1.1 ")[1:]:
        head, _, body = part.partition(b"\r\n\r\n")
        content = b""
        while body:
            size, _, rest = body.partition(b"\r\n")
            content, body = content + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
        responses.append(head + content)
    return responses
