"""A sampled request as commands that repeat it: curl, Hurl, pytest. Redacted values are placeholders."""

import json
import re
from dataclasses import dataclass

from msgspec import UNSET

from strangler.core.documents import KeptPair, SignatureRow
from strangler.core.routing.rewrite import Rewrite, rewrite_target
from strangler.core.settings import RouteSettings, Settings
from strangler.recordings.exports.hurl_text import hurl_body, hurl_key, hurl_value
from strangler.recordings.exports.shell_words import quoted
from strangler.recordings.exports.to_curl import body_option

_OURS = frozenset(
    {
        "accept-encoding", "connection", "content-length", "forwarded", "host", "traceparent", "tracestate",
        "transfer-encoding", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-request-id",
        "x-strangler-shadow",
    }
)  # fmt: skip
"""Fields that the client library or the proxy writes."""


@dataclass(frozen=True, slots=True)
class Destination:
    """The URL of a request at one arm, and the unix socket to connect to in place of its host, if there is one."""

    url: str
    unix_path: str | None


@dataclass(frozen=True, slots=True)
class Request:
    """A request to both arms."""

    method: str
    legacy: Destination
    candidate: Destination
    host: str | None
    headers: tuple[tuple[str, str], ...]
    body: str | None


def request_of(sample: KeptPair, route: RouteSettings, settings: Settings) -> Request:
    """Return the sampled request, for the upstreams as routes.yaml names them."""
    request = sample.request
    target = request.target.encode()
    target = re.sub(rb"^https?://[^/?]*", b"", target) or b"/"
    rewrite = None
    if route.rewrite_prefix is not None:
        rewrite = Rewrite.between(route.match.prefix or "/", route.rewrite_prefix)
    headers = [(name, value) for name, value in request.headers if name.lower() not in _OURS]
    host = next((value for name, value in request.headers if name.lower() == "host"), None)
    body = request.body
    return Request(
        method=request.method,
        legacy=_destination(settings, "legacy", target, None),
        candidate=_destination(settings, route.candidate or "legacy", target, rewrite),
        host=host,
        headers=tuple(headers),
        body=None if body is None or body.text is UNSET else body.text,
    )


def _destination(settings: Settings, upstream: str, target: bytes, rewrite: Rewrite | None) -> Destination:
    url = settings.upstreams[upstream].urls[0]
    path = rewrite_target(target, rewrite, url.path.encode()).decode("utf-8", "replace")
    return Destination(f"{url.scheme}://{url.authority}{path}", url.unix_path)


def curl(request: Request, to: Destination) -> str:
    """Return one command, with a line for each option."""
    words, before = ["curl -sS -i --compressed"], ""
    if request.method == "HEAD":
        words.append("-I")
    elif request.method != "GET":
        words.append(f"-X {_word(request.method)}")
    if to.unix_path is not None:
        words.append(f"--unix-socket {_word(to.unix_path)}")
    words += [f"-H {_word(f'{name}: {value}')}" for name, value in _fields(request)]
    if request.body is not None:
        before, option = (text.decode() for text in body_option(request.body.encode()))
        words.append(option)
    return before + " \\\n  ".join([*words, _word(to.url)])


def _word(text: str) -> str:
    return quoted(text.encode()).decode()


def hurl(request: Request) -> str:
    """Return a Hurl file with both arms, one after the other (https://hurl.dev)."""
    return "\n\n".join(_hurl_entry(request, to) for to in (request.legacy, request.candidate)) + "\n"


def _hurl_entry(request: Request, to: Destination) -> str:
    lines = [f"{request.method} {hurl_value(to.url)}"]
    lines += [f"{hurl_key(name)}: {hurl_value(value)}" for name, value in _fields(request)]
    if to.unix_path is not None:
        lines += ["[Options]", f"unix-socket: {hurl_value(to.unix_path)}"]
    if request.body is not None:
        lines.append(hurl_body(request.body.encode()))
    return "\n".join([*lines, "HTTP *"])


_PYTEST = '''\
"""{title}"""

import http.client
import json
import socket
from urllib.parse import urlsplit

HEADERS = {headers}
BODY = {body}


def ask(url, unix_path=None):
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=10)
    if unix_path is not None:
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(unix_path)
    try:
        connection.request({method!r}, parts.path + ("?" + parts.query if parts.query else ""), BODY, HEADERS)
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()

{helpers}
def test_the_candidate_answers_as_legacy_does():
    legacy, legacy_body = ask({legacy})
    candidate, candidate_body = ask({candidate})
    assert {left} == {right}
'''

_FIND = '''
def find(node, path):
    """All values that a folded path names."""
    if not path:
        return [node]
    if path[0] is None:
        return [found for item in node for found in find(item, path[1:])] if isinstance(node, list) else []
    return find(node[path[0]], path[1:]) if isinstance(node, dict) and path[0] in node else []

'''


def pytest_file(request: Request, row: SignatureRow, steps: tuple[str | None, ...]) -> str:
    """Return a test that fails while the difference is there. It needs nothing but Python."""
    left, right, helpers = _compared(row, steps)
    headers = dict(_fields(request))
    return _PYTEST.format(
        title=f"{row.endpoint}: {row.path or 'status'} ({row.kind}, {row.severity}).",
        headers=json.dumps(headers, indent=4, ensure_ascii=False) if headers else "{}",
        body=None if request.body is None else repr(request.body.encode()),
        method=request.method,
        legacy=_arguments(request.legacy),
        candidate=_arguments(request.candidate),
        left=left,
        right=right,
        helpers=helpers,
    )


def _arguments(to: Destination) -> str:
    return repr(to.url) if to.unix_path is None else f"{to.url!r}, {to.unix_path!r}"


def _compared(row: SignatureRow, steps: tuple[str | None, ...]) -> tuple[str, str, str]:
    if row.in_ == "status":
        return "legacy.status", "candidate.status", ""
    if row.in_ == "header":
        return f"legacy.getheader({row.path!r})", f"candidate.getheader({row.path!r})", ""
    if not steps:
        return "legacy_body", "candidate_body", ""
    return (
        f"find(json.loads(legacy_body), {steps!r})",
        f"find(json.loads(candidate_body), {steps!r})",
        _FIND,
    )


def _fields(request: Request) -> list[tuple[str, str]]:
    host = [("Host", request.host)] if request.host is not None else []
    return [*host, *request.headers]
