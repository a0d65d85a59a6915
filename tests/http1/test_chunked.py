"""The chunked coding: what is right is taken apart however it arrives, what is wrong is refused (RFC 9112 7.1)."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.core.http.headers import passing_trailers
from strangler.http1.chunked import _DONE, ChunkedDecoder, ChunkedError, chunk, last_chunk

Fields = list[tuple[bytes, bytes]]


def decode(pieces: list[bytes]) -> tuple[bytes, bytes, ChunkedDecoder]:
    """Payload, what is behind the body, and the decoder."""
    decoder = ChunkedDecoder()
    payload = rest = b""
    for piece in pieces:
        if decoder.is_done:
            rest += piece
            continue
        found, behind = decoder.feed(piece)
        payload += found
        rest += behind
        if behind:
            assert decoder._state == _DONE
    return payload, rest, decoder


GOOD: list[tuple[str, bytes, bytes, Fields]] = [
    ("empty", b"0\r\n\r\n", b"", []),
    ("one chunk", b"3\r\nabc\r\n0\r\n\r\n", b"abc", []),
    ("two chunks", b"3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n", b"abcd", []),
    ("hex in either case", b"a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n", b"01234567890123456789a", []),
    ("leading zeros", b"0003\r\nabc\r\n000\r\n\r\n", b"abc", []),
    ("an extension", b'3;name=value;other="q;uo"\r\nabc\r\n0;last\r\n\r\n', b"abc", []),
    ("space before an extension", b"3 ;x\r\nabc\r\n0\r\n\r\n", b"abc", []),
    ("line ends in the data", b"6\r\n\r\n0\r\n\r\r\n0\r\n\r\n", b"\r\n0\r\n\r", []),
    ("a trailer", b"0\r\nX-A: b\r\n\r\n", b"", [(b"X-A", b"b")]),
    ("trailers", b"1\r\na\r\n0\r\nA:1\r\nB:\t 2 \t\r\nC:\r\n\r\n", b"a", [(b"A", b"1"), (b"B", b"2"), (b"C", b"")]),
    ("obs-text in a trailer", b"0\r\nA: \xe9\r\n\r\n", b"", [(b"A", b"\xe9")]),
]

BAD: list[tuple[str, bytes]] = [
    ("no size", b"\r\nabc\r\n0\r\n\r\n"),
    ("not hex", b"g\r\n"),
    ("a sign", b"+3\r\nabc\r\n"),
    ("negative", b"-1\r\n"),
    ("0x", b"0x3\r\nabc\r\n"),
    ("an underscore", b"1_0\r\n"),
    ("space before the size", b" 3\r\nabc\r\n"),
    ("space behind the size", b"3 \r\nabc\r\n"),
    ("a size beyond 60 bits", b"1000000000000000\r\n"),
    ("a huge size", b"f" * 40 + b"\r\n"),
    ("LF alone behind the size", b"3\nabc\r\n0\r\n\r\n"),
    ("CR alone behind the size", b"3\rabc\r\n0\r\n\r\n"),
    ("a bare CR in an extension", b"3;a\rb\r\nabc\r\n"),
    ("NUL in an extension", b"3;a\0b\r\nabc\r\n"),
    ("an extension without a semicolon", b"3 x\r\nabc\r\n"),
    ("data longer than the size", b"3\r\nabcd\r\n0\r\n\r\n"),
    ("data shorter than the size", b"5\r\nabc\r\n0\r\n\r\n"),
    ("LF alone behind the data", b"3\r\nabc\n0\r\n\r\n"),
    ("CR alone behind the data", b"3\r\nabc\r0\r\n\r\n"),
    ("nothing behind the data", b"3\r\nabc0\r\n\r\n"),
    ("a trailer without a colon", b"0\r\nnonsense\r\n\r\n"),
    ("a trailer without a name", b"0\r\n: x\r\n\r\n"),
    ("space before a trailer's colon", b"0\r\nA : x\r\n\r\n"),
    ("a folded trailer", b"0\r\nA: x\r\n y\r\n\r\n"),
    ("NUL in a trailer", b"0\r\nA: \0\r\n\r\n"),
    ("LF alone behind a trailer", b"0\r\nA: x\n\r\n"),
    ("LF alone at the end", b"0\r\n\n"),
    ("a size line without end", b"1;" + b"x" * 2000),
    ("a trailer without end", b"0\r\nA: " + b"x" * 17_000),
    ("too many trailers", b"0\r\n" + b"Name: value\r\n" * 2000 + b"\r\n"),
]


@pytest.mark.parametrize(
    "behind", [b"", b"GET / HTTP/1.1\r\n", b"\r\n"], ids=["alone", "a request behind", "CRLF behind"]
)
@pytest.mark.parametrize("step", [0, 1, 2, 3], ids=["whole", "byte by byte", "by two", "by three"])
@pytest.mark.parametrize(("raw", "payload", "trailers"), [pytest.param(*c[1:], id=c[0]) for c in GOOD])
def test_a_good_body_gives_its_payload_and_leaves_what_is_behind(
    raw: bytes, payload: bytes, trailers: Fields, step: int, behind: bytes
) -> None:
    data = raw + behind
    pieces = [data[at : at + step] for at in range(0, len(data), step)] if step else [data]
    found, rest, decoder = decode(pieces)
    assert (found, rest, decoder.trailers, decoder.is_done) == (payload, behind, trailers, True)


@pytest.mark.parametrize("raw", [pytest.param(c[1], id=c[0]) for c in GOOD])
def test_a_body_that_has_not_ended_is_not_done(raw: bytes) -> None:
    for end in range(len(raw)):
        assert not decode([raw[:end]])[2].is_done


@pytest.mark.parametrize("step", [0, 1], ids=["whole", "byte by byte"])
@pytest.mark.parametrize("raw", [pytest.param(raw, id=name) for name, raw in BAD])
def test_a_broken_body_is_refused(raw: bytes, step: int) -> None:
    pieces = [raw[at : at + step] for at in range(0, len(raw), step)] if step else [raw]
    with pytest.raises(ChunkedError):
        decode(pieces)


def test_data_that_does_not_fit_is_refused_before_its_line_ends() -> None:
    decoder = ChunkedDecoder()
    with pytest.raises(ChunkedError):
        decoder.feed(b"3\r\nabcd")


_names = st.from_regex(rb"[A-Za-z][A-Za-z0-9-]{0,8}", fullmatch=True)
_values = st.from_regex(rb"(?:[!-~](?:[ -~]{0,8}[!-~])?)?", fullmatch=True)


@given(
    st.lists(st.binary(min_size=1, max_size=50), max_size=6),
    st.lists(st.tuples(_names, _values), max_size=3),
    st.lists(st.integers(0, 500), max_size=8),
    st.binary(max_size=10),
)
def test_what_is_encoded_is_decoded_in_any_segmentation(
    payloads: list[bytes], trailers: Fields, cuts: list[int], behind: bytes
) -> None:
    data = b"".join(b"".join(chunk(payload)) for payload in payloads) + last_chunk(trailers) + behind
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    pieces = [data[a:b] for a, b in pairwise(edges) if a < b]
    found, rest, decoder = decode(pieces)
    assert (found, rest, decoder.trailers, decoder.is_done) == (
        b"".join(payloads),
        behind,
        passing_trailers(trailers),
        True,
    )


@given(st.binary(max_size=80), st.integers(1, 20))
def test_any_bytes_are_decoded_or_refused_alike_however_they_arrive(data: bytes, step: int) -> None:
    def outcome(pieces: list[bytes]) -> object:
        try:
            found, rest, decoder = decode(pieces)
        except ChunkedError:
            return "refused"
        return found, rest, decoder.trailers, decoder.is_done

    assert outcome([data]) == outcome([data[at : at + step] for at in range(0, len(data), step)])


def test_trailers_that_frame_route_or_authenticate_do_not_pass() -> None:
    """RFC 9110 section 6.5.1: merged into the head, they would say what the proxy has not looked at."""
    trailers = [
        (b"X-Checksum", b"1"),
        (b"Content-Length", b"9"),
        (b"X-Forwarded-For", b"192.0.2.1"),
        (b"AUTHORIZATION", b"Basic eA=="),
        (b"Transfer-Encoding", b"chunked"),
    ]
    assert last_chunk(trailers) == b"0\r\nX-Checksum: 1\r\n\r\n"
