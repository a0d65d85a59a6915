"""Requests as they can be sent again: to the named host, and without redacted values."""

import base64

import pytest

from strangler.recordings.exports.destination import PLACEHOLDER, DestinationError, destination
from strangler.recordings.exports.redacted_values import LeftOut, Place, is_redacted
from strangler.recordings.exports.sendable import Sendable, Unsendable, sendable
from strangler.recordings.recorded import RecordedBody, RecordedPair, RecordedRequest
from tests.recordings.exports.pairs import AT, TO, recorded

MARK = b"redacted:0123abcd"
FORM = (b"Content-Type", b"application/x-www-form-urlencoded; charset=utf-8")
JSON = (b"Content-Type", b"application/vnd.api+json")


def made(pair: RecordedPair) -> Sendable:
    found = sendable(2, pair, TO)
    assert isinstance(found, Sendable)
    return found


@pytest.mark.parametrize(
    ("recorded_target", "target"),
    [
        (b"/a", b"/a"),
        (b"http://prod.example/a?x", b"/a?x"),
        (b"HTTPS://user:pass@prod.example:8443", b"/"),
        (b"http://prod.example?x", b"/?x"),
        (b"*", b"*"),
        (b"//prod.example/a", b"//prod.example/a"),
    ],
)
def test_no_host_of_the_recording_is_in_the_target(recorded_target: bytes, target: bytes) -> None:
    found = made(recorded(recorded_target, (b"HOST", b"other.example")))
    assert (found.target, found.values(b"host")) == (target, [b"127.0.0.1:8080"])


@pytest.mark.parametrize("target", [b"prod.example:443", b"/a b", b"/a\r\nX: 1", b"ftp://x/"])
def test_a_target_that_cannot_be_sent(target: bytes) -> None:
    assert sendable(2, recorded(target), TO) is Unsendable.BAD_TARGET


def test_the_host_stands_where_it_stood_and_is_added_where_there_was_none() -> None:
    pair = recorded(b"/", (b"A", b"1"))
    assert made(pair).headers == [(b"Host", b"127.0.0.1:8080"), (b"A", b"1")]
    request = RecordedRequest("GET", "/", (("A", "1"), (":authority", "prod.example")))
    assert made(RecordedPair(at=AT, caller="", request=request)).headers == [(b"Host", b"127.0.0.1:8080"), (b"A", b"1")]


def test_fields_that_no_request_can_have_are_left_out_and_counted() -> None:
    bad = ((b"X-A", b"a\r\nX-Evil: 1"), (b"X B", b"1"), (b"@x", b"1"), (b"", b"1"), (b"X-C", b"\0"))
    found = made(recorded(b"/", *bad, (b"X-D", b"1")))
    assert (found.headers[1:], found.unwritable) == ([(b"X-D", b"1")], 5)


@pytest.mark.parametrize("method", ["", "GE T", "GET\r\nX", "ü"])
def test_a_method_that_is_no_token(method: str) -> None:
    assert sendable(2, recorded(method=method), TO) is Unsendable.BAD_METHOD


@pytest.mark.parametrize("body", [RecordedBody(omitted=5), RecordedBody(text="ab", cut_from=5)])
def test_a_body_that_was_not_kept_whole(body: RecordedBody) -> None:
    pair = RecordedPair(at=AT, caller="", request=RecordedRequest("POST", "/", (), body))
    assert sendable(2, pair, TO) is Unsendable.BODY_NOT_KEPT


@pytest.mark.parametrize(
    ("pair", "place", "name"),
    [
        (recorded(b"/", (b"Authorization", b"Bearer " + MARK)), "header", "Authorization"),
        (recorded(b"/", (b"Authorization", b"Basic " + base64.b64encode(b"ann:" + MARK))), "header", "Authorization"),
        (recorded(b"/", (b"Referer", b"http://x/?t=redacted%3A0123abcd")), "header", "Referer"),
        (recorded(b"/", (b"Cookie", b"a=1; s=" + MARK)), "cookie", "s"),
        (recorded(b"/?a=1&t=" + MARK), "query", "t"),
        (recorded(b"/?a=1&t=3b52-" + MARK + b"a6652d9"), "query", "t"),
        (recorded(b"/", FORM, method="POST", body=b"a=1&p=redacted%3A0123abcd"), "form", "p"),
        (recorded(b"/", JSON, method="POST", body=b'{"a": 1, "p": "' + MARK + b'"}'), "json", "p"),
        (recorded(b"/", method="POST", body=b'{"a": {"p": "Bearer ' + MARK + b'"}}'), "json", "p"),
    ],
    ids=["header", "Base64", "URL", "cookie", "query", "within a word", "form", "JSON", "JSON within"],
)
def test_a_redacted_field_is_left_out(pair: RecordedPair, place: Place, name: str) -> None:
    found = made(pair)
    assert found.left_out == (LeftOut(place, name),)
    assert not any(map(is_redacted, (found.target, found.body or b"", *(value for _, value in found.headers))))


@pytest.mark.parametrize("offset", range(3))
def test_a_mark_within_base64_is_found(offset: int) -> None:
    assert is_redacted(base64.b64encode(b"x" * offset + MARK + b"y"))
    assert is_redacted(base64.urlsafe_b64encode(b"\xff" * offset + MARK))
    assert not is_redacted(base64.b64encode(b"x" * offset + b"redacted"))


@pytest.mark.parametrize("text", [b"redacted:", b"redacted:0123abc", b"Redacted: 0123abcd"])
def test_other_words_are_no_mark(text: bytes) -> None:
    assert not is_redacted(text)
    assert made(recorded(b"/", (b"X-A", text))).left_out == ()


@pytest.mark.parametrize(
    ("pair", "reason"),
    [
        (recorded(b"/u/" + MARK + b"/x"), Unsendable.REDACTED_PATH),
        (recorded(method="POST", body=b"<p>" + MARK + b"</p>"), Unsendable.REDACTED_BODY),
        (recorded(b"/", JSON, method="POST", body=b'["' + MARK + b'"]'), Unsendable.REDACTED_BODY),
        (recorded(b"/", JSON, method="POST", body=b'{"a": "' + MARK), Unsendable.REDACTED_BODY),
    ],
    ids=["path", "XML", "an array", "no JSON"],
)
def test_a_request_that_would_be_another_without_its_value_is_left_out(pair: RecordedPair, reason: Unsendable) -> None:
    assert sendable(2, pair, TO) is reason


def test_the_length_is_that_of_what_is_left() -> None:
    fields = (FORM, (b"Content-Length", b"40"), (b"X", b"1"))
    found = made(recorded(b"/", *fields, method="POST", body=b"a=1&p=" + MARK))
    assert (found.body, found.headers[2]) == (b"a=1", (b"Content-Length", b"3"))


@pytest.mark.parametrize("url", ["http://h", "https://h.example:8443/", "http://[::1]:80", PLACEHOLDER])
def test_a_destination_is_a_host(url: str) -> None:
    assert destination(url).base == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "h",
        "ftp://h",
        "http://",
        "http://h/path",
        "http://u:p@h",
        "http://h?x",
        "http://h\n",
        "http://a b",
        "http://h'",
    ],
)
def test_all_else_is_none(url: str) -> None:
    with pytest.raises(DestinationError, match="write scheme, host and port alone"):
        destination(url)
