"""The proxy's own responses: problem details (RFC 9457) in fixed words. Nothing of the request is ever echoed."""

import json
import re
from html import escape
from typing import NamedTuple

from strangler.core.fault import Fault

REASON_PHRASES = {
    400: b"Bad Request",
    404: b"Not Found",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    410: b"Gone",
    413: b"Content Too Large",
    414: b"URI Too Long",
    417: b"Expectation Failed",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    501: b"Not Implemented",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
    505: b"HTTP Version Not Supported",
    508: b"Loop Detected",
}


class Problem(NamedTuple):
    """One response of the proxy itself: `fault` is the stable name, `title` the sentence for a person."""

    status: int
    fault: str
    title: str
    retry_after_s: int | None = None
    allow: bytes | None = None
    lines: bytes | None = None
    """Further lines of the head, in place of those that all responses of the route have; None: these."""
    page: str | None = None
    """The page for browsers that is built in for this problem, with placeholders; None: that of a failure."""
    members: tuple[tuple[str, str], ...] = ()
    """Further members of the problem details (RFC 9457 section 3.2)."""


def _malformed(title: str) -> Problem:
    return Problem(400, "malformed", title)


BAD_REQUEST_LINE = _malformed("The request line is malformed.")
BAD_HEADER = _malformed("The header section is malformed.")
BAD_TARGET = _malformed("The request target is not allowed.")
BAD_HOST = _malformed("The Host field is missing, repeated or malformed.")
NO_HOST = _malformed("The request names no host to redirect to.")
BAD_FRAMING = _malformed("The length of the request is ambiguous.")
BAD_BODY = _malformed("The request's body is malformed.")
AMBIGUOUS_PATH = Problem(400, "ambiguous_path", "The path can be read in more than one way.")
METHOD_NOT_ALLOWED = Problem(
    405,
    "method_not_allowed",
    "CONNECT and TRACE are not forwarded.",
    allow=b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
)
HEADER_TIMEOUT = Problem(408, "header_timeout", "The request's head did not arrive in time.")
BODY_TIMEOUT = Problem(408, Fault.CLIENT_TIMEOUT, "The request's body did not arrive in time.")
BODY_TOO_LARGE = Problem(413, Fault.TOO_LARGE, "The request's body is too large.")
NOT_TLS = Problem(400, "tls_handshake", "This port speaks HTTPS, and the request came without TLS.")
TARGET_TOO_LONG = Problem(414, "target_too_long", "The request target is too long.")
UNKNOWN_EXPECTATION = Problem(417, "unknown_expectation", "The only expectation that is met is 100-continue.")
HEADER_TOO_LARGE = Problem(431, "header_too_large", "The request's header section is too large.")
UNKNOWN_METHOD = Problem(501, "unknown_method", "The request method is not known.")
UNKNOWN_CODING = Problem(501, "unknown_transfer_coding", "The only transfer coding that is understood is chunked.")
UNKNOWN_VERSION = Problem(505, "unknown_version", "The HTTP version is not 1.0 or 1.1.")
LOOP = Problem(508, "loop", "The request has passed this proxy too often.")
TOO_MANY_CONNECTIONS = Problem(503, "connections", "The proxy has too many connections.", retry_after_s=1)

_OF_FAULT = {
    Fault.CONNECT: Problem(502, Fault.CONNECT, "The upstream could not be reached."),
    Fault.RESET: Problem(502, Fault.RESET, "The upstream closed the connection before it responded."),
    Fault.BAD_RESPONSE: Problem(502, Fault.BAD_RESPONSE, "The upstream's response is not valid HTTP."),
    Fault.TIMEOUT: Problem(504, Fault.TIMEOUT, "The upstream did not respond in time."),
    Fault.OPEN: Problem(503, Fault.OPEN, "The upstream gets no requests for a while after failures.", retry_after_s=1),
    Fault.FULL: Problem(503, Fault.FULL, "The upstream has too many requests.", retry_after_s=1),
    Fault.TOO_LARGE: BODY_TOO_LARGE,
    Fault.CLIENT_PROTOCOL: BAD_BODY,
    Fault.CLIENT_TIMEOUT: BODY_TIMEOUT,
}


