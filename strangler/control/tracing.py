"""Tracing: reports of workers and shadows about sampled requests become spans.

A request has one server span, an attempt one client span, and a shadow its own span, linked to the request's.
"""

import re
import secrets
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import structlog

from strangler.control.reload import InForce
from strangler.core.documents import TracingStatus
from strangler.core.settings import MatchSettings, Settings
from strangler.ipc.messages import Captured, Spans
from strangler.store.evidence.findings import Finding

if TYPE_CHECKING:
    from strangler.control.otlp import Outlet

_TRACE_LINES = re.compile(rb"(?im)^trace(?:parent|state):[^\r\n]*(?:\r\n|$)")
_SAMPLED = 0x01

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ShadowSpan:
    """The trace and span of a shadow in progress, and those of its sampled request."""

    ids: tuple[int, int]
    request_ids: tuple[int, int]
    started: float  # Unix time


class TracingState:
    """Owns the outlet to the receiver. `take` and the shadows' calls cost control tens of µs per span."""

    def __init__(self, settings: Settings) -> None:
        self.problem: str | None = None
        """Why no spans are sent, though routes.yaml names a receiver."""
        self._url: str | None = None
        self._outlet: Outlet | None = None
        self._routes: dict[str, str] = {}
        self._follow(settings)

    def adopt(self, in_force: InForce) -> None:
        """Send to the receiver that these settings name from now on."""
        self._follow(in_force.settings)

    def _follow(self, settings: Settings) -> None:
        self._routes = {route.name: _template(route.match) for route in settings.routes}
        before, self._url = self._url, settings.tracing.otlp
        if before == self._url:
            return
        old, self._outlet = self._outlet, None
        if old is not None:
            threading.Thread(target=old.finish, daemon=True).start()
        self.problem = None
        if self._url is not None:
            self._open(self._url)

    def _open(self, url: str) -> None:
        try:
            from strangler.control.otlp import Outlet
        except ImportError as error:
            self.problem = f"tracing.otlp needs the extra: pip install 'strangler[otel]' ({error})"
            log.error("tracing.halted", reason=self.problem)
            return
        self._outlet = Outlet(url)

    def take(self, spans: Spans) -> None:
        """Send the spans of a finished request that was sampled."""
        if self._outlet is None:
            return
        from strangler.control.otlp import request_spans

        for span in request_spans(spans, self._routes.get(spans.route)):
            self._outlet.give(span)

    def shadow_begins(self, captured: Captured) -> tuple[Captured, ShadowSpan | None]:
        """Begin a shadow. Return the request to send, and its span, or None if the request was not sampled."""
        if self._outlet is None or not int(captured.traceparent[53:55] or b"0", 16) & _SAMPLED:
            return captured, None
        span = ShadowSpan(
            ids=(secrets.randbits(128) | 1, secrets.randbits(64) | 1),
            request_ids=(int(captured.traceparent[3:35], 16), int(captured.traceparent[36:52], 16)),
            started=time.time(),
        )
        line = b"traceparent: 00-%032x-%016x-01\r\n" % span.ids
        return msgspec.structs.replace(captured, lines=line + _TRACE_LINES.sub(b"", captured.lines)), span

    def shadow_ends(self, span: ShadowSpan, finding: Finding) -> None:
        """Send the span of a compared shadow."""
        if self._outlet is None:
            return
        from strangler.control.otlp import shadow_span

        self._outlet.give(shadow_span(span.ids, span.request_ids, span.started, finding))

    def close(self) -> None:
        """Send waiting spans. Blocks for a few seconds at most."""
        if self._outlet is not None:
            self._outlet.finish()

    def status(self) -> TracingStatus | None:
        """Return the numbers of spans since this receiver was named; None if nothing is sent."""
        if self._outlet is None:
            return None
        return TracingStatus(self._outlet.sent, self._outlet.failed)


def _template(match: MatchSettings) -> str:
    """Return the attribute `http.route`: `/api/orders/*`, `/users/{id}`."""
    return match.path if match.path is not None else f"{(match.prefix or '').rstrip('/')}/*"
