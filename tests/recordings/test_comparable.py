"""A replayed response compares with a redacted recorded one as both would without redaction."""

import base64
import gzip
import json
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from urllib.parse import quote, quote_plus

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.core.compare import CompareRules, Comparison, Outcome, Redactor, Response, compare
from strangler.core.fault import Fault
from strangler.recordings.comparable import Comparable
from strangler.recordings.in_place.mark_places import EQUAL_MARK, holds_mark, with_equal_marks
from strangler.recordings.recorded import (
    RecordedBody,
    RecordedPair,
    RecordedRequest,
    RecordedResponse,
    raw_headers,
    recorded_headers,
)
from strangler.recordings.redact_in_place import RecordingRedactor
from tests.recordings.test_redact_in_place import documents

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PATTERNS = ["$..email", "header:X-Tenant"]
RECORDING = RecordingRedactor(Redactor.of(b"key", PATTERNS))
SAME_KEY = Comparable(RECORDING, is_same_key=True)
OTHER_KEY = Comparable(RecordingRedactor(Redactor.of(b"another", PATTERNS)), is_same_key=False)
BOTH = pytest.mark.parametrize("comparable", [SAME_KEY, OTHER_KEY], ids=["same key", "other key"])
FIELDS = (
    "authorization",
    "content-encoding",
    "content-length",
    "content-type",
    "link",
    "location",
    "set-cookie",
    "transfer-encoding",
    "vary",
    "x-tenant",
)
RULES = CompareRules(FIELDS, (), ())
DAY = date(2027, 1, 1)
JSON = b"application/json"


def response(body: bytes = b"", kind: bytes | None = JSON, *fields: tuple[bytes, bytes]) -> Response:
    return Response(200, [*([(b"Content-Type", kind)] if kind else []), *fields], body)


def recorded(received: Response) -> Response:
    """Return a response as its recording has it, redacted."""
    body = None if received.body == b"" else RecordedBody.of(received.body)
    kept = RecordedResponse(received.status, recorded_headers(received.headers), body)
    pair = RECORDING.pair(
        RecordedPair(at=0, caller="", request=RecordedRequest("GET", "/"), response=kept), hides_caller=True
    )
    assert pair is not None
    assert pair.response is not None
    found = pair.response
    is_whole = found.body is None or found.body.is_whole
    data = b"" if found.body is None else found.body.data or b""
    return Response(found.status, raw_headers(found.headers), data, is_too_large=not is_whole)


def replayed(comparable: Comparable, legacy: Response, candidate: Response) -> Comparison:
    return compare(*comparable.responses(recorded(legacy), candidate), RULES, DAY)


def places(comparison: Comparison) -> list[tuple[object, ...]]:
    return [difference.key for difference in comparison.differences]


MULTIPART = (
    '--b1\r\nContent-Disposition: form-data; name="password"\r\n\r\nSECRET\r\n'
    '--b1\r\nContent-Disposition: form-data; name="n"\r\n\r\nPLAIN\r\n--b1--\r\n'
)
BODIES = {
    "json": (JSON, '{"token": "SECRET", "n": "PLAIN"}'),
    "json with escapes": (JSON, '{ "a": "x \\u00e4 token=SECRET", "n": "PLAIN" }'),
    "key": (JSON, '{"SECRET@example.com": 1, "n": "PLAIN"}'),
    "typed": (JSON, '{"email": "SECRET", "n": "PLAIN"}'),
    "ndjson": (b"application/x-ndjson", '{"n": 1}\n{"token": "SECRET", "n": "PLAIN"}\n'),
    "form": (b"application/x-www-form-urlencoded", "a=%41&password=SECRET&n=PLAIN"),
    "html": (b"text/html", "<P><input NAME=password value=SECRET><br/>&nbsp;<b>PLAIN</b>"),
    "xml": (b"application/xml", "<a  b='1'><token>SECRET</token><n>PLAIN</n></a>"),
    "multipart": (b"multipart/form-data; boundary=b1", MULTIPART),
    "text": (b"text/plain", "PLAIN\r\npassword=SECRET\r\nn"),
    "no type": (None, "PLAIN\npassword=SECRET\nn"),
}


def body(name: str, secret: str = "s1", plain: str = "p1") -> Response:
    kind, text = BODIES[name]
    return response(text.replace("SECRET", secret).replace("PLAIN", plain).encode(), kind)


@BOTH
@pytest.mark.parametrize("name", BODIES)
def test_equal_bodies_match(comparable: Comparable, name: str) -> None:
    legacy = body(name)
    assert holds_mark(recorded(legacy).body)
    assert replayed(comparable, legacy, legacy).outcome is Outcome.MATCH


@BOTH
@pytest.mark.parametrize("name", BODIES)
def test_a_difference_is_where_it_is_without_redaction(comparable: Comparable, name: str) -> None:
    legacy, candidate = body(name), body(name, plain="q2")
    assert places(replayed(comparable, legacy, candidate)) == places(compare(legacy, candidate, RULES, DAY)) != []


