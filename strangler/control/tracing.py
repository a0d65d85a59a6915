"""Spans: made of what workers and shadows tell, and sent by OTLP over HTTP. Needs the extra `strangler[otel]`.

One server span a request, one client span an attempt, and a span of its own for each shadow, linked to the request's.
Attributes are those of OpenTelemetry's conventions for HTTP (stable since 1.23), and `strangler.*`. Sending is up to
the library's thread, whose queue is bounded: what does not fit is dropped.
"""

import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import msgspec
import structlog

from strangler import __version__
from strangler.control.shadow.evidence import Finding
from strangler.core.settings import MatchSettings, Settings, TracingSettings
from strangler.wire.messages import AttemptSpan, Captured, Spans

try:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState
except ImportError as _error:
    MISSING: str | None = f"tracing.otlp needs the extra: pip install 'strangler[otel]' ({_error})"
else:
    MISSING = None

TIMEOUT_S: Final = 10.0
EVERY_S: Final = 1.0
CLOSE_S: Final = 3.0
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"})
_TRACE_LINES = re.compile(rb"(?im)^trace(?:parent|state):[^\r\n]*(?:\r\n|$)")
_SAMPLED = 0x01

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ShadowSpan:
    """A shadow of a sampled request that is under way: the names of its span, and the one that it is linked to."""

    trace_id: int
    span_id: int
    request_trace_id: int
    request_span_id: int
    started: float  # Unix time
    route: str


class _Counted(Protocol):
    sent: int
    failed: int


class TracingState:
    """Owns the exporter. `take` and the shadows' calls cost a few µs a span, in control."""

    def __init__(self, settings: Settings) -> None:
        self.problem: str | None = None
        """Why no spans are sent, though routes.yaml names an endpoint."""
        self.sent = self.failed = 0
        """Spans, since control began."""
        self._tracing: TracingSettings | None = None
        self._processor: Any = None
        self._exporter: Any = None
        self._routes: dict[str, str] = {}
        self.adopt(settings)

    def adopt(self, settings: Settings) -> None:
        """Send to what these settings name, from now on."""
        self._routes = {route.name: _template(route.match) for route in settings.routes}
        before, self._tracing = self._tracing, settings.tracing
        if before is not None and before.otlp == settings.tracing.otlp:
            return
        if self._processor is not None:
            threading.Thread(target=self._finish(), daemon=True).start()
        self.problem = None
        if settings.tracing.otlp is None:
            return
        if MISSING is not None:
            log.error("tracing.halted", reason=MISSING)
            self.problem = MISSING
            return
        self._exporter = OTLPSpanExporter(endpoint=_endpoint(settings.tracing.otlp), timeout=int(TIMEOUT_S))
        self._processor = BatchSpanProcessor(
            _counting(self._exporter, self),
            schedule_delay_millis=EVERY_S * 1000,
            export_timeout_millis=TIMEOUT_S * 1000,
        )

    def take(self, spans: Spans) -> None:
        """One sampled request is over."""
        if self._processor is None:
            return
        server = _context(int(spans.trace_id, 16), int(spans.span_id, 16), spans.state)
        parent = None
        if spans.parent_id:
            parent = _context(int(spans.trace_id, 16), int(spans.parent_id, 16), spans.state, is_remote=True)
        self._processor.on_end(_server_span(spans, server, parent, self._routes.get(spans.route)))
        for number, attempt in enumerate(spans.attempts):
            self._processor.on_end(_client_span(spans, attempt, number, server))

    def shadow_begins(self, captured: Captured) -> tuple[Captured, ShadowSpan | None]:
        """A shadow is about to be sent: the request to send, and its span; None if the request has none."""
        if self._processor is None or not int(captured.traceparent[53:55] or b"0", 16) & _SAMPLED:
            return captured, None
        span = ShadowSpan(
            trace_id=secrets.randbits(128) | 1,
            span_id=secrets.randbits(64) | 1,
            request_trace_id=int(captured.traceparent[3:35], 16),
            request_span_id=int(captured.traceparent[36:52], 16),
            started=time.time(),
            route=captured.route,
        )
        line = b"traceparent: 00-%032x-%016x-01\r\n" % (span.trace_id, span.span_id)
        return msgspec.structs.replace(captured, lines=line + _TRACE_LINES.sub(b"", captured.lines)), span

    def shadow_ends(self, span: ShadowSpan, finding: Finding) -> None:
        """The shadow was compared."""
        if self._processor is not None:
            self._processor.on_end(_shadow_span(span, finding))

    def close(self) -> None:
        """Send what waits. Blocks, for `CLOSE_S` at most."""
        if self._processor is not None:
            self._finish()()

    def _finish(self) -> Callable[[], None]:
        """What ends the processor; nothing is given to it any more."""
        processor, exporter = self._processor, self._exporter
        self._processor = self._exporter = None

        def finish() -> None:
            last = threading.Thread(target=processor.shutdown, daemon=True)
            last.start()
            last.join(CLOSE_S)
            if last.is_alive():
                exporter.shutdown()  # it stops trying

        return finish

    def status(self) -> dict[str, Any] | None:
        """None if nothing is sent."""
        if self._processor is None:
            return None
        return {"sent": self.sent, "failed": self.failed}


