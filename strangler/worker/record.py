"""What is told of each request: the access line and the numbers. All that can be made beforehand is."""

import time
from datetime import UTC, datetime

import msgspec
import structlog

from strangler.core.fault import Fault
from strangler.core.result import Result
from strangler.core.settings import LogSettings
from strangler.wire.logs import LogWriter, resolved_format
from strangler.wire.numbers import Counter, Histogram, Numbers
from strangler.worker.call import Call

_CLASSES = ("gone", "1xx", "2xx", "3xx", "4xx", "5xx")


class _Meter:
    """The cells of one route, arm and upstream."""

    __slots__ = ("by_class", "duration")

    def __init__(self, numbers: Numbers, route: str, arm: str, upstream: str) -> None:
        self.by_class: list[Counter] = [
            numbers.counter("strangler_requests_total", route, arm, upstream, code_class) for code_class in _CLASSES
        ]
        self.duration: Histogram = numbers.histogram("strangler_request_duration_seconds", route, arm)


class Record:
    """Counts requests and writes access lines. An access line costs 2 µs, the numbers 0.5."""

    def __init__(self, numbers: Numbers, writer: LogWriter, process: str, pid: int) -> None:
        self._numbers = numbers
        self._writer = writer
        self._meters: dict[tuple[str, str, str], _Meter] = {}
        self._attempts: dict[tuple[str, str], Counter] = {}
        self._tail = f',"process":"{process}","pid":{pid}}}\n'
        self._second = 0
        self._stamp = ""
        self._is_json = True
        self._is_on = True
        self._log = structlog.get_logger()

    def adopt(self, settings: LogSettings) -> None:
        self._is_json = resolved_format(settings) == "json"
        self._is_on = settings.access and settings.level in ("debug", "info")

    def attempted(self, upstream: str, result: Result) -> None:
        cause = result.cause
        if cause is Fault.CLIENT_GONE or cause is None:
            return
        text = cause.value if isinstance(cause, Fault) else f"{cause // 100}xx"
        cell = self._attempts.get((upstream, text))
        if cell is None:
            cell = self._numbers.counter("strangler_attempts_total", upstream, text)
            self._attempts[upstream, text] = cell
        cell.inc()

    def fell_back(self, route: str, fault: str) -> None:
        self._numbers.counter("strangler_fallbacks_total", route, fault).inc()

    def write(self, call: Call, now: float) -> None:
        """The request is over: count it and tell of it."""
        plan = call.plan
        route = plan.route.name if plan is not None and plan.route is not None else ""
        duration_s = now - call.started
        key = (route, call.arm, call.upstream)
        meter = self._meters.get(key)
        if meter is None:
            meter = self._meters[key] = _Meter(self._numbers, *key)
        meter.by_class[0 if call.fault is Fault.CLIENT_GONE else call.status // 100].inc()
        meter.duration.observe(duration_s)
        if not self._is_on:
            return
        if self._is_json:
            self._writer.write(self._line(call, route, duration_s).encode())
        else:
            self._log.info("request", **_fields(call, route, duration_s))

    def _line(self, call: Call, route: str, duration_s: float) -> str:
        plan = call.plan
        fault = f'"{call.fault}"' if call.fault else "null"
        reason = f'"{plan.reason}"' if plan is not None else "null"
        fallback = ',"fallback":true' if call.is_fallback else ""
        if call.no_fallback is not None:
            fallback = f',"fallback":false,"no_fallback":"{call.no_fallback}"'
        return (
            f'{{"time":"{self._now()}","level":"info","event":"request",'
            f'"client":"{call.head.client_ip.decode("latin-1")}",'
            f'"method":"{call.head.method.decode("latin-1")}","path":{_quote(call.head.path)},'
            f'"route":{_name(route)},"arm":{_name(call.arm)},"reason":{reason},'
            f'"upstream":{_name(call.upstream)},"status":{call.status or "null"},"fault":{fault},'
            f'"attempts":{call.attempts},"duration_ms":{duration_s * 1000:.3f},"bytes":{call.sent_bytes},'
            f'"request_id":{_quote(call.trace.request_id)}{fallback}{self._tail}'
        )

    def _now(self) -> str:
        """`2026-11-23T08:00:00.123Z`; all but the milliseconds is made once a second."""
        now = time.time()
        second = int(now)
        if second != self._second:
            self._second = second
            self._stamp = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._stamp}.{int((now - second) * 1000):03d}Z"


def _name(text: str) -> str:
    """Names of routes and upstreams are plain words by the schema."""
    return f'"{text}"' if text else "null"


def _quote(raw: bytes) -> str:
    """JSON text of bytes from the wire; what is plain ASCII, as nearly all is, costs 0.2 µs."""
    text = raw.decode("utf-8", "backslashreplace")
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return msgspec.json.encode(text).decode()


def _fields(call: Call, route: str, duration_s: float) -> dict[str, object]:
    return {
        "method": call.head.method.decode("latin-1"),
        "path": call.head.path.decode("utf-8", "backslashreplace"),
        "route": route or None,
        "arm": call.arm or None,
        "reason": call.plan.reason.value if call.plan is not None else None,
        "upstream": call.upstream or None,
        "status": call.status or None,
        "fault": str(call.fault) if call.fault else None,
        "attempts": call.attempts,
        "duration_ms": round(duration_s * 1000, 1),
        "request_id": call.trace.request_id.decode("latin-1"),
    }
