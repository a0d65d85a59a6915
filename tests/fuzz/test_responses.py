"""Whatever an upstream answers, the client gets that answer as a strict reader reads it, a 502, or a cut."""

import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.http1.response import parse_response
from tests.fuzz.bytes import damaged, pieces
from tests.fuzz.effort import examples
from tests.fuzz.plane import Plane, plane
from tests.http1.scripted import Connection, PeerLeftError
from tests.http1.strict_reader import MalformedError, Message, read_responses

_GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
_RESPONSES = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello",
    b"HTTP/1.0 200 OK\r\n\r\nhello",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: /a\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n\r\nno",
]
_HOSTILE = damaged(_RESPONSES) | st.binary(max_size=60)


class _Says:
    """The script of an upstream that sends these pieces once it has the request, and ends."""

    pieces: list[bytes] = []  # noqa: RUF012 - there is one

    async def __call__(self, connection: Connection) -> None:
        try:
            await connection.read_request()
        except PeerLeftError:
            return
        for piece in self.pieces:
            await connection.send(piece)
        connection.close()


_SAYS = _Says()


@pytest.fixture(scope="module")
def asking() -> Iterator[Plane]:
    with plane(_SAYS) as made:
        yield made


@examples(300)
@given(pieces(_HOSTILE))
def test_the_client_gets_that_answer_or_none(asking: Plane, chunks: list[bytes]) -> None:
    _SAYS.pieces = chunks
    client = asking.runner.run(asking.exchange([_GET], waits=True))
    asking.hold()
    responses = read_responses(bytes(client.received), [b"GET"], client.end == "eof")
    final = [response for response in responses if response.status >= 200]
    assert len(final) <= 1, "the second answer belongs to no request"
    if not final or not final[0].is_complete or _is_our_own(final[0]):
        return
    data = b"".join(chunks)
    readings = [found for found in map(_as_strictly_read, (data, _with_whole_line_ends(data))) if found is not None]
    assert (final[0].status, final[0].body, final[0].trailers) in [
        (found.status, found.body, found.trailers) for found in readings
    ]


@examples(500)
@given(_HOSTILE, st.booleans())
def test_a_head_is_an_answer_or_nothing(data: bytes, is_head_response: bool) -> None:
    raw = data.split(b"\r\n\r\n", 1)[0] + b"\r\n\r\n"
    response = parse_response(raw, is_head_response=is_head_response)
    if response is None:
        return
    (read, *_) = read_responses(response.head(b"\r\n"), [b"GET"], True)
    assert read.status == response.status
    assert b"transfer-encoding" not in {name.lower() for name, _ in read.fields}


def _is_our_own(response: Message) -> bool:
    return response.status in (502, 504) and response.values(b"content-type") == [b"application/problem+json"]


_HEAD_END = re.compile(rb"\n\r?\n")
_LINE_END = re.compile(rb"\r?\n")


def _with_whole_line_ends(data: bytes) -> bytes:
    """The response whose lines may end in a bare LF (RFC 9112 section 2.2), interim ones before it included."""
    done = b""
    while (found := _HEAD_END.search(data)) is not None:
        head, data = _LINE_END.sub(b"\r\n", data[: found.end()]), data[found.end() :]
        done += head
        if not head.startswith((b"HTTP/1.1 1", b"HTTP/1.0 1")):
            break
    return done + data


def _as_strictly_read(data: bytes) -> Message | None:
    """The first answer that is no interim one, if it is whole. What stands behind it is not looked at."""
    for end in range(len(data), 0, -1):
        try:
            found = read_responses(data[:end], [b"GET"], True)
            whole = [message for message in found if message.status >= 200 and message.is_complete]
        except MalformedError:
            continue
        if whole:
            return whole[0]
    return None