def _counting(exporter: Any, counted: _Counted) -> Any:
    """The exporter, and what became of the spans that it was given."""

    class Counting(SpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            result: SpanExportResult = exporter.export(spans)
            if result is SpanExportResult.SUCCESS:
                counted.sent += len(spans)
            else:
                counted.failed += len(spans)
            return result

        def shutdown(self) -> None:
            exporter.shutdown()

    return Counting()


def _endpoint(url: str) -> str:
    """OTLP's own rule: a base URL gets `/v1/traces`; one that has a path is taken as it is."""
    return url if urlsplit(url).path.strip("/") else url.rstrip("/") + "/v1/traces"


def _template(match: MatchSettings) -> str:
    """`http.route`: `/api/orders/*`, `/users/{id}`."""
    return match.path if match.path is not None else f"{(match.prefix or '').rstrip('/')}/*"


def _server_span(spans: Spans, context: Any, parent: Any, template: str | None) -> Any:
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


def _client_span(spans: Spans, attempt: AttemptSpan, number: int, parent: Any) -> Any:
    is_error = attempt.fault is not None or (attempt.status or 0) >= 400
    attributes = _method(spans.method) | {
        "url.full": attempt.url + _text(spans.path) if attempt.url else None,
        "network.protocol.name": "http",
        "http.request.resend_count": number or None,
        "http.response.status_code": attempt.status,
        "error.type": attempt.fault or (str(attempt.status) if is_error else None),
        "strangler.route": spans.route or None,
        "strangler.arm": attempt.arm or None,
        "strangler.upstream": attempt.upstream,
        "strangler.fault": attempt.fault,
    }
    parts = urlsplit(attempt.url)
    attributes |= _server(parts.netloc, 443 if parts.scheme == "https" else 80)
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


def _shadow_span(span: ShadowSpan, finding: Finding) -> Any:
    attributes = {
        "strangler.route": finding.route,
        "strangler.outcome": finding.outcome,
        "strangler.reason": finding.reason or None,
        "strangler.comparison": finding.id,
        "strangler.signatures": [seen.id for seen in finding.differences][:20] or None,
    }
    return _span(
        f"shadow {span.route}",
        _context(span.trace_id, span.span_id, b""),
        None,
        SpanKind.INTERNAL,
        attributes,
        (span.started, time.time() - span.started),
        links=[Link(_context(span.request_trace_id, span.request_span_id, b""))],
    )


def _span(
    name: str,
    context: Any,
    parent: Any,
    kind: Any,
    attributes: Mapping[str, Any],
    times: tuple[float, float],
    *,
    is_error: bool = False,
    links: Sequence[Any] = (),
) -> Any:
    """`times`: the Unix time of its start, and its duration in seconds. Attributes that are None are left out."""
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


def _context(trace_id: int, span_id: int, state: bytes, *, is_remote: bool = False) -> Any:
    trace_state = TraceState.from_header([_text(state)]) if state else None
    return SpanContext(trace_id, span_id, is_remote, TraceFlags(_SAMPLED), trace_state)


@cache
def _resource() -> Any:
    """`OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` of the environment win over the name `strangler`."""
    is_named = "OTEL_SERVICE_NAME" in os.environ or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    name = {} if is_named else {"service.name": "strangler"}
    return Resource.create({"service.version": __version__} | name)


def _method(raw: bytes) -> dict[str, Any]:
    method = _text(raw)
    if method in _METHODS:
        return {"http.request.method": method}
    return {"http.request.method": "_OTHER", "http.request.method_original": method}


def _server(authority: str, port: int) -> dict[str, Any]:
    """`server.address` and `server.port` of `shop.example:8080`; what cannot be read is left out."""
    try:
        parts = urlsplit(f"//{authority}")
        return {"server.address": parts.hostname, "server.port": (parts.port or port) if parts.hostname else None}
    except ValueError:
        return {}


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
