"""From captures to the lines of a recording, for a thread of its own: redaction takes most of the time."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from strangler.comparing.arm_request import lines_of
from strangler.core.compare import Redactor
from strangler.core.http.headers import CLIENT_ADDRESS
from strangler.ipc.messages import Captured, CapturedResponse
from strangler.recordings.recorded import (
    MAX_LINE_BYTES,
    RecordedBody,
    RecordedHeaders,
    RecordedPair,
    RecordedRequest,
    RecordedResponse,
    raw_text,
    recorded_headers,
)
from strangler.recordings.redact_in_place import RecordingRedactor

_FRAMING: Final = frozenset({b"transfer-encoding"})

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class EncodedPairs:
    """The lines of some captures, each with its line break, and how many gave none, by reason."""

    lines: list[bytes]
    dropped: Counter[str]


def redactor_of(key: bytes, rules: Iterable[str]) -> RecordingRedactor:
    """Return the redactor of a recording. `rules`: the `redact` rules of all routes.

    The client's address stands for the caller: it is hashed as the caller is.
    """
    return RecordingRedactor(Redactor.of(key, sorted({*rules, *(f"header:{name}" for name in CLIENT_ADDRESS)})))


def encoded_pairs(captures: Iterable[Captured], redactor: RecordingRedactor | None, max_body: int) -> EncodedPairs:
    """Return the lines of captures. `redactor` None keeps secrets."""
    lines: list[bytes] = []
    dropped: Counter[str] = Counter()
    for captured in captures:
        pair: RecordedPair | None = pair_of(captured, max_body)
        if pair is not None and redactor is not None:
            pair = redactor.pair(pair, hides_caller=True)
        if pair is None:
            dropped["uncleared"] += 1
            continue
        line = _encode(pair)
        if len(line) > MAX_LINE_BYTES:
            dropped["too_long"] += 1
        else:
            lines.append(line + b"\n")
    return EncodedPairs(lines, dropped)


def pair_of(captured: Captured, max_body: int) -> RecordedPair:
    """Return the pair of a capture, as it was sent. Of bodies beyond `max_body` bytes only the length is kept."""
    is_kept = captured.is_body_complete
    request = RecordedRequest(
        method=captured.method.decode("latin-1"),
        target=raw_text(captured.target),
        headers=recorded_headers(lines_of(captured.lines)),
        body=_body(captured.body, captured.body_bytes, max_body, is_kept=is_kept, is_there=not is_kept),
    )
    return RecordedPair(
        at=captured.at,
        caller=captured.caller.decode("utf-8", "backslashreplace"),
        route=captured.route or None,
        arm="candidate" if captured.arm == "candidate" else "legacy",
        request=request,
        response=_response(captured.response, max_body, captured.took_s),
    )


def _response(response: CapturedResponse, max_body: int, took_s: float) -> RecordedResponse | None:
    """Return the response; None if there was none of an upstream."""
    if response.fault is not None or response.status < 100:
        return None
    is_kept = not response.is_too_large and not response.is_streaming
    return RecordedResponse(
        status=response.status,
        headers=_fields(response.head),
        body=_body(response.body, response.size, max_body, is_kept=is_kept, is_there=response.is_streaming),
        ms=round(1000 * took_s, 3) if math.isfinite(took_s) and took_s >= 0 else None,
    )


def _body(data: bytes, size: int, max_body: int, *, is_kept: bool, is_there: bool) -> RecordedBody | None:
    """Return a body; None if there was none. `is_there`: it may have no byte and is one all the same."""
    if not size and not is_there:
        return None
    return RecordedBody.of(data) if is_kept and size <= max_body else RecordedBody(omitted=size)


def _fields(head: bytes) -> RecordedHeaders:
    """Return the fields of a response but for those of its chunks, which are joined."""
    lines = head.partition(b"\r\n")[2]
    return recorded_headers(field for field in lines_of(lines) if field[0].lower() not in _FRAMING)
