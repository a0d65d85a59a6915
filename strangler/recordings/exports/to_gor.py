"""GoReplay's files (https://github.com/buger/goreplay): payloads of requests (1) and responses (2), as on the wire."""

from hashlib import blake2b
from http import HTTPStatus
from typing import Final

from strangler.core.http.head import RawHeaders
from strangler.recordings.exports.sendable import Sendable, Unsendable
from strangler.recordings.recorded import RecordedResponse, raw_headers

SEPARATOR: Final = "\n🐵🙈🙉\n".encode()
_REQUEST, _RESPONSE = b"1", b"2"
_NANOSECONDS: Final = 1_000_000_000


class GorFormat:
    """A request and its response share an id, which is made as GoReplay makes it.

    Its first 16 hex digits name the connection, here the caller, the last 8 the request on it.
    """

    def start(self) -> bytes:
        return b""

    def entry(self, request: Sendable) -> bytes | Unsendable:
        caller = blake2b(request.caller.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
        name = b"%b%08x" % (caller.encode(), request.number & 0xFFFFFFFF)
        begun = round(request.at * _NANOSECONDS)
        line = b"%b %b HTTP/1.1\r\n" % (request.method, request.target)
        payloads = [b"%b %b %d 0\n%b" % (_REQUEST, name, begun, line + _message(_framed(request), request.body))]
        response = request.response
        if response is not None:
            latency = round((response.ms or 0) * 1_000_000)
            head = b"%b %b %d 0\n" % (_RESPONSE, name, begun + latency)  # its start, and how long it came
            payloads.append(head + _response(response))
        if any(SEPARATOR in payload for payload in payloads):
            return Unsendable.NO_WAY
        return b"".join(payload + SEPARATOR for payload in payloads)

    def end(self) -> bytes:
        return b""


def _framed(request: Sendable) -> RawHeaders:
    """Return the fields with the body's length if none of them says where it ends (RFC 9112, section 6.3)."""
    is_framed = request.values(b"content-length") or request.values(b"transfer-encoding")
    length = [] if is_framed or not request.body else [(b"Content-Length", b"%d" % len(request.body))]
    return request.headers + length


def _response(response: RecordedResponse) -> bytes:
    reason = HTTPStatus(response.status).phrase if response.status in set(HTTPStatus) else ""
    line = b"HTTP/1.1 %d %b\r\n" % (response.status, reason.encode())
    data = None if response.body is None else response.body.data
    return line + _message(raw_headers(response.headers), data)


def _message(headers: RawHeaders, body: bytes | None) -> bytes:
    """Return fields and body; a body is one chunk if the fields say that it is chunked (RFC 9112, section 7.1)."""
    data = body or b""
    codings = [value.lower() for name, value in headers if name.lower() == b"transfer-encoding"]
    if any(b"chunked" in coding for coding in codings):
        data = (b"%x\r\n%b\r\n" % (len(data), data) if data else b"") + b"0\r\n\r\n"
    return b"".join(b"%b: %b\r\n" % field for field in headers) + b"\r\n" + data
