"""A chunked body means the same in whatever pieces it arrives."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from strangler.http1.chunked import ChunkedDecoder, ChunkedError, chunk, last_chunk
from tests.fuzz.bytes import damaged, pieces
from tests.fuzz.effort import examples

_NAMES = st.sampled_from([b"X", b"x-checksum", b"Z!~"])
_VALUES = st.sampled_from([b"", b"a", b"a b\tc", b"\x80\xff"])
_TRAILERS = st.lists(st.tuples(_NAMES, _VALUES), max_size=3)
_BODIES = [
    b"0\r\n\r\n",
    b"5\r\nhello\r\n0\r\n\r\n",
    b"5;a=b\r\nhello\r\n1\r\n!\r\n0;c\r\nX: y\r\n\r\n",
    b"00A\r\n0123456789\r\n0\r\nX: y\r\nZ:\r\n\r\n",
]


@dataclass(frozen=True, slots=True)
class _End:
    payload: bytes
    rest: bytes
    trailers: list[tuple[bytes, bytes]]
    is_done: bool


def _decode(parts: list[bytes]) -> _End | None:
    """Return the decoded body; None: it is broken."""
    decoder = ChunkedDecoder()
    payload = rest = b""
    try:
        for part in parts:
            if decoder.is_done:
                rest += part
                continue
            found, behind = decoder.feed(part)
            payload += found
            rest += behind
    except ChunkedError:
        return None
    return _End(payload, rest, decoder.trailers, decoder.is_done)


@examples(200)
@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), _TRAILERS, st.binary(max_size=20), st.data())
def test_what_is_written_is_read_in_any_pieces(
    chunks: list[bytes], trailers: list[tuple[bytes, bytes]], behind: bytes, data: st.DataObject
) -> None:
    coded = b"".join(b"".join(chunk(each_chunk)) for each_chunk in chunks) + last_chunk(trailers) + behind
    parts = data.draw(pieces(st.just(coded)))
    assert _decode(parts) == _End(b"".join(chunks), behind, trailers, True)


@examples(400)
@given(pieces(damaged(_BODIES)))
def test_damage_is_found_in_any_pieces(parts: list[bytes]) -> None:
    assert _decode(parts) == _decode([b"".join(parts)])
    assert _decode([bytes([byte]) for part in parts for byte in part]) == _decode([b"".join(parts)])
