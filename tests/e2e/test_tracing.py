"""Spans of sampled requests reach an OTLP receiver: one of the request, one of each attempt, one of its shadow."""

import gzip
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.e2e.serving import Proxy
from tests.e2e.shadowing import arm, says
from tests.served import served

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
ROUTES = """\
version: 1
listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0}}
state: state
tracing: {{otlp: "http://127.0.0.1:{otlp}", sample: 0%}}
upstreams:
  legacy: {{url: "http://127.0.0.1:{legacy}"}}
  orders: {{url: "http://127.0.0.1:{candidate}", retry: false}}
routes:
  - name: orders
    match: {{prefix: /api/orders}}
    candidate: orders
    split: {{percent: {percent}}}
    fallback: {{when: [503]}}
{shadow}"""
SHADOW = "    shadow: {percent: 100, recheck: 0, baseline: 0%}\n"


@dataclass(slots=True)
class Collector:
    """An OTLP receiver that decodes what arrives."""

    port: int = 0
    spans: list[Span] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)
    paths: set[str] = field(default_factory=set)

    async def take(self, request: web.BaseRequest) -> web.Response:
        body = await request.read()
        if request.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.paths.add(request.path)
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resources.append(attributes(group.resource))
            self.spans += [span for scope in group.scope_spans for span in scope.spans]
        return web.Response(content_type="application/x-protobuf")

    def of(self, kind: "Span.SpanKind.ValueType") -> list[Span]:
        return sorted((span for span in self.spans if span.kind == kind), key=lambda span: span.start_time_unix_nano)


def attributes(of: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in of.attributes}


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    state = Collector()
    async with served(state.take) as state.port:
        yield state


async def ask(proxy: Proxy, path: str, **headers: str) -> int:
    async with (
        ClientSession() as client,
        client.get(f"http://127.0.0.1:{proxy.port}{path}", headers=headers) as response,
    ):
        await response.read()
        return response.status


async def test_a_fallback_is_a_server_span_with_two_client_spans(tmp_path: Path, collector: Collector) -> None:
    async with arm(says({"by": "legacy"})) as legacy, arm(says({}, status=503)) as candidate:
        proxy = Proxy(tmp_path, legacy.port)
        proxy.file.write_text(
            ROUTES.format(otlp=collector.port, legacy=legacy.port, candidate=candidate.port, percent=100, shadow="")
        )
        await proxy.start()
        try:
            assert await ask(proxy, "/api/orders/7?token=secret") == 200
            given = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "a=1"}
            assert await ask(proxy, "/api/orders/8?token=secret", **given) == 200
            await proxy.until(lambda: len(collector.spans) >= 3)
        finally:
            await proxy.stop()
        heard = [each_heard.headers for each_heard in (candidate.heard[-1], legacy.heard[-1])]
    assert len(collector.spans) == 3  # the first request began a trace of its own, and 0 % of those have spans
    (server,) = collector.of(Span.SPAN_KIND_SERVER)
    first, second = collector.of(Span.SPAN_KIND_CLIENT)
    assert {span.trace_id.hex() for span in collector.spans} == {TRACE}
    assert (server.parent_span_id.hex(), server.trace_state) == (PARENT, "a=1")
    assert first.parent_span_id == second.parent_span_id == server.span_id
    sent = [dict(headers)["traceparent"] for headers in heard]
    assert sent == [f"00-{TRACE}-{span.span_id.hex()}-01" for span in (first, second)]
    assert server.start_time_unix_nano <= first.start_time_unix_nano <= second.start_time_unix_nano
    assert second.end_time_unix_nano <= server.end_time_unix_nano + 1_000_000

    values = attributes(server)
    assert server.name == "GET /api/orders/*"
    assert server.status.code == Status.STATUS_CODE_UNSET
    assert (
        values.items()
        >= {
            "http.request.method": "GET",
            "http.response.status_code": 200,
            "http.route": "/api/orders/*",
            "url.scheme": "http",
            "url.path": "/api/orders/8",
            "network.protocol.version": "1.1",
            "client.address": "127.0.0.1",
            "server.address": "127.0.0.1",
            "server.port": proxy_port(values),
            "strangler.route": "orders",
            "strangler.arm": "legacy",
            "strangler.reason": "percent",
            "strangler.fallback": True,
        }.items()
    )
    values = attributes(first)
    assert (first.name, first.status.code) == ("GET", Status.STATUS_CODE_ERROR)
    assert (
        values.items()
        >= {
            "http.request.method": "GET",
            "http.response.status_code": 503,
            "error.type": "503",
            "url.full": f"http://127.0.0.1:{candidate.port}/api/orders/8",
            "server.address": "127.0.0.1",
            "server.port": candidate.port,
            "strangler.arm": "candidate",
            "strangler.upstream": "orders",
        }.items()
    )
    assert attributes(second)["strangler.arm"] == "legacy"
    assert attributes(second)["http.request.resend_count"] == 1
    assert collector.paths == {"/v1/traces"}
    assert collector.resources[0]["service.name"] == "strangler"
    assert not any("secret" in str(span) for span in collector.spans)


