"""JSON lines: ours, Traefik's, Caddy's, and others by the names of their fields."""

import json

import pytest

from strangler.imports.log_reading import parsed_fields, recognised
from strangler.imports.values import ImportOptions, ImportRefusedError, LoggedCall, Unread

AT = 971211336.0
ISO = "2000-10-10T20:55:36.250Z"

OURS = {
    "time": ISO, "level": "info", "event": "request", "client": "203.0.113.7", "method": "GET", "path": "/a/7",
    "route": None, "arm": "legacy", "status": 200, "duration_ms": 1.5, "bytes": 5, "request_id": "1", "pid": 7,
}  # fmt: skip
TRAEFIK = {
    "ClientHost": "203.0.113.7", "DownstreamStatus": 200, "Duration": 1500000, "RequestHost": "shop.example",
    "RequestMethod": "GET", "RequestPath": "/a/7?b=c", "StartUTC": ISO, "request_User-Agent": "curl/8", "time": ISO,
}  # fmt: skip
CADDY = {
    "level": "info", "ts": AT + 0.25, "logger": "http.log.access", "msg": "handled request", "duration": 0.0015,
    "request": {
        "method": "GET", "host": "shop.example:443", "uri": "/a/7?b=c",
        "headers": {"User-Agent": ["curl/8"], "Accept": []},
    },
    "status": 200,
}  # fmt: skip
ISTIO = {
    "start_time": ISO, "method": "GET", "path": "/a/7?b=c", "response_code": 200, "duration": 1.5,
    "response_flags": "-", "user_agent": "curl/8", "authority": "shop.example", "upstream_cluster": "x",
}  # fmt: skip
NGINX = {
    "time_iso8601": "2000-10-10T22:55:36+02:00", "request": "GET /a/7?b=c HTTP/1.1", "status": "200",
    "http_user_agent": "curl/8", "http_host": "shop.example", "request_time": "0.0015",
}  # fmt: skip
GOOGLE = {
    "timestamp": ISO, "httpRequest": {
        "requestMethod": "GET", "requestUrl": "https://shop.example/a/7?b=c", "status": 200, "userAgent": "curl/8",
    },
}  # fmt: skip

PINO = {
    "level": 30, "time": 971211336250, "responseTime": 1.5, "res": {"statusCode": 200, "headers": {}}, "msg": "done",
    "req": {"method": "GET", "url": "/a/7?b=c", "headers": {"host": "shop.example", "user-agent": "curl/8"}},
}  # fmt: skip

WHOLE = LoggedCall(AT + 0.25, "GET", b"/a/7", b"b=c", 200, "curl/8", "shop.example", 0.0015)

