# Compiled with mypyc: see docs/hot-path.md.
"""The access log: one line per request; the parts of a line that repeat are cached."""

import re
import time
from datetime import UTC, datetime
from math import inf
from random import random

import msgspec
import structlog

from strangler.core.privacy.masked import AT, PERCENT, without_addresses
from strangler.core.settings import LogSettings
from strangler.logs import LogWriter, resolved_format
from strangler.worker.call import Call

_plain = re.compile(rb"[ !#-\[\]-~]*").fullmatch
_MOST_ENDS = 4096

_ESCAPED = re.compile(rb"[^ !#-\[\]-~]")
"""The bytes that may not stand between the quotes of a combined line: `"`, `\\`, and all but printable ASCII."""


class AccessLog:
    """Writes access lines: 1.5 µs each."""

    def __init__(self, writer: LogWriter, process: str, pid: int) -> None:
        self._writer = writer
        self._middles: dict[tuple[object, ...], bytes] = {}
        self._lines: list[bytes] = []
        self._tail = f',"process":"{process}","pid":{pid}}}\n'.encode()
        self._second = 0
        self._stamp = b""
        self._format = "json"
        self._is_on = True
        self._is_sampled = False
        self._sample = 1.0
        self._slow_s = inf
        self._keeps_errors = True
        self._log = structlog.get_logger()

    def adopt(self, settings: LogSettings) -> None:
        access = settings.access
        self._format = resolved_format(settings)
        self._stamp = b""
        self._second = 0
        self._is_on = access is not None and settings.level in ("debug", "info")
        if access is not None:
            self._sample = access.sample
            self._is_sampled = access.sample < 1.0
            self._slow_s = inf if access.slow_s is None else access.slow_s
            self._keeps_errors = access.errors == "always"

    def write(self, call: Call, route: str, duration_s: float, at: float = 0.0) -> None:
        """Write the line of a request that is over, unless the settings leave it out. `at`: the Unix time of its end,
        if that is not now."""
        if not self._is_on or (self._is_sampled and not self._is_wanted(call, duration_s)):
            return
        if self._format == "json":
            self._lines.append(self._line(call, route, duration_s, at))
        elif self._format == "combined":
            self._lines.append(self._combined_line(call, at))
        else:
            self._log.info("request", **_fields(call, route, duration_s))

    def _is_wanted(self, call: Call, duration_s: float) -> bool:
        """Return True if this request gets a line, where only a share of them does."""
        if duration_s >= self._slow_s:
            return True
        if self._keeps_errors and (call.end is not None or call.status >= 500 or call.is_fallback):
            return True
        return random() < self._sample  # noqa: S311 - chance is no secret

    def flush(self) -> None:
        """Pass the lines to the writer's thread; called many times a second."""
        if self._lines:
            self._writer.write_lines(self._lines)
            self._lines.clear()

    def _line(self, call: Call, route: str, duration_s: float, at: float) -> bytes:
        key = (
            call.plan.reason,
            route,
            call.arm,
            call.upstream,
            call.status,
            call.end,
            call.attempts,
            call.is_fallback,
            call.no_fallback,
            call.no_retry,
            call.failed_parts,
        )
        middle = self._middles.get(key)
        if middle is None:
            middle = self._middle(call, route, key)
        path = call.path
        if AT in path or PERCENT in path:
            path = without_addresses(path)
        request_id = call.trace.request_id
        return (
            b'{"time":"%b","level":"info","event":"request","client":"%b","method":"%b","path":%b,%b,'
            b'"duration_ms":%.3f,"bytes":%d,"request_id":%b%b'
        ) % (
            self._stamp_of(at or time.time()),
            call.client_ip,
            call.method,
            b'"%b"' % path if _plain(path) else _quote(path),
            middle,
            duration_s * 1000,
            call.sent_bytes,
            b'"%b"' % request_id if _plain(request_id) else _quote(request_id),
            self._tail,
        )

    def _combined_line(self, call: Call, at: float) -> bytes:
        """Return `%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-agent}i"` of Apache's mod_log_config.

        Bytes from the wire are escaped as Apache does it, so that none of them can end a field or a line. A client that
        left before its response began has the status 499, as in nginx.
        """
        fields = call.fields
        line = b"-"
        if call.method:
            line = b"%b %b HTTP/1.%d" % (
                call.method,
                without_addresses(call.target),
                0 if call.request_headers.is_http10 else 1,
            )
        return b'%b - - [%b] "%b" %d %b "%b" "%b"\n' % (
            call.client_ip or b"-",
            self._apache_stamp_of(at or time.time()),
            _ESCAPED.sub(_escape, line),
            call.status or 499,
            b"%d" % call.sent_bytes if call.sent_bytes else b"-",
            _ESCAPED.sub(_escape, without_addresses(fields.get(b"referer") or b"-")),
            _ESCAPED.sub(_escape, without_addresses(fields.get(b"user-agent") or b"-")),
        )

    def _middle(self, call: Call, route: str, key: tuple[object, ...]) -> bytes:
        """Return the part of a line that says where the request went and why: most requests of a route share it."""
        fields: dict[str, object] = {
            "route": route or None,
            "arm": call.arm or None,
            "reason": call.plan.reason,
            "upstream": call.upstream or None,
            "status": call.status or None,
            "fault": call.end,
            "attempts": call.attempts,
        }
        fields |= _detours(call)
        middle = msgspec.json.encode(fields)[1:-1]
        if len(self._middles) < _MOST_ENDS:
            self._middles[key] = middle
        return middle

    def _stamp_of(self, at: float) -> bytes:
        """Return `2026-11-23T08:00:00.123Z`; all but the milliseconds is made once a second."""
        second = int(at)
        if second != self._second:
            self._second = second
            self._stamp = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()
        return b"%b.%03dZ" % (self._stamp, int((at - second) * 1000))

    def _apache_stamp_of(self, at: float) -> bytes:
        """Return `23/Nov/2026:08:00:00 +0000`, which is made once a second."""
        second = int(at)
        if second != self._second:
            self._second = second
            date = datetime.fromtimestamp(second, UTC)
            self._stamp = date.strftime(f"%d/{_MONTHS[date.month - 1]}/%Y:%H:%M:%S +0000").encode()
        return self._stamp


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_NAMED = {b'"': b'\\"', b"\\": b"\\\\", b"\t": b"\\t"}


