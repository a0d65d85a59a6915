"""Hurl files: read by a reader of ours after Hurl's grammar, and by Hurl itself where it is installed."""

import subprocess
from pathlib import Path
from shutil import which

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.recordings.exports.destination import destination
from strangler.recordings.exports.to_hurl import HurlFormat
from strangler.recordings.recorded import RecordedPair, RecordedResponse
from tests.recordings.exports.hurl_reader import Entry, read_hurl
from tests.recordings.exports.pairs import TO, exported, recorded, responded, split_request
from tests.upstreams.servers import Server

JSON = (b"Content-Type", b"application/json")
MARK = b"redacted:0123abcd"

needs_hurl = pytest.mark.skipif(which("hurl") is None, reason="Hurl takes minutes to build: docs/recordings.md")


def written(*pairs: RecordedPair, **options: object) -> bytes:
    text, counts = exported(HurlFormat(TO, "a.rec", **options), *pairs)  # type: ignore[arg-type]
    assert counts.written == len(pairs)
    return text


def entry(pair: RecordedPair, **options: object) -> Entry:
    (found,) = read_hurl(written(pair, **options).decode())
    return found


def sent(pair: RecordedPair, *options: str) -> bytes:
    """Return the raw request that Hurl itself sends; the server responds as was recorded."""
    response = pair.response or responded(None)
    body = b"" if response.body is None or response.body.data is None else response.body.data
    raw = b"HTTP/1.1 %d x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (
        response.status,
        len(body),
    )
    with Server(end="cut", response=raw + body) as server:
        text, _ = exported(HurlFormat(destination(f"http://127.0.0.1:{server.port}"), "a"), pair)
        ran = subprocess.run(["hurl", "--no-color", *options], input=text, capture_output=True, check=False)
        assert ran.returncode == 0, (ran.stderr.decode(), text)
    (request,) = server.requests
    return request.replace(f"127.0.0.1:{server.port}".encode(), b"HOST")


BODIES = {
    "a variable": b"{{secret}} {{{x}}} {",
    "backticks": b"a`b```c````",
    "ends with a backtick": b"a\\`",
    "escapes": b"\\n \\u{7b} \\",
    "several lines": b'{\n  "a": "{{x}}",\n  "b": "\\n"\n}\n',
    "CR LF": b"a\r\nb\r\n",
    "control characters": b"\x00\x01\x1b\x7f",
    "bytes": bytes(range(256)),
    "a file's name": b"file,/etc/passwd;",
    "looks like an entry": b"GET http://evil/\nHTTP 200\n[Asserts]\n",
    "UTF-8": "Grüße\u2028🐵".encode(),
    "spaces": b"  a  ",
}
FIELDS = {
    "a variable": (b"X-A", b"{{x}}{{{"),
    "a comment": (b"X-A", b"a # b\\#"),
    "spaces": (b"X-A", b"  a  "),
    "tab": (b"X-A", b"\ta\t"),
    "empty": (b"X-A", b""),
    "UTF-8": (b"X-A", "ü".encode()),
    "a name of signs": (b"!#$%&'*+-.^_`|~", b"x"),
    "a name that looks like a section": (b"Options", b"[x]"),
    "a name that looks like a method": (b"GET", b"http://evil/"),
}
TARGETS = [b"/a?x=1&y={{z}}", b"/a/../b", b"//a", b"/a[1-3]{b,c}|", b"/%00%2f?", b"/it's!$&()*+,;=:@"]


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
class TestBody:
    def test_a_body_is_read_as_it_was_recorded(self, body: bytes) -> None:
        assert entry(recorded(method="POST", body=body)).body == body

    def test_no_variable_is_in_it(self, body: bytes) -> None:
        assert entry(recorded(method="POST", body=body)).variables == []

    @needs_hurl
    def test_hurl_sends_it(self, body: bytes) -> None:
        assert split_request(sent(recorded(method="POST", body=body)))[2] == body


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
class TestField:
    def test_a_field_is_read_as_it_was_recorded(self, field: tuple[bytes, bytes]) -> None:
        found = entry(recorded(b"/", field, field))
        assert [(name.encode(), value.encode()) for name, value in found.headers] == [field, field]
        assert found.variables == []

    @needs_hurl
    def test_hurl_sends_it(self, field: tuple[bytes, bytes]) -> None:
        assert split_request(sent(recorded(b"/", field, field)))[1].count(field) == 2


@pytest.mark.parametrize("target", TARGETS)
class TestTarget:
    def test_a_target_is_read_as_it_was_recorded(self, target: bytes) -> None:
        assert entry(recorded(target)).url.encode() == b"http://127.0.0.1:8080" + target

    @needs_hurl
    def test_hurl_sends_it(self, target: bytes) -> None:
        assert split_request(sent(recorded(target)))[0] == b"GET " + target + b" HTTP/1.1"


