"""Spans as types of OpenTelemetry's library, sent by OTLP over HTTP. Imported only if tracing is on: it takes a quarter
of a second, and the extra `strangler[otel]`.

Attributes are those of OpenTelemetry's conventions for HTTP (stable since 1.23), and `strangler.*`. The library's
thread sends them from a bounded queue: what does not fit is dropped.
"""

import os
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from strangler import __version__
from strangler.core.listener_settings import UNIX
from strangler.core.settings import HTTP_UNIX
from strangler.ipc.messages import AttemptSpan, Spans
from strangler.store.evidence.findings import Finding

TIMEOUT_S: Final = 10.0
EVERY_S: Final = 1.0
CLOSE_S: Final = 3.0
_SAMPLED: Final = 0x01
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"})


class Outlet(SpanExporter):
    """One receiver. Counts spans: `sent`, `failed`."""

    def __init__(self, url: str) -> None:
        self.sent = self.failed = 0
        self._exporter: Any = OTLPSpanExporter(endpoint=_endpoint(url), timeout=int(TIMEOUT_S))
        self._processor = BatchSpanProcessor(
            self, schedule_delay_millis=EVERY_S * 1000, export_timeout_millis=TIMEOUT_S * 1000
        )

    def give(self, span: ReadableSpan) -> None:
        """Queue a span for sending."""
        self._processor.on_end(span)

    def finish(self) -> None:
        """Send waiting spans. Blocks for at most `CLOSE_S`."""
        last = threading.Thread(target=self._processor.shutdown, daemon=True)
        last.start()
        last.join(CLOSE_S)
        if last.is_alive():
            self._exporter.shutdown()  # it stops trying

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export spans; called in the processor's thread."""
        result: SpanExportResult = self._exporter.export(spans)
        if result is SpanExportResult.SUCCESS:
            self.sent += len(spans)
        else:
            self.failed += len(spans)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


def request_spans(spans: Spans, template: str | None) -> list[ReadableSpan]:
    """Return the spans of a request: the server span, and a client span for each attempt. `template`: `http.route`."""
    server = _context(int(spans.trace_id, 16), int(spans.span_id, 16), spans.state)
    parent = None
    if spans.parent_id:
        parent = _context(int(spans.trace_id, 16), int(spans.parent_id, 16), spans.state, is_remote=True)
    clients = [_client_span(spans, attempt, number, server) for number, attempt in enumerate(spans.attempts)]
    return [_server_span(spans, server, parent, template), *clients]


def _endpoint(url: str) -> str:
    """Return the URL of traces by OTLP's rule: a base URL gets `/v1/traces`; a URL with a path stays as it is."""
    return url if urlsplit(url).path.strip("/") else url.rstrip("/") + "/v1/traces"


def _server_span(spans: Spans, context: SpanContext, parent: SpanContext | None, template: str | None) -> ReadableSpan:
    attributes = _method(spans.method) | {
        "url.scheme": "http",
        "url.path": _text(spans.path),
        "network.protocol.name": "http",
        "network.protocol.version": _text(spans.version),
        "client.address": _text(spans.client),
        "strangler.route": spans.route or None,
        "strangler.arm": spans.arm or None,
        "strangler.reason": spans.reason,
        "strangler.upstream": spans.upstream or None,
        "strangler.fault": spans.fault,
        "strangler.fallback": spans.is_fallback or None,
        "strangler.request_id": _text(spans.request_id),
        "http.route": template,
        "http.response.status_code": spans.status or None,
        "error.type": spans.fault or (str(spans.status) if spans.status >= 500 else None),
    }
    attributes |= _server(_text(spans.host), 80)
    method = attributes["http.request.method"]
    name = "HTTP" if method == "_OTHER" else method
    is_error = spans.fault is not None or spans.status >= 500
    return _span(
        f"{name} {template}" if template else name,
        context,
        parent,
        SpanKind.SERVER,
        attributes,
        (spans.started, spans.duration_s),
        is_error=is_error,
    )