CASES = {
    "ours": ("our own JSON", OURS, LoggedCall(AT + 0.25, "GET", b"/a/7", b"", 200, duration_s=0.0015)),
    "ours, without a response": (
        "our own JSON", OURS | {"status": None}, LoggedCall(AT + 0.25, "GET", b"/a/7", duration_s=0.0015),
    ),
    "ours, bytes that are no UTF-8": (
        "our own JSON", OURS | {"path": "/a\\xff\\x80/é"},
        LoggedCall(AT + 0.25, "GET", b"/a%FF%80/%C3%A9", b"", 200, duration_s=0.0015),
    ),
    "Traefik": ("Traefik JSON", TRAEFIK, WHOLE),
    "Caddy": ("Caddy JSON", CADDY, WHOLE),
    "Istio": ("JSON lines", ISTIO, WHOLE),
    "pino of Node": ("JSON lines", PINO, WHOLE),
    "nginx": (
        "JSON lines", NGINX, LoggedCall(AT, "GET", b"/a/7", b"b=c", 200, "curl/8", "shop.example", 0.0015),
    ),
    "Google's balancer": (
        "JSON lines", GOOGLE, LoggedCall(AT + 0.25, "GET", b"/a/7", b"b=c", 200, "curl/8", "shop.example"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "value", "expected"), CASES.values(), ids=CASES)
def test_a_json_line(name: str, value: object, expected: LoggedCall) -> None:
    line = json.dumps(value).encode()
    found = recognised([line], ImportOptions())
    assert found is not None
    assert found[0] == name
    assert found[1](line) == expected


OTHER_EVENTS = [
    (OURS, {"event": "listening", "port": 80}),
    (TRAEFIK, {"level": "info", "msg": "Configuration loaded"}),
    (CADDY, {"level": "info", "msg": "serving", "ts": AT}),
    (ISTIO, {"start_time": ISO, "method": "-", "path": None, "response_flags": "-"}),
]


@pytest.mark.parametrize(("known", "other"), OTHER_EVENTS, ids=["ours", "Traefik", "Caddy", "Istio"])
def test_a_line_about_something_else_is_no_fault(known: object, other: object) -> None:
    found = recognised([json.dumps(known).encode()], ImportOptions())
    assert found is not None
    assert found[1](json.dumps(other).encode()) == Unread.OTHER_EVENT


FIELDS = {
    "nested by dots": (
        "time=when,method=http.verb,path=http.uri,status=code,caller=ua",
        {"when": AT, "http": {"verb": "PUT", "uri": "/a?b"}, "code": "204", "ua": "curl/8"},
        LoggedCall(AT, "PUT", b"/a", b"b", 204, "curl/8"),
    ),
    "a name with a dot": (
        "time=when,method=http.verb,path=http.uri",
        {"when": "971211336", "http.verb": "PUT", "http.uri": "/a"},
        LoggedCall(AT, "PUT", b"/a"),
    ),
    "the others under usual names": (
        "path=place",
        {"time": ISO, "method": "GET", "place": "/a", "status": 200, "path": 7},
        LoggedCall(AT + 0.25, "GET", b"/a", b"", 200),
    ),
    "a query of its own": (
        "query=search,path=place",
        {"method": "GET", "place": "/a", "search": "?b=c d", "duration_s": 2},
        LoggedCall(None, "GET", b"/a", b"b=c%20d", duration_s=2.0),
    ),
    "a request line": (
        "path=line", {"line": "GET /a b?c HTTP/1.1"}, LoggedCall(None, "GET", b"/a%20b", b"c"),
    ),
    "milliseconds": (
        "path=p,method=m,duration_ms=took", {"p": "/a", "m": "GET", "took": "15"},
        LoggedCall(None, "GET", b"/a", duration_s=0.015),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("fields", "value", "expected"), FIELDS.values(), ids=FIELDS)
def test_fields_are_found_where_the_operator_says(fields: str, value: object, expected: LoggedCall) -> None:
    line = json.dumps(value).encode()
    found = recognised([line], ImportOptions(parsed_fields(fields)))
    assert found is not None
    assert found[1](line) == expected


DAMAGED = {
    "escapes of nginx": (rb'{"method":"GET","path":"/a\x22\xC3\xA9","time":"%b"}' % ISO.encode(), b"/a%22%C3%A9"),
    "no UTF-8": (b'{"method":"GET","path":"/a\xff","time":"%b"}' % ISO.encode(), b"/a%EF%BF%BD"),
}


@pytest.mark.parametrize(("line", "path"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_text_is_mended(line: bytes, path: bytes) -> None:
    found = recognised([line], ImportOptions())
    assert found is not None
    call = found[1](line)
    assert isinstance(call, LoggedCall)
    assert call.path == path


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"method": "GET", "path": "/a", "time": "yesterday"}, Unread.BAD_TIME),
        ({"method": "CONNECT", "path": "shop.example:443", "time": ISO}, Unread.NO_PATH),
        ({"method": "-", "path": "/a", "time": ISO}, Unread.NO_REQUEST),
        ([1], Unread.BAD_FORM),
        ("text", Unread.BAD_FORM),
    ],
)
def test_a_line_that_gives_no_call_has_a_reason(value: object, expected: Unread) -> None:
    found = recognised([json.dumps({"method": "GET", "path": "/", "time": ISO}).encode()], ImportOptions())
    assert found is not None
    assert found[1](json.dumps(value).encode()) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("when", "`when` is not WHAT=NAME"),
        ("tme=when", "did you mean `time`"),
        ("colour=red", "there are time, method, path"),
        ("path=a,path=b", "named twice"),
        ("path=", "is not WHAT=NAME"),
    ],
)
def test_wrong_fields_are_refused_with_the_way_out(text: str, message: str) -> None:
    with pytest.raises(ImportRefusedError, match=message):
        parsed_fields(text)