def _escape(found: "re.Match[bytes]") -> bytes:
    """Return one byte as Apache writes it: `\\"`, `\\\\`, `\\t`, else `\\xhh`."""
    byte = found[0]
    return _NAMED.get(byte) or b"\\x%02x" % byte[0]


def _quote(raw: bytes) -> bytes:
    """Return the JSON string for bytes from the wire that are not plain ASCII."""
    return msgspec.json.encode(raw.decode("utf-8", "backslashreplace"))


def _printable(raw: bytes) -> str:
    """Return a text that cannot steer the terminal."""
    text = raw.decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def _detours(call: Call) -> dict[str, object]:
    """Return the rare fields: how a request got its response after the first attempt failed."""
    fields: dict[str, object] = {}
    if call.no_retry is not None:
        fields["no_retry"] = call.no_retry.value
    if call.is_fallback:
        fields["fallback"] = True
    if call.no_fallback is not None:
        fields["no_fallback"] = call.no_fallback.value
    if call.failed_parts is not None:
        fields["failed_parts"] = call.failed_parts
    return fields


def _fields(call: Call, route: str, duration_s: float) -> dict[str, object]:
    return {
        "method": call.method.decode("latin-1"),
        "path": _printable(without_addresses(call.path)),
        "route": route or None,
        "arm": call.arm or None,
        "reason": call.plan.reason.value,
        "upstream": call.upstream or None,
        "status": call.status or None,
        "fault": str(call.end) if call.end else None,
        "attempts": call.attempts,
        "duration_ms": round(duration_s * 1000, 1),
        "request_id": _printable(call.trace.request_id),
    } | _detours(call)