def proxy_port(values: dict[str, Any]) -> int:
    """Return the port that the client connected to: any port of loopback."""
    port: int = values["server.port"]
    assert 1024 < port < 65536
    return port


async def test_a_shadow_has_a_trace_of_its_own_that_is_linked(tmp_path: Path, collector: Collector) -> None:
    async with arm(says({"id": 7})) as legacy, arm(says({"id": "7"})) as candidate:
        proxy = Proxy(tmp_path, legacy.port)
        proxy.file.write_text(
            ROUTES.format(otlp=collector.port, legacy=legacy.port, candidate=candidate.port, percent=0, shadow=SHADOW)
        )
        await proxy.start()
        try:
            given = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "a=1"}
            await proxy.until(lambda: shadowed(proxy, candidate.shadows, given))
            await proxy.until(lambda: collector.of(Span.SPAN_KIND_INTERNAL))
            status = await proxy.status()
        finally:
            await proxy.stop()
        (sent, *_) = candidate.shadows
    shadow = collector.of(Span.SPAN_KIND_INTERNAL)[0]
    servers = {span.span_id for span in collector.of(Span.SPAN_KIND_SERVER)}
    assert shadow.name == "shadow orders"
    assert shadow.trace_id.hex() != TRACE
    assert [(link.trace_id.hex(), link.span_id in servers) for link in shadow.links] == [(TRACE, True)]
    assert sent.value("traceparent") == f"00-{shadow.trace_id.hex()}-{shadow.span_id.hex()}-01"
    assert sent.value("tracestate") is None
    assert attributes(shadow).items() >= {"strangler.route": "orders", "strangler.outcome": "mismatch"}.items()
    assert status["tracing"]["failed"] == 0
    assert "tracing" not in status["problems"]


async def shadowed(proxy: Proxy, shadows: list[Any], headers: dict[str, str]) -> bool:
    """Ask until a shadow came of it: workers learn in their own time how many are wanted."""
    await ask(proxy, "/api/orders/7", **headers)
    return bool(shadows)


async def test_a_receiver_that_is_away_delays_nothing(tmp_path: Path) -> None:
    async with arm(says({})) as legacy:
        proxy = Proxy(tmp_path, legacy.port)
        text = ROUTES.format(otlp=1, legacy=legacy.port, candidate=legacy.port, percent=100, shadow="")
        proxy.file.write_text(text.replace("sample: 0%", "sample: 100%"))
        await proxy.start()
        try:
            for _ in range(20):
                assert await ask(proxy, "/api/orders/7") == 200
            proxy.edit(re.sub("tracing: .*", "", text))
            await proxy.until(lambda: proxy.has_generation(2))
            assert (await proxy.status())["tracing"] is None
            assert await ask(proxy, "/api/orders/7") == 200
        finally:
            await proxy.stop()
