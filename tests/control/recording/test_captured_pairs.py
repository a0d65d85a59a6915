"""From a capture to a line of a recording: what is kept of which body, and what is hidden."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from strangler.control.recording import captured_pairs
from strangler.control.recording.captured_pairs import encoded_pairs, pair_of, redactor_of
from strangler.core.compare import Redactor
from strangler.ipc.messages import Captured, CapturedResponse
from strangler.recordings.recorded import RawText, RecordedBody, RecordedPair
from strangler.recordings.redact_in_place import RecordingRedactor

KEY = b"k" * 32
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\nX-A: 1\r\nx-a: 2\r\n\r\n"
LINES = b"Host: shop\r\nX-Forwarded-For: 192.0.2.7\r\nX-Request-Id: 5\r\n"


def capture(body: bytes = b"", response: bytes = b"hello", **changes: Any) -> Captured:
    made = Captured(
        "orders", 12.5, b"POST", b"/orders?a=1", b"shop", LINES, body, True, b"5", b"", "legacy", "legacy", "",
        CapturedResponse(200, HEAD, response, None, 0.01, len(response), False, False), None,
        is_for_shadow=False, recording=7, caller=b"192.0.2.7", body_bytes=len(body), took_s=0.0421,
    )  # fmt: skip
    return replace(made, **changes)


def test_a_pair_is_what_was_sent() -> None:
    pair = pair_of(capture(b"n=1"), 100)
    assert (pair.at, pair.caller, pair.route, pair.arm) == (12.5, "192.0.2.7", "orders", "legacy")
    assert (pair.request.method, pair.request.target, pair.request.body) == ("POST", "/orders?a=1", RecordedBody("n=1"))
    assert pair.request.headers[0] == ("Host", "shop")
    assert pair.response is not None
    assert pair.response.headers == (("Content-Type", "text/plain"), ("X-A", "1"), ("x-a", "2"))
    assert (pair.response.status, pair.response.body, pair.response.ms) == (200, RecordedBody("hello"), 42.1)


@pytest.mark.parametrize(("changes", "request_body", "response_body"), [
    ({}, None, RecordedBody("hello")),
    ({"body": b"x" * 11, "body_bytes": 11}, RecordedBody(omitted=11), RecordedBody("hello")),
    ({"body_bytes": 400, "is_body_complete": False}, RecordedBody(omitted=400), RecordedBody("hello")),
    ({"is_body_complete": False}, RecordedBody(omitted=0), RecordedBody("hello")),
    ({"body": b"\xff", "body_bytes": 1}, RecordedBody(base64=b"\xff"), RecordedBody("hello")),
])  # fmt: skip
def test_a_body_is_kept_whole_or_by_its_length(
    changes: dict[str, Any], request_body: RecordedBody | None, response_body: RecordedBody
) -> None:
    pair = pair_of(capture(**changes), 10)
    assert pair.response is not None
    assert (pair.request.body, pair.response.body) == (request_body, response_body)


@pytest.mark.parametrize(("changes", "body"), [
    ({"body": b"", "size": 900, "is_too_large": True}, RecordedBody(omitted=900)),
    ({"body": b"x" * 11, "size": 11}, RecordedBody(omitted=11)),
    ({"body": b"", "size": 27, "is_streaming": True}, RecordedBody(omitted=27)),
    ({"body": b"", "size": 0, "is_streaming": True}, RecordedBody(omitted=0)),
    ({"body": b"", "size": 0}, None),
])  # fmt: skip
def test_of_long_bodies_and_streams_only_the_length_is_kept(changes: dict[str, Any], body: RecordedBody | None) -> None:
    made = capture()
    pair = pair_of(replace(made, response=replace(made.response, **changes)), 10)
    assert pair.response is not None
    assert pair.response.body == body


def test_without_a_response_there_is_none() -> None:
    made = capture()
    pair = pair_of(replace(made, route="", response=replace(made.response, fault="reset", status=0)), 10)
    assert (pair.response, pair.route) == (None, None)


def test_callers_and_their_addresses_are_hashed_alike() -> None:
    (line,) = encoded_pairs([capture()], redactor_of(KEY, ()), 100).lines
    assert b"192.0.2.7" not in line
    pair = msgspec.json.decode(line, type=RecordedPair)
    mark = Redactor.of(KEY, ()).mark("192.0.2.7")
    assert pair.caller == mark
    assert ("X-Forwarded-For", mark) in pair.request.headers


def test_the_rules_of_routes_count_and_without_redaction_nothing_is_hidden() -> None:
    made = capture(b'{"plan": "gold"}', lines=LINES + b"Content-Type: application/json\r\n")
    assert b"gold" not in encoded_pairs([made], redactor_of(KEY, ["$.plan"]), 100).lines[0]
    assert b"192.0.2.7" in encoded_pairs([made], None, 100).lines[0]


def test_what_cannot_be_cleared_is_counted() -> None:
    class Unable(RecordingRedactor):
        def target(self, target: RawText) -> RawText | None:
            return None if target == "/unclear" else super().target(target)

    redactor = Unable(Redactor.of(KEY, ()))
    found = encoded_pairs([capture(target=b"/unclear"), capture()], redactor, 100)
    assert (len(found.lines), found.dropped) == (1, {"uncleared": 1})


def test_a_line_that_no_reader_takes_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    made = capture(b"x" * 1000)
    (line,) = encoded_pairs([made], None, 1000).lines
    for most, lines in ((len(line) - 1, 1), (len(line) - 2, 0)):
        monkeypatch.setattr(captured_pairs, "MAX_LINE_BYTES", most)
        found = encoded_pairs([made], None, 1000)
        assert (len(found.lines), found.dropped["too_long"]) == (lines, 1 - lines)