@pytest.mark.parametrize("name", [name for name in BODIES if name != "key"])
def test_a_secret_differs_by_the_key_of_the_recording_alone(name: str) -> None:
    legacy, candidate = body(name), body(name, secret="s2")
    assert places(replayed(SAME_KEY, legacy, candidate)) == places(compare(legacy, candidate, RULES, DAY)) != []
    assert replayed(OTHER_KEY, legacy, candidate).outcome is Outcome.MATCH


CODED: dict[bytes, Callable[[bytes], bytes]] = {
    b"gzip": gzip.compress,
    b"deflate": zlib.compress,
    b"br": brotli.compress,
    b"zstd": zstd.compress,
}


def coded(coding: bytes, text: bytes, kind: bytes = JSON) -> Response:
    data = CODED[coding](text)
    fields = [(b"Content-Encoding", coding), (b"Vary", b"Accept-Encoding"), (b"Content-Length", b"%d" % len(data))]
    return response(data, kind, *fields)


@BOTH
@pytest.mark.parametrize("text", [b'{"token": "t", "n": 1}', b'{"n": 1}'], ids=["secret", "none"])
@pytest.mark.parametrize("coding", CODED)
def test_a_coding_that_recording_took_off_is_no_difference(comparable: Comparable, coding: bytes, text: bytes) -> None:
    legacy = coded(coding, text)
    assert recorded(legacy).field_values(b"content-encoding") == []
    assert replayed(comparable, legacy, legacy).outcome is Outcome.MATCH
    found = places(replayed(comparable, legacy, coded(coding, text.replace(b"1", b"2"))))
    assert ("body", "$.n", "value") in found


def test_a_transfer_coding_that_recording_took_off_is_no_difference() -> None:
    legacy = response(b'{"n": 1}')
    chunked = replace(legacy, headers=[*legacy.headers, (b"Transfer-Encoding", b"chunked")])
    assert replayed(SAME_KEY, legacy, chunked).outcome is Outcome.MATCH
    assert places(replayed(SAME_KEY, chunked, legacy)) == [("header", "transfer-encoding", "missing")]


@pytest.mark.parametrize(
    ("legacy", "candidate", "expected"),
    [
        ([(b"Vary", b"Accept")], [(b"Vary", b"Cookie")], "vary"),
        ([(b"Content-Length", b"8")], [(b"Content-Length", b"9")], "content-length"),
        ([(b"Content-Encoding", b"identity")], [], "content-encoding"),
    ],
)
def test_a_real_difference_of_a_framing_field_stays(
    legacy: list[tuple[bytes, bytes]], candidate: list[tuple[bytes, bytes]], expected: str
) -> None:
    for text in (b'{"n": 1}', b'{"token": 1}'):
        found = replayed(SAME_KEY, response(text, JSON, *legacy), response(text, JSON, *candidate))
        assert [path for _, path, _ in places(found)] == [expected]


def test_a_body_that_was_sent_as_it_is_differs_from_a_coded_one() -> None:
    legacy = response(b'{"n": 1}', JSON, (b"Content-Length", b"8"), (b"Vary", b"Accept-Encoding"))
    candidate = coded(b"gzip", b'{"n": 1}')
    assert places(replayed(SAME_KEY, legacy, candidate)) == places(compare(legacy, candidate, RULES, DAY))


HEADERS = [
    (b"Set-Cookie", b"sid=SECRET; Path=/PLAIN; HttpOnly"),
    (b"Location", b"/a?token=SECRET&b=PLAIN"),
    (b"Location", b"https://ana:SECRET@shop.example/PLAIN"),
    (b"Authorization", b"PLAIN SECRET"),
    (b"Link", b'</x?api_key=SECRET>; rel="PLAIN"'),
]


@BOTH
@pytest.mark.parametrize(("name", "value"), HEADERS)
def test_fields_compare_as_without_redaction(comparable: Comparable, name: bytes, value: bytes) -> None:
    def having(secret: bytes, plain: bytes = b"Bearer") -> Response:
        return response(b"{}", JSON, (name, value.replace(b"SECRET", secret).replace(b"PLAIN", plain)))

    assert recorded(having(b"s1")) != having(b"s1")
    assert replayed(comparable, having(b"s1"), having(b"s1")).outcome is Outcome.MATCH
    if comparable is OTHER_KEY:
        assert replayed(comparable, having(b"s1"), having(b"s2")).outcome is Outcome.MATCH
    for other in (having(b"s1", b"Basic"), *([having(b"s2")] if comparable is SAME_KEY else [])):
        expected = places(compare(having(b"s1"), other, RULES, DAY))
        assert places(replayed(comparable, having(b"s1"), other)) == expected


@BOTH
def test_a_number_that_became_a_string_compares_as_a_number(comparable: Comparable) -> None:
    legacy = response(b'{"card": 4111111111111111, "secret": 7, "n": 1}')
    spelt = response(b'{"card": 4111111111111111, "secret": 7.0, "n": 1.0}')
    assert b"4111" not in recorded(legacy).body
    assert replayed(comparable, legacy, spelt).outcome is Outcome.MATCH


