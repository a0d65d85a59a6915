"""Access logs as JSON lines: those whose fields are known, and any other by the names of its fields."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from strangler.imports.request_lines import Target, encoded, is_method, plain_host, split_request, split_target
from strangler.imports.text_formats import Found, Parse, own_bytes
from strangler.imports.timestamps import AnyClock, IsoClock
from strangler.imports.values import LoggedCall, Unread

FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "time": (
        "time", "timestamp", "@timestamp", "ts", "start_time", "time_iso8601", "time_local", "msec", "datetime", "date",
    ),
    "method": (
        "method", "request_method", "verb", "http_method", "requestMethod", "httpRequest.requestMethod",
        "http.request.method", "request.method", "httpMethod", "req.method",
    ),
    "path": (
        "path", "uri", "request_uri", "url", "request_path", "requestUri", "httpRequest.requestUrl", "url.original",
        "url.path", "request.uri", "request.url", "req.url", "request", "request_line",
    ),
    "query": ("query", "query_string", "args", "url.query"),
    "status": (
        "status", "status_code", "statusCode", "response_code", "code", "httpRequest.status", "response.status",
        "http.response.status_code", "res.statusCode",
    ),
    "caller": (
        "user_agent", "http_user_agent", "userAgent", "user-agent", "ua", "agent", "httpRequest.userAgent",
        "user_agent.original", "req.headers.user-agent",
    ),
    "host": (
        "host", "http_host", "authority", "request_authority", "server_name", "vhost", "url.domain", "req.headers.host",
    ),
    "duration_ms": ("duration_ms", "latency_ms", "durationMs", "responseTime"),
    "duration_s": ("request_time", "duration_s"),
}  # fmt: skip
"""The keys of `--fields`, and the usual names of each: the first that a line has is taken if `--fields` gives none."""

_ESCAPE: Final = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|.)", re.DOTALL)


def _decoded(decode: Callable[[bytes], Any], line: bytes) -> Any:
    """Return the value of a line, mended if its text is no UTF-8 or has nginx's `\\x22`; None if it is no object."""
    try:
        return decode(line)
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        mended = _ESCAPE.sub(_mended, line) if b"\\x" in line else line
        return decode(mended.decode("utf-8", "replace").encode())
    except (msgspec.DecodeError, RecursionError):
        return None


def _mended(found: "re.Match[bytes]") -> bytes:
    """Return nginx's `\\x22` as JSON has it; other escapes stay."""
    code = int(found[1], 16) if found[1] else 0
    return found[0] if not found[1] else bytes([code]) if code >= 128 else b"\\u%04x" % code


_as_object: Final = msgspec.json.Decoder(dict[str, Any]).decode


def decoded_object(line: bytes) -> dict[str, Any] | None:
    """Return the object of a JSON line, or None."""
    found: dict[str, Any] | None = _decoded(_as_object, line)
    return found


def _text(value: object) -> str:
    return value if isinstance(value, str) and value != "-" else ""


def _raw(value: object) -> bytes:
    return value.encode("utf-8", "replace") if isinstance(value, str) else b""


def _status(value: object) -> int | None:
    """Return the status of a number or of a text of digits; 0 is none."""
    if isinstance(value, str) and value.isdecimal() and len(value) <= 3:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1000 else None


def _number(value: object, per_second: float) -> float | None:
    """Return a duration in seconds, or None."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) / per_second if 0 <= value < 1e15 else None


class _Own(msgspec.Struct, gc=False):
    time: Any = None
    event: Any = None
    method: Any = None
    path: Any = None
    status: Any = None
    duration_ms: Any = None


def own() -> Parse:
    """Return the reader of our own access lines; the other lines of the log are about other events."""
    decode, clock = msgspec.json.Decoder(_Own).decode, IsoClock()

    def parse(line: bytes) -> Found:
        value = _decoded(decode, line)
        if value is None:
            return Unread.BAD_FORM
        if value.event != "request" or not isinstance(value.path, str):
            return Unread.OTHER_EVENT
        at = clock.at(value.time) if isinstance(value.time, str) and value.time else None
        if at is None:
            return Unread.BAD_TIME
        path = value.path.encode("utf-8", "replace")
        if not path or not is_method(value.method):
            return Unread.NO_REQUEST
        target = encoded(own_bytes(path))
        if target[:1] != b"/":
            parts = split_target(target)
            if isinstance(parts, Unread):
                return parts
            target = parts[0]
        return LoggedCall(
            at, value.method, target, b"", _status(value.status), "", "", _number(value.duration_ms, 1000)
        )

    return parse


class _Traefik(msgspec.Struct, gc=False):
    start: Any = msgspec.field(name="StartUTC", default=None)
    local: Any = msgspec.field(name="StartLocal", default=None)
    time: Any = None
    method: Any = msgspec.field(name="RequestMethod", default=None)
    path: Any = msgspec.field(name="RequestPath", default=None)
    host: Any = msgspec.field(name="RequestHost", default=None)
    status: Any = msgspec.field(name="DownstreamStatus", default=None)
    duration: Any = msgspec.field(name="Duration", default=None)
    caller: Any = msgspec.field(name="request_User-Agent", default=None)


def traefik() -> Parse:
    """Return the reader of Traefik's JSON; its duration is in nanoseconds."""
    decode, clock = msgspec.json.Decoder(_Traefik).decode, AnyClock()

    def parse(line: bytes) -> Found:
        value = _decoded(decode, line)
        if value is None:
            return Unread.BAD_FORM
        if not isinstance(value.path, str) or not isinstance(value.method, str):
            return Unread.OTHER_EVENT
        at = clock.at(value.start or value.local or value.time)
        if at is None:
            return Unread.BAD_TIME
        return _call(at, value.method, value.path, value.status, value.caller, value.host, _number(value.duration, 1e9))

    return parse


