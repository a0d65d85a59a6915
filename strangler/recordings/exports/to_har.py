"""HAR 1.2 (http://www.softwareishard.com/blog/har-12-spec/), with every field that it requires."""

import base64
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import msgspec

from strangler import __version__
from strangler.core.http.head import RawHeaders
from strangler.recordings.exports.destination import Destination
from strangler.recordings.exports.sendable import Sendable, Unsendable
from strangler.recordings.recorded import RecordedResponse, raw_headers

_NO_RESPONSE: Final = RecordedResponse(status=100)
_encode: Final = msgspec.json.Encoder().encode


class HarFormat:
    """An entry of `log.entries` a pair."""

    def __init__(self, to: Destination) -> None:
        self._to = to
        self._is_first = True

    def start(self) -> bytes:
        creator = {"name": "strangler", "version": __version__}
        return b'{"log":{"version":"1.2","creator":%b,"entries":[\n' % _encode(creator)

    def entry(self, request: Sendable) -> bytes | Unsendable:
        if request.target == b"*" or request.method == b"CONNECT" or b"#" in request.target:
            return Unsendable.NO_WAY
        separator = b"" if self._is_first else b",\n"
        self._is_first = False
        return separator + _encode(self._entry(request))

    def end(self) -> bytes:
        return b"\n]}}\n"

    def _entry(self, request: Sendable) -> dict[str, Any]:
        response = request.response
        ms = 0.0 if response is None or response.ms is None else response.ms
        return {
            "startedDateTime": _iso(request.at),
            "time": ms,
            "request": self._request(request),
            "response": _response(response),
            "cache": {},
            "timings": {"send": 0, "wait": ms, "receive": 0},
        }

    def _request(self, request: Sendable) -> dict[str, Any]:
        body = request.body
        found: dict[str, Any] = {
            "method": request.method.decode(),
            "url": self._to.base + _url_text(request.target),
            "httpVersion": "HTTP/1.1",
            "cookies": _cookies(request),
            "headers": _fields(request.headers),
            "queryString": _query(request.target),
            "headersSize": -1,
            "bodySize": 0 if body is None else len(body),
        }
        if body is not None:
            types = request.values(b"content-type")
            found["postData"] = {"mimeType": _text(types[0]) if types else "", **_body(body, "_encoding")}
        if request.left_out:
            names = ", ".join(f"{item.place} {item.name}" for item in request.left_out)
            found["comment"] = f"left out, since the values are redacted: {names}"
        return found


def _response(response: RecordedResponse | None) -> dict[str, Any]:
    """Return a response; its status is 0 if there was none, as browsers write it."""
    found = response or _NO_RESPONSE
    headers = raw_headers(found.headers)
    types = [value for name, value in headers if name.lower() == b"content-type"]
    locations = [value for name, value in headers if name.lower() == b"location"]
    body = found.body
    data = b"" if body is None or body.data is None else body.data
    size = len(data) if body is None else body.omitted or body.cut_from or len(data)
    content: dict[str, Any] = {"size": size, "mimeType": _text(types[0]) if types else ""}
    if body is not None and body.data is not None:
        content |= _body(data, "encoding")
    if body is not None and not body.is_whole:
        content["comment"] = f"{len(data)} of {size} bytes were kept"
    return {
        "status": 0 if response is None else found.status,
        "statusText": "",
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _fields(headers),
        "content": content,
        "redirectURL": _text(locations[0]) if locations else "",
        "headersSize": -1,
        "bodySize": size,
    }


def _body(data: bytes, encoding: str) -> dict[str, str]:
    """Return a body as text; as Base64 if it is no UTF-8, which requests name by a field of ours (`_encoding`)."""
    try:
        return {"text": data.decode()}
    except UnicodeDecodeError:
        return {"text": base64.b64encode(data).decode(), encoding: "base64"}


def _text(data: bytes) -> str:
    """Return bytes of a head as text: UTF-8, else Latin-1, as browsers read it."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _url_text(target: bytes) -> str:
    """Return a target as it can stand in a URL: bytes beyond ASCII are percent-encoded (RFC 3986, section 2.1)."""
    return "".join(chr(byte) if byte < 0x80 else f"%{byte:02X}" for byte in target)


def _fields(headers: RawHeaders) -> list[dict[str, str]]:
    return [{"name": _text(name), "value": _text(value)} for name, value in headers]


def _cookies(request: Sendable) -> list[dict[str, str]]:
    pairs = [pair.strip().partition(b"=") for value in request.values(b"cookie") for pair in value.split(b";")]
    return [{"name": _text(name), "value": _text(value)} for name, _, value in pairs if name]


def _query(target: bytes) -> list[dict[str, str]]:
    pairs = [pair.partition(b"=") for pair in target.partition(b"?")[2].split(b"&") if pair]
    return [{"name": _unquoted(name), "value": _unquoted(value)} for name, _, value in pairs]


def _unquoted(text: bytes) -> str:
    return _text(unquote_to_bytes(text.replace(b"+", b" ")))


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
