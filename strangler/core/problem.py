"""The proxy's own answers: problem details (RFC 9457) in fixed words. Nothing of the request is ever echoed."""

import json
from typing import NamedTuple

from strangler.core.fault import Fault

REASON_PHRASES = {
    400: b"Bad Request",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
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
    """One answer of our own: `fault` is the stable name, `title` the sentence for a person."""

    status: int
    fault: str
    title: str
    retry_after_s: int | None = None
    allow: bytes | None = None


def _malformed(title: str) -> Problem:
    return Problem(400, "malformed", title)


BAD_REQUEST_LINE = _malformed("The request line is malformed.")
BAD_HEADER = _malformed("The header section is malformed.")
BAD_TARGET = _malformed("The request target is not allowed.")
BAD_HOST = _malformed("The Host field is missing, repeated or malformed.")
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
    Fault.RESET: Problem(502, Fault.RESET, "The upstream closed the connection before it answered."),
    Fault.BAD_RESPONSE: Problem(502, Fault.BAD_RESPONSE, "The upstream's answer is not valid HTTP."),
    Fault.TIMEOUT: Problem(504, Fault.TIMEOUT, "The upstream did not answer in time."),
    Fault.OPEN: Problem(503, Fault.OPEN, "The upstream is resting after failures.", retry_after_s=1),
    Fault.FULL: Problem(503, Fault.FULL, "The upstream has too many requests.", retry_after_s=1),
    Fault.TOO_LARGE: BODY_TOO_LARGE,
    Fault.CLIENT_PROTOCOL: BAD_BODY,
    Fault.CLIENT_TIMEOUT: BODY_TIMEOUT,
}


def problem_of(fault: Fault, retry_after_s: float | None = None) -> Problem:
    """The answer for a request that ended in `fault`. KeyError for CLIENT_GONE: there is nobody to answer."""
    problem = _OF_FAULT[fault]
    if retry_after_s is None or problem.status != 503:
        return problem
    return problem._replace(retry_after_s=max(1, -int(-retry_after_s // 1)))


def part_problem(status: int, retry_after_s: float | None = None) -> Problem:
    """The answer for a request of which a required part was answered, but not with what was needed."""
    wait_s = None if retry_after_s is None or status != 503 else max(1, -int(-retry_after_s // 1))
    return Problem(status, Fault.BAD_RESPONSE, "A service that answers in part failed.", wait_s)


def render(problem: Problem, request_id: str, date: bytes, *, close: bool, bodyless: bool) -> bytes:
    """The whole answer, head and body. `bodyless`: it answers a HEAD request."""
    body = json.dumps(
        {
            "type": f"urn:strangler:fault:{problem.fault}",
            "title": problem.title,
            "status": problem.status,
            "fault": problem.fault,
            "request_id": request_id,
        },
        separators=(",", ":"),
    ).encode()
    lines = [
        b"HTTP/1.1 %d %b" % (problem.status, REASON_PHRASES[problem.status]),
        b"Content-Type: application/problem+json",
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
    return b"\r\n".join(lines) + b"\r\n\r\n" + (b"" if bodyless else body)