def _call(
    at: float | None, method: str, target: str, status: object, caller: object, host: object, duration_s: float | None
) -> Found:
    return _built(at, method, split_target(_raw(target)), status, caller, host, duration_s)


def _built(
    at: float | None,
    method: str,
    parts: Target | Unread,
    status: object,
    caller: object,
    host: object,
    duration_s: float | None,
) -> Found:
    if isinstance(parts, Unread):
        return parts
    if not is_method(method):
        return Unread.NO_REQUEST
    path, query, named = parts
    plain = named or (plain_host(host.encode("utf-8", "replace")) if isinstance(host, str) else "")
    return LoggedCall(at, method, path, query, _status(status), _text(caller), plain, duration_s)


class _CaddyRequest(msgspec.Struct, gc=False):
    method: Any = None
    uri: Any = None
    host: Any = None
    headers: Any = None


class _Caddy(msgspec.Struct, gc=False):
    ts: Any = None
    request: _CaddyRequest | None = None
    status: Any = None
    duration: Any = None


def caddy() -> Parse:
    """Return the reader of Caddy's JSON; its duration is in seconds."""
    decode, clock = msgspec.json.Decoder(_Caddy).decode, AnyClock()

    def parse(line: bytes) -> Found:
        value = _decoded(decode, line)
        if value is None:
            return Unread.BAD_FORM
        request = value.request
        if request is None or not isinstance(request.uri, str) or not isinstance(request.method, str):
            return Unread.OTHER_EVENT
        at = clock.at(value.ts)
        if at is None:
            return Unread.BAD_TIME
        callers = request.headers.get("User-Agent") if isinstance(request.headers, dict) else None
        caller = callers[0] if isinstance(callers, list) and callers else None
        duration_s = _number(value.duration, 1)
        return _call(at, request.method, request.uri, value.status, caller, request.host, duration_s)

    return parse


Lookup = Callable[[Mapping[str, Any]], Any]


def _lookup(name: str) -> Lookup:
    """Return the function that finds a field: under the whole name, or nested by its dots."""
    steps = name.split(".")

    def look(line: Mapping[str, Any]) -> Any:
        value: Any = line.get(name)
        if value is not None or len(steps) == 1:
            return value
        value = line
        for step in steps:
            value = value.get(step) if isinstance(value, dict) else None
        return value

    return look


def field_names(sample: Mapping[str, Any], fields: Mapping[str, str]) -> dict[str, str]:
    """Return the field of each thing: as the operator named it, else the first usual name that a sample line has."""
    names = dict(fields)
    for what, usual in FIELDS.items():
        if what not in names:
            found = next((name for name in usual if isinstance(_lookup(name)(sample), str | int | float)), None)
            if found is not None:
                names[what] = found
    if "response_flags" in sample and "duration" in sample and "duration_ms" not in names:
        names["duration_ms"] = "duration"  # Envoy
    return names


def by_fields(names: Mapping[str, str]) -> Parse:
    """Return the reader of JSON lines whose fields have these names; `path` may hold a whole request line."""
    decode, clock = _as_object, AnyClock()
    looks = {what: _lookup(names[what]) if what in names else _nothing for what in FIELDS}
    time, method, path, query = looks["time"], looks["method"], looks["path"], looks["query"]
    status, caller, host = looks["status"], looks["caller"], looks["host"]
    duration_ms, duration_s, has_time = looks["duration_ms"], looks["duration_s"], "time" in names

    def parse(line: bytes) -> Found:
        value = _decoded(decode, line)
        if value is None:
            return Unread.BAD_FORM
        target, verb = path(value), method(value)
        if not isinstance(target, str) or not target:
            return Unread.OTHER_EVENT
        at = clock.at(time(value))
        if at is None and has_time:
            return Unread.BAD_TIME
        parts: Target | Unread
        if isinstance(verb, str) and verb:
            parts = split_target(_raw(target))
        else:
            request = split_request(_raw(target))
            verb, parts = ("-", request) if isinstance(request, Unread) else request
        took = _number(duration_ms(value), 1000)
        if took is None:
            took = _number(duration_s(value), 1)
        if not isinstance(parts, Unread) and not parts[1]:
            parts = parts[0], encoded(_raw(query(value)).removeprefix(b"?").removeprefix(b"-")), parts[2]
        return _built(at, verb, parts, status(value), caller(value), host(value), took)

    return parse


def _nothing(_: Mapping[str, Any]) -> None:
    return None


KNOWN_JSON: Final[dict[str, Callable[[], Parse]]] = {
    "our own JSON": own,
    "Traefik JSON": traefik,
    "Caddy JSON": caddy,
}
