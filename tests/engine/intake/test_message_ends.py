"""The ends of msgpack messages in a stream, against msgspec's encoder."""

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.engine.intake.message_ends import MAX_MESSAGE_BYTES, GarbageError, MessageSplitter

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**63), max_value=2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=40)
    | st.binary(max_size=40)
    | st.builds(msgspec.msgpack.Ext, st.integers(-128, 127), st.binary(max_size=40))
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=5), inner, max_size=20),
    max_leaves=60,
)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(places)]


@given(st.lists(VALUES, max_size=6), st.lists(st.integers(0, 10_000), max_size=12))
def test_messages_are_cut_where_they_end_whatever_the_pieces(values: list[object], cuts: list[int]) -> None:
    encoded = [msgspec.msgpack.encode(value) for value in values]
    splitter = MessageSplitter()
    found = [message for piece in pieces(b"".join(encoded), cuts) for message in splitter.feed(piece)]
    assert found == encoded


@pytest.mark.parametrize("size", [0, 1, 31, 32, 255, 256, 65_535, 65_536])
@pytest.mark.parametrize("unit", [b"x", "x", [7]], ids=["bytes", "text", "list"])
def test_every_width_of_a_length_is_read(size: int, unit: bytes | str | list[int]) -> None:
    value = unit * size
    encoded = msgspec.msgpack.encode([value, {"a": value}])
    splitter = MessageSplitter()
    assert splitter.feed(encoded[:3]) == []
    assert splitter.feed(encoded[3:] + encoded) == [encoded, encoded]


def test_byte_by_byte_is_the_same() -> None:
    encoded = msgspec.msgpack.encode(["request", [[1, {"p": "/a" * 200, "s": 200, "f": None}]] * 40])
    splitter = MessageSplitter()
    found = [message for at in range(len(encoded)) for message in splitter.feed(encoded[at : at + 1])]
    assert found == [encoded]


@pytest.mark.parametrize(
    "garbage",
    [
        b"\xc1",
        b"\x92\xa1s\xc1",
        b"\xdb" + (MAX_MESSAGE_BYTES + 1).to_bytes(4, "big"),
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
    ],
    ids=["unused byte", "unused byte inside", "long text", "long list", "long map"],
)
def test_garbage_is_refused(garbage: bytes) -> None:
    with pytest.raises(GarbageError):
        MessageSplitter().feed(garbage)


def test_a_message_without_end_is_refused() -> None:
    splitter = MessageSplitter()
    piece = b"\xda\xff\xff" + b"x" * 65_535
    splitter.feed(b"\xdd\x00\x0f\x00\x00")
    for _ in range(MAX_MESSAGE_BYTES // len(piece)):
        splitter.feed(piece)
    with pytest.raises(GarbageError):
        splitter.feed(piece * 2)