def _client_span(spans: Spans, attempt: AttemptSpan, number: int, parent: SpanContext) -> ReadableSpan:
    is_error = attempt.fault is not None or (attempt.status or 0) >= 400
    attributes = _method(spans.method) | {
        "url.full": _full_url(attempt.url, _text(spans.path)),
        "network.protocol.name": "http",
        "http.request.resend_count": number or None,
        "http.response.status_code": attempt.status,
        "error.type": attempt.fault or (str(attempt.status) if is_error else None),
        "strangler.route": spans.route or None,
        "strangler.arm": attempt.arm or None,
        "strangler.upstream": attempt.upstream,
        "strangler.fault": attempt.fault,
    }
    attributes |= _upstream_server(attempt.url)
    method = attributes["http.request.method"]
    return _span(
        "HTTP" if method == "_OTHER" else method,
        _context(int(spans.trace_id, 16), int(attempt.span_id, 16), spans.state),
        parent,
        SpanKind.CLIENT,
        attributes,
        (attempt.started, attempt.duration_s),
        is_error=is_error,
    )


def shadow_span(ids: tuple[int, int], request_ids: tuple[int, int], started: float, finding: Finding) -> ReadableSpan:
    """Return the span of a shadow that was just compared, linked to the request's. `ids`: of the trace and the span."""
    attributes = {
        "strangler.route": finding.route,
        "strangler.outcome": finding.outcome,
        "strangler.reason": finding.reason or None,
        "strangler.comparison": finding.id,
        "strangler.signatures": [seen.id for seen in finding.differences][:20] or None,
    }
    return _span(
        f"shadow {finding.route}",
        _context(*ids, b""),
        None,
        SpanKind.INTERNAL,
        attributes,
        (started, time.time() - started),
        links=[Link(_context(*request_ids, b""))],
    )


def _span(
    name: str,
    context: SpanContext,
    parent: SpanContext | None,
    kind: SpanKind,
    attributes: Mapping[str, Any],
    times: tuple[float, float],
    *,
    is_error: bool = False,
    links: Sequence[Link] = (),
) -> ReadableSpan:
    """Return a span. `times`: the Unix time of its start, and its duration in seconds. None attributes are left out."""
    started, duration_s = times
    return ReadableSpan(
        name=name,
        context=context,
        parent=parent,
        resource=_resource(),
        attributes={key: value for key, value in attributes.items() if value is not None},
        links=links,
        kind=kind,
        status=Status(StatusCode.ERROR if is_error else StatusCode.UNSET),
        start_time=int(started * 1e9),
        end_time=int((started + duration_s) * 1e9),
        instrumentation_scope=InstrumentationScope("strangler", __version__),
    )


def _context(trace_id: int, span_id: int, state: bytes, *, is_remote: bool = False) -> SpanContext:
    trace_state = TraceState.from_header([_text(state)]) if state else None
    return SpanContext(trace_id, span_id, is_remote, TraceFlags(_SAMPLED), trace_state)


@cache
def _resource() -> Resource:
    """Return the resource. `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` win over the name `strangler`."""
    is_named = "OTEL_SERVICE_NAME" in os.environ or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    name = {} if is_named else {"service.name": "strangler"}
    return Resource.create({"service.version": __version__} | name)


def _method(raw: bytes) -> dict[str, Any]:
    method = _text(raw)
    if method in _METHODS:
        return {"http.request.method": method}
    return {"http.request.method": "_OTHER", "http.request.method_original": method}


def _server(authority: str, port: int) -> dict[str, Any]:
    """Return `server.address` and `server.port` of `shop.example:8080`; what cannot be parsed is left out."""
    try:
        parts = urlsplit(f"//{authority}")
        return {"server.address": parts.hostname, "server.port": (parts.port or port) if parts.hostname else None}
    except ValueError:
        return {}


def _upstream_server(url: str) -> dict[str, Any]:
    """Return the same of an upstream's URL; of a unix socket its path, and no port."""
    if url.startswith(UNIX):
        return {"server.address": url.removeprefix(UNIX)}
    parts = urlsplit(url)
    if url.startswith(HTTP_UNIX):
        return {"server.address": unquote(parts.netloc)}
    return _server(parts.netloc, 443 if parts.scheme == "https" else 80)


def _full_url(url: str, path: str) -> str | None:
    if url.startswith(UNIX):
        url = f"{HTTP_UNIX}{quote(url.removeprefix(UNIX), safe='')}"
    return url + path if url else None


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