def problem_of(fault: Fault, retry_after_s: float | None = None) -> Problem:
    """Return the response to a request that ended in `fault`. KeyError for CLIENT_GONE: nobody is there to get it."""
    problem = _OF_FAULT[fault]
    if retry_after_s is None or problem.status != 503:
        return problem
    return problem._replace(retry_after_s=max(1, -int(-retry_after_s // 1)))


def part_problem(status: int, retry_after_s: float | None = None) -> Problem:
    """Return the response to a request of which a required part gave a response that cannot be used."""
    wait_s = None if retry_after_s is None or status != 503 else max(1, -int(-retry_after_s // 1))
    return Problem(status, Fault.BAD_RESPONSE, "A service that provides a part of the response failed.", wait_s)


_FRAME = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{{status}}</title>
<style>
body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 32rem; margin: 20vh auto 0; padding: 0 1rem; }
p { margin: .5rem 0; }
small { opacity: .7; }
@media (prefers-color-scheme: dark) { body { background: #111; color: #eee; } a { color: #9cf; } }
</style>
<h1>%s</h1>
%s
<p><small>{{status}} · {{title}} · {{request_id}}</small></p>
</html>
"""


def page_of(heading: str, *paragraphs: str) -> str:
    """Return a page for browsers, with placeholders. The texts are HTML."""
    return _FRAME % (heading, "\n".join(f"<p>{paragraph}</p>" for paragraph in paragraphs))


_PAGE = page_of("This page cannot be shown right now", "Please try again in a moment.")
_FOR_BROWSERS = frozenset({502, 503, 504})
_QUALITY = re.compile(rb";[ \t]*q=([01](?:\.[0-9]{0,3})?)", re.IGNORECASE)


def wants_page(problem: Problem, accept: bytes | None) -> bool:
    """Return True if a page serves the client better: Accept (RFC 9110 section 12.5.1) prefers HTML to JSON."""
    if accept is None or (problem.page is None and problem.status not in _FOR_BROWSERS):
        return False
    best, is_page = 0.0, False
    for part in accept.lower().split(b","):
        kind = part.partition(b";")[0].strip()
        if kind not in (b"text/html", b"application/xhtml+xml") and not kind.endswith(b"json"):
            continue
        found = _QUALITY.search(part)
        quality = 1.0 if found is None else float(found[1])
        if quality > best:
            best, is_page = quality, not kind.endswith(b"json")
    return is_page


def fill_page(page: str | None, problem: Problem, request_id: str) -> bytes:
    """Return a page with its placeholders filled in: `page`, which is for failures, or the built-in one."""
    if page is None or problem.status not in _FOR_BROWSERS:
        page = problem.page or _PAGE
    values = {"status": str(problem.status), "title": problem.title, "request_id": request_id}
    return _PLACEHOLDER.sub(lambda found: escape(values[found[1]]), page).encode()


_PLACEHOLDER = re.compile(r"\{\{[ ]?(status|title|request_id)[ ]?\}\}")


def render(
    problem: Problem,
    request_id: str,
    date: bytes,
    *,
    close: bool,
    bodyless: bool,
    page: bytes | None = None,
    more: bytes = b"",
) -> bytes:
    """Return the whole response, head and body. `bodyless`: to a HEAD request. `page`: HTML in place of the details.
    `more`: lines of the head, each with its end."""
    body = (
        page
        if page is not None
        else json.dumps(
            {
                "type": f"urn:strangler:fault:{problem.fault}",
                "title": problem.title,
                "status": problem.status,
                "fault": problem.fault,
                "request_id": request_id,
                **dict(problem.members),
            },
            separators=(",", ":"),
        ).encode()
    )
    lines = [
        b"HTTP/1.1 %d %b" % (problem.status, REASON_PHRASES[problem.status]),
        b"Content-Type: " + (b"application/problem+json" if page is None else b"text/html; charset=utf-8"),
        b"Content-Length: %d" % len(body),
        b"Cache-Control: no-store",
        b"Date: " + date,
    ]
    if problem.retry_after_s is not None:
        lines.append(b"Retry-After: %d" % problem.retry_after_s)
    if problem.allow is not None:
        lines.append(b"Allow: " + problem.allow)
    if close:
        lines.append(b"Connection: close")
    return b"\r\n".join(lines) + b"\r\n" + more + b"\r\n" + (b"" if bodyless else body)