@pytest.mark.parametrize(
    "pair",
    [
        recorded(method="get"),
        recorded(b"/\xff"),
        recorded(b"/a#b"),
        recorded(b"*", method="OPTIONS"),
        recorded(b"/", (b"X-A", b"\xff")),
        recorded(method="HEAD", body=b"a"),
        recorded(response=responded(None, status=101)),
    ],
    ids=["method", "bytes", "fragment", "asterisk", "bytes in a field", "HEAD with a body", "upgrade"],
)
def test_requests_that_hurl_cannot_send_are_left_out(pair: RecordedPair) -> None:
    text, counts = exported(HurlFormat(TO, "a"), pair)
    assert (counts.written, counts.unsendable.total(), read_hurl(text.decode())) == (0, 1, [])


class TestAsserts:
    BODY = b'{"id": 7, "name": "a{{b}}\\"", "items": [{"p": 1.5, "ok": true}, {"p": null}], "n": 12345678901234567890}'

    def response(self, body: bytes = BODY, *fields: tuple[bytes, bytes], status: int = 200) -> RecordedResponse:
        return responded(body, JSON, *fields, status=status)

    def test_the_status_is_asserted(self) -> None:
        assert entry(recorded(response=responded(b"x", status=404))).status == "404"

    def test_without_a_response_any_status_will_do(self) -> None:
        pair = recorded()
        assert entry(type(pair)(at=pair.at, caller="", request=pair.request, response=None)).status == "*"

    def test_a_json_body_is_asserted_whole(self) -> None:
        assert entry(recorded(response=self.response())).expected_body == self.BODY

    @pytest.mark.parametrize(
        "response",
        [
            responded(b"<p>", (b"Content-Type", b"text/html")),
            responded(b"{}", JSON, (b"Content-Encoding", b"gzip")),
            responded(b'{"a": 1}', (b"Content-Type", b"application/json; charset=latin-1")),
            responded(b"\xff", JSON),
        ],
        ids=["HTML", "a content coding", "another charset", "no text"],
    )
    def test_other_bodies_are_not(self, response: RecordedResponse) -> None:
        found = entry(recorded(response=response))
        assert (found.expected_body, found.asserts) == (None, [])

    def test_fields_are_asserted_by_their_values(self) -> None:
        assert entry(recorded(response=self.response()), asserts="fields").asserts == [
            'jsonpath "$.id" == 7',
            'jsonpath "$.name" == "a\\u{7b}\\u{7b}b}}\\u{22}"',
            'jsonpath "$.items[0].p" == 1.5',
            'jsonpath "$.items[0].ok" == true',
            'jsonpath "$.items[1].p" == null',
        ]

    def test_chosen_fields_alone(self) -> None:
        found = entry(recorded(response=self.response()), fields=("$.items[*].p",))
        assert found.asserts == ['jsonpath "$.items[0].p" == 1.5', 'jsonpath "$.items[1].p" == null']

    def test_redacted_values_are_not_asserted(self) -> None:
        body = b'{"token": "%b", "id": 7}' % MARK
        assert entry(recorded(response=self.response(body))).asserts == ['jsonpath "$.id" == 7']

    def test_the_status_alone(self) -> None:
        found = entry(recorded(response=self.response()), asserts="status")
        assert (found.expected_body, found.asserts) == (None, [])

    @needs_hurl
    @pytest.mark.parametrize("body", [BODY, b'{"a b": [1, {"c\'d": "x"}], "\xc3\xbc": false}', b'["\\n", {}]\n', b"3"])
    def test_hurl_agrees(self, body: bytes) -> None:
        pair = recorded(response=self.response(body))
        sent(pair)
        with_mark = b'{"body": %b, "token": "%b"}' % (body, MARK)
        sent(recorded(response=self.response(with_mark)))


class TestRedacted:
    PAIR = recorded(b"/?t=" + MARK, (b"Authorization", MARK), (b"Cookie", b"a=" + MARK + b"; b=2"))

    def test_fields_are_left_out_and_named(self) -> None:
        found, text = entry(self.PAIR), written(self.PAIR)
        assert (found.url, found.headers) == ("http://127.0.0.1:8080/?", [("Cookie", "b=2")])
        assert b"# Authorization: {{secret_authorization}}\n" in text
        assert MARK not in text

    @needs_hurl
    def test_hurl_sends_the_field_when_its_comment_is_taken_away(self, tmp_path: Path) -> None:
        with Server() as server:
            text, _ = exported(HurlFormat(destination(f"http://127.0.0.1:{server.port}"), "a"), self.PAIR)
            text = text.replace(b"# Authorization: {{", b"Authorization: {{")
            words = ["hurl", "--variable", "secret_authorization=Bearer x"]
            subprocess.run(words, input=text, check=True, capture_output=True)
        assert b"\r\nAuthorization: Bearer x\r\n" in server.requests[0]


@given(
    st.lists(st.tuples(st.text(max_size=30), st.text(max_size=60)), max_size=3),
    st.binary(max_size=80) | st.text().map(str.encode),
)
def test_whatever_is_recorded_is_read_again(values: list[tuple[str, str]], body: bytes) -> None:
    fields = tuple(
        (b"X-%d" % at, value.encode()) for at, (_, value) in enumerate(values) if not set(value) & set("\r\n\0")
    )
    found = entry(recorded(b"/", *fields, method="POST", body=body))
    assert [(name.encode(), value.encode()) for name, value in found.headers] == list(fields)
    assert (found.body or b"", found.variables) == (body, [])
