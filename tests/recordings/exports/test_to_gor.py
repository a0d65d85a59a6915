"""GoReplay's files: payloads as they are on the wire, which GoReplay sends again."""

import subprocess
import time

import pytest

from strangler.recordings.exports.destination import destination
from strangler.recordings.exports.to_gor import SEPARATOR, GorFormat
from strangler.recordings.recorded import RecordedPair
from tests.recordings.exports.goreplay import goreplay
from tests.recordings.exports.pairs import TO, exported, recorded, responded, split_request
from tests.upstreams.servers import Server


def payloads(*pairs: RecordedPair) -> list[tuple[list[bytes], bytes]]:
    """Return the words of each payload's first line, and its message."""
    text, _ = exported(GorFormat(), *pairs)
    *found, rest = text.split(SEPARATOR)
    assert rest == b""
    return [(head.split(b" "), message) for head, _, message in (payload.partition(b"\n") for payload in found)]


def test_a_request_and_its_response_share_an_id() -> None:
    (request, sent), (response, received) = payloads(
        recorded(b"/a", (b"X", b"1"), response=responded(b"no", (b"Content-Length", b"2"), status=404))
    )
    assert request == [b"1", request[1], b"1764500000123456000", b"0"]
    assert response == [b"2", request[1], b"1764500000135956000", b"0"]
    assert (len(request[1]), int(request[1], 16) > 0) == (24, True)
    assert sent == b"GET /a HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nX: 1\r\n\r\n"
    assert received == b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"


def test_an_id_begins_with_the_caller_and_is_of_one_request() -> None:
    ann, _, also_ann, _, bob, _ = (head[1] for head, _ in payloads(recorded(), recorded(), recorded(caller="bob")))
    assert ann[:16] == also_ann[:16] != bob[:16]
    assert len({ann, also_ann, bob}) == 3


def test_a_request_without_a_response_is_alone() -> None:
    pair = recorded()
    ((head, _),) = payloads(RecordedPair(at=pair.at, caller="", request=pair.request))
    assert head[0] == b"1"


@pytest.mark.parametrize(
    ("fields", "body", "expected"),
    [
        ((), b"ab", b"Content-Length: 2\r\n\r\nab"),
        ((), None, b"\r\n\r\n"),
        (((b"Content-Length", b"9"),), b"ab", b"Content-Length: 2\r\n\r\nab"),
        (((b"Transfer-Encoding", b"chunked"),), b"ab", b"chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"),
        (((b"Transfer-Encoding", b"chunked"),), b"", b"chunked\r\n\r\n0\r\n\r\n"),
    ],
    ids=["no length", "no body", "another length", "chunked", "chunked and empty"],
)
def test_the_body_is_framed(fields: tuple[tuple[bytes, bytes], ...], body: bytes | None, expected: bytes) -> None:
    (_, sent), _ = payloads(recorded(b"/", *fields, method="POST", body=body))
    assert sent.endswith(expected)


def test_a_body_that_has_the_separator_is_left_out() -> None:
    _, counts = exported(GorFormat(), recorded(method="POST", body=b"a" + SEPARATOR), recorded())
    assert (counts.written, counts.unsendable.total()) == (1, 1)


def test_goreplay_sends_what_was_recorded() -> None:
    program = goreplay()
    body = bytes(range(256)) + b"it's\n\xf0\x9f\x90\xb5"
    pairs = [
        recorded(b"/a?x=it's&y={{}}", (b"X-A", b"1"), (b"X-B", b"\xff")),
        recorded(b"/b", (b"Content-Type", b"a/b"), method="POST", body=body),
    ]
    with Server() as server:
        text, _ = exported(GorFormat(), *pairs, to=destination(f"http://127.0.0.1:{server.port}"))
        words = [str(program), "--input-file", "/dev/stdin", "--output-http", f"http://127.0.0.1:{server.port}"]
        words += ["--exit-after", "60s", "--output-http-workers", "1"]
        with subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as ran:
            assert ran.stdin
            ran.stdin.write(text)
            ran.stdin.close()
            deadline = time.monotonic() + 50
            while len(server.requests) < len(pairs) and time.monotonic() < deadline:
                time.sleep(0.05)
            ran.terminate()
    got = {line: (fields, sent) for line, fields, sent in map(split_request, server.requests)}
    assert got[b"POST /b HTTP/1.1"][1] == body
    assert dict(got[b"GET /a?x=it's&y={{}} HTTP/1.1"][0])[b"X-A"] == b"1"
    assert TO.base not in str(server.requests)
