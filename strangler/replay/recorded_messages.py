"""The messages of a recording as values: a request that can be sent again, and a response to compare with.

A recording is foreign input, and so is a value that was learned from a response: a request is read as a worker reads
one of a client, and is not sent if a worker would refuse it.
"""

import re
from typing import Final

from msgspec.structs import replace

from strangler.core.compare import Response
from strangler.core.http.head import RawHeaders
from strangler.core.http.headers import HOP_BY_HOP, ForwardedFields, named_by_connection
from strangler.core.http.problem import Problem
from strangler.core.http.trust import TrustedProxies
from strangler.core.replaying.edits import with_numbers
from strangler.core.replaying.request_message import RequestMessage
from strangler.http1.request import Request, parse_request
from strangler.recordings.recorded import RecordedRequest, RecordedResponse, raw_bytes, raw_headers, raw_text

_NAMES: Final = re.compile(rb"(?:[!#$%&'*+\-.^_`|~0-9a-z]+\n)*")
"""Lower-case names of fields, with a line break behind each."""
_LENGTH: Final = b"content-length"
_DROPPED: Final = HOP_BY_HOP | {b"traceparent", b"tracestate", b"expect", b"x-strangler-shadow", b"trailer"}
_FORWARDED: Final = frozenset({b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"forwarded"})
_CLIENT: Final = ForwardedFields("127.0.0.1", b"http", TrustedProxies(()))

NO_BODY: Final = "its body was not recorded"
AN_UPGRADE: Final = "an upgrade"


def request_message(recorded: RecordedRequest) -> RequestMessage | str:
    """Return a request without the fields of its connection, of its framing and of its trace; or why it is not sent."""
    body = recorded.body
    if body is not None and not body.is_whole:
        return NO_BODY
    headers = raw_headers(recorded.headers)
    fields = {name.lower(): value for name, value in headers}
    if b"upgrade" in fields:
        return AN_UPGRADE
    dropped = _DROPPED | named_by_connection(fields) if b"connection" in fields else _DROPPED
    if not dropped.isdisjoint(fields):
        headers = [pair for pair in headers if pair[0].lower() not in dropped]
    data = b"" if body is None else body.data or b""
    if _LENGTH in fields:
        headers = _with_length(headers, len(data))
    return RequestMessage(recorded.method.encode(), raw_bytes(recorded.target), headers, data)


def unsent_message(recorded: RecordedRequest) -> RequestMessage | str:
    """Return a request that is not sent, to be named: without its body, with a number for each secret of its target."""
    target = with_numbers(raw_bytes(recorded.target).decode("latin-1")).encode("latin-1")
    return request_message(replace(recorded, target=raw_text(target), body=None))


def _with_length(headers: RawHeaders, length: int) -> RawHeaders:
    """Return the fields with the length of the body that was kept, if they have any: what follows adds it otherwise."""
    at = next((at for at, (name, _) in enumerate(headers) if name.lower() == _LENGTH), None)
    if at is None:
        return headers
    others = [pair for pair in headers[at + 1 :] if pair[0].lower() != _LENGTH]
    return [*headers[:at], (headers[at][0], b"%d" % length), *others]


def read_as_client(message: RequestMessage) -> Request | str:
    """Return the head of a request as a worker reads it; or why it is not sent, since a worker would refuse it."""
    names = [name.lower() for name, _ in message.headers]
    lines = b"".join([b"%b: %b\r\n" % pair for pair in message.headers])
    version = b"HTTP/1.1" if b"host" in names else b"HTTP/1.0"
    raw = b"%b %b %b\r\n%b\r\n" % (message.method, message.target, version, lines)
    own = len(names) + 2  # the line breaks that were just written
    is_unbroken = raw.count(b"\n") == raw.count(b"\r") == own and b"\0" not in raw
    if not is_unbroken or not _NAMES.fullmatch(b"\n".join([*names, b""])):
        return "a line break, or a name that is none, in its head"
    head = parse_request(raw, _CLIENT, Request)
    if isinstance(head, Problem):
        return f"a head that a worker refuses: {head.title.rstrip('.')}"
    return head


def forwarded_lines(head: Request) -> bytes:
    """Return the header section for any upstream: with what a worker adds, unless the recording was made behind one."""
    lines = head.request_headers.lines(frozenset())
    if not _FORWARDED.isdisjoint(head.fields):
        return lines
    lines += _CLIENT.lines(head.fields, head.host_value)
    return lines if b"via" in head.fields else lines + b"Via: 1.1 strangler\r\n"


def client_lines(message: RequestMessage) -> bytes:
    """Return the header section as the proxy's client sent it: without what a worker adds."""
    return b"".join(
        b"%b: %b\r\n" % (name, value)
        for name, value in message.headers
        if name.lower() not in _FORWARDED and not (name.lower() == b"via" and value.endswith(b" strangler"))
    )


def recorded_response(recorded: RecordedResponse | None) -> Response:
    """Return a response to compare with; without its body, or at all, as far as it was recorded."""
    if recorded is None:
        return Response(0, is_unrecorded=True)
    body = recorded.body
    is_whole = body is None or body.is_whole
    return Response(
        recorded.status,
        raw_headers(recorded.headers),
        body.data or b"" if body is not None and is_whole else b"",
        duration_s=None if recorded.ms is None else recorded.ms / 1000,
        is_unrecorded=not is_whole,
    )