@BOTH
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("lead", ["", "x", "xy"])
@pytest.mark.parametrize("wrap", ["{}", " {} ", "\n{}", "é{}=", "/?q={}"])
def test_a_mark_within_base64_compares(comparable: Comparable, layers: int, lead: str, wrap: str) -> None:
    text = f"{lead} mail ana@example.com > to??"
    for _ in range(layers):
        text = base64.b64encode(text.encode()).decode()
    for kind, data in (
        (JSON, json.dumps({"a": wrap.format(text), "n": 1})),
        (b"application/x-www-form-urlencoded", f"n=1&a={quote_plus(wrap.format(text))}"),
        (b"text/plain", quote(wrap.format(text), safe="")),
        (b"text/plain; charset=utf-16-le", wrap.format(text)),
    ):
        legacy = response(data.encode("utf-16-le" if b"utf-16" in kind else "utf-8"), kind)
        assert recorded(legacy).body != legacy.body
        assert replayed(comparable, legacy, legacy).outcome is Outcome.MATCH


@pytest.mark.parametrize("following", ["", ".", "x", "_", "9"])
def test_marks_are_made_equal_whatever_follows(following: str) -> None:
    text = f"a redacted:12ab34cd{following} b"
    expected = f"a {EQUAL_MARK}{following} b"
    assert with_equal_marks(text) == expected
    for skipped in range(3):
        written = base64.b64encode(b"-" * skipped + text.encode()).decode().rstrip("=")
        assert with_equal_marks(written) == base64.b64encode(b"-" * skipped + expected.encode()).decode().rstrip("=")
        assert with_equal_marks(f"%2Fn{written}%3D") == f"%2Fn{with_equal_marks(written)}%3D"


@given(st.text() | st.binary().map(lambda data: base64.b64encode(data).decode()))
def test_a_text_without_a_mark_stays(text: str) -> None:
    assert with_equal_marks(text) == text
    assert not holds_mark(text.encode("utf-8", "surrogatepass"))


class Searches(Exception):
    """Something was searched for secrets."""


class Unsearched(Redactor):
    """A redactor that must not be used."""

    def mark(self, secret: str | bytes) -> str:
        raise Searches


@pytest.mark.parametrize("data", [b'{"n": 1}', b"", b"\x89PNG" * 1000])
def test_without_a_mark_nothing_is_searched(data: bytes) -> None:
    comparable = Comparable(RecordingRedactor(Unsearched(b"key")), is_same_key=True)
    legacy = response(data, JSON, (b"Server", b"a"))
    candidate = response(b'{"token": "t"}', JSON, (b"Cookie", b"a=b"))
    found = comparable.responses(legacy, candidate)
    assert found[0] is legacy
    assert found[1] is candidate


def test_marked_fields_leave_a_body_without_marks_unsearched() -> None:
    legacy = response(b'{"n": 1}', JSON, (b"Set-Cookie", b"a=1"))
    candidate = response(b'{"token": "t"}', JSON, (b"Set-Cookie", b"a=2"))
    _, found = SAME_KEY.responses(recorded(legacy), candidate)
    assert found.body == candidate.body
    assert found.headers != candidate.headers


@BOTH
def test_a_body_that_was_not_kept_is_not_compared(comparable: Comparable) -> None:
    legacy = response(b"\x89PNG", b"image/png", (b"Set-Cookie", b"a=1"))
    cut = replace(response(b'{"token": "t'), is_too_large=True)
    assert replayed(comparable, legacy, legacy).outcome is Outcome.NOT_COMPARABLE
    assert (
        compare(*comparable.responses(cut, response(b'{"token": "t"}')), RULES, DAY).outcome is Outcome.NOT_COMPARABLE
    )


@BOTH
@pytest.mark.parametrize(
    "candidate",
    [
        response(b"\x89PNG\xff", b"image/png"),
        response(b"{broken"),
        response(b"broken", JSON, (b"Content-Encoding", b"gzip")),
        response(b""),
    ],
)
def test_a_replayed_body_that_cannot_be_searched_differs(comparable: Comparable, candidate: Response) -> None:
    legacy = response(b'{"token": "t", "n": 1}')
    expected = compare(legacy, candidate, RULES, DAY)
    found = replayed(comparable, legacy, candidate)
    assert (found.outcome, found.reason, places(found)) == (expected.outcome, expected.reason, places(expected))


def test_a_replay_without_a_response_keeps_its_fault() -> None:
    found = replayed(SAME_KEY, body("json"), Response(0, fault=Fault.TIMEOUT))
    assert found == compare(body("json"), Response(0, fault=Fault.TIMEOUT), RULES, DAY)


@BOTH
@given(documents())
def test_any_response_matches_its_recording(comparable: Comparable, document: tuple[bytes, str, str]) -> None:
    kind, text, _ = document
    legacy = response(text.encode(), kind, (b"Location", quote(text).encode()), (b"Set-Cookie", b"a=b"))
    if not recorded(legacy).is_too_large:
        assert replayed(comparable, legacy, legacy).outcome is Outcome.MATCH
