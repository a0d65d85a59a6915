"""Recorded pairs for tests of exports, and the raw requests that a server received."""

from strangler.recordings.exports.destination import Destination, destination
from strangler.recordings.exports.export import Exported, Format, export
from strangler.recordings.recorded import (
    RecordedBody,
    RecordedPair,
    RecordedRequest,
    RecordedResponse,
    raw_text,
    recorded_headers,
)

AT = 1764500000.123456
TO = destination("http://127.0.0.1:8080")
Fields = tuple[tuple[bytes, bytes], ...]


def recorded(
    target: bytes = b"/",
    *fields: tuple[bytes, bytes],
    method: str = "GET",
    body: bytes | None = None,
    response: RecordedResponse | None = None,
    caller: str = "ann",
) -> RecordedPair:
    """Return a pair whose request went to the host `prod.example`."""
    return RecordedPair(
        at=AT,
        caller=caller,
        request=RecordedRequest(
            method,
            raw_text(target),
            recorded_headers([(b"Host", b"prod.example"), *fields]),
            None if body is None else RecordedBody.of(body),
        ),
        response=response or responded(b"ok"),
    )


def responded(body: bytes | None, *fields: tuple[bytes, bytes], status: int = 200) -> RecordedResponse:
    return RecordedResponse(status, recorded_headers(fields), None if body is None else RecordedBody.of(body), 12.5)


def exported(form: Format, *pairs: RecordedPair, to: Destination = TO) -> tuple[bytes, Exported]:
    """Return what an export writes, and its counts. The first pair is line 2 of the recording."""
    written: list[bytes] = []
    counts = export(enumerate(pairs, 2), form, to, written.append)
    return b"".join(written), counts


def split_request(raw: bytes) -> tuple[bytes, list[tuple[bytes, bytes]], bytes]:
    """Return the request line, the fields as they were sent, and the body of a raw request."""
    head, _, body = raw.partition(b"\r\n\r\n")
    line, *lines = head.split(b"\r\n")
    return line, [(name, value.removeprefix(b" ")) for name, _, value in (item.partition(b":") for item in lines)], body
