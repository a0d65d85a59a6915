"""Bodies, taken out of their framing: whole or in pieces, with the next message behind them, and broken."""

import pytest

from strangler.core.fault import Fault
from strangler.core.http.framing import CHUNKED, UNTIL_CLOSE, Framing, Kind
from strangler.http1.body import Body
from strangler.http1.body_readers import body_reader
from tests.http1.test_body import Out, Source, attach

NEXT = b"GET /next HTTP/1.1\r\n"


Outcome = bytes | Fault | None


def fed(framing: Framing, pieces: list[bytes], max_bytes: int | None = None) -> tuple[bytes, Outcome, Body]:
    """Return what reached the other side, what the reader said last, and the body."""
    body, out = Body(Source()), Out()
    attach(body, out)
    reader = body_reader(framing, body, Fault.CLIENT_PROTOCOL, max_bytes)
    outcome: Outcome = None
    for piece in pieces:
        assert outcome is None, "the reader had found the end"
        outcome = reader.feed(piece)
    return out.data.removeprefix(b"HEAD"), outcome, body


def ways(data: bytes) -> list[list[bytes]]:
    return [[data], [data[at : at + 1] for at in range(len(data))], [data[:1], data[1:]], [data[:-1], data[-1:]]]


@pytest.mark.parametrize("way", range(4), ids=["whole", "byte by byte", "first byte first", "last byte last"])
@pytest.mark.parametrize(
    ("framing", "sent"),
    [
        pytest.param(Framing(Kind.LENGTH, 6), b"abcdef", id="length"),
        pytest.param(CHUNKED, b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n", id="chunked"),
    ],
)
def test_a_body_ends_where_its_framing_says_so_however_it_arrives(framing: Framing, sent: bytes, way: int) -> None:
    data, outcome, body = fed(framing, ways(sent)[way])
    assert (data, outcome, body.received_bytes) == (b"abcdef", b"", 6)
    assert not body.is_finished, "whoever reads finishes it"


@pytest.mark.parametrize(
    ("framing", "sent"),
    [
        pytest.param(Framing(Kind.LENGTH, 6), b"abcdef", id="length"),
        pytest.param(CHUNKED, b"6\r\nabcdef\r\n0\r\n\r\n", id="chunked"),
    ],
)
def test_what_is_behind_a_body_is_handed_back(framing: Framing, sent: bytes) -> None:
    data, outcome, _ = fed(framing, [sent + NEXT])
    assert (data, outcome) == (b"abcdef", NEXT)
    data, outcome, _ = fed(framing, [sent[:3], sent[3:] + NEXT])
    assert (data, outcome) == (b"abcdef", NEXT)


def test_a_body_that_ends_with_its_connection_goes_on() -> None:
    assert fed(UNTIL_CLOSE, [b"abc", b"def"])[:2] == (b"abcdef", None)


def test_broken_chunks_are_the_fault_of_the_side_that_sends_them() -> None:
    assert fed(CHUNKED, [b"3\r\nabc\r\n", b"no size\r\n"])[:2] == (b"abc", Fault.CLIENT_PROTOCOL)


@pytest.mark.parametrize(("limit", "outcome"), [(5, Fault.TOO_LARGE), (6, None)])
def test_chunks_are_limited_in_all(limit: int, outcome: Fault | None) -> None:
    """A surplus is not passed on."""
    data, found, _ = fed(CHUNKED, [b"3\r\nabc\r\n", b"3\r\ndef\r\n"], limit)
    assert (data, found) == (b"abc" if outcome else b"abcdef", outcome)


def test_trailers_stay_with_the_body() -> None:
    _, _, body = fed(CHUNKED, [b"1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n"])
    assert body.trailers == [(b"X-Sum", b"1")]
