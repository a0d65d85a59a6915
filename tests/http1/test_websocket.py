"""Where a frame ends and the next may begin (RFC 6455 section 5.2)."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.http1.websocket import CLOSE_GOING_AWAY, CLOSE_GOING_AWAY_MASKED, FrameBoundary


def frame(size: int, *, masked: bool) -> bytes:
    mask_bit, mask = (0x80, b"\x01\x02\x03\x04") if masked else (0, b"")
    if size < 126:
        length = bytes([mask_bit | size])
    elif size < 65536:
        length = bytes([mask_bit | 126]) + size.to_bytes(2, "big")
    else:
        length = bytes([mask_bit | 127]) + size.to_bytes(8, "big")
    return b"\x82" + length + mask + bytes(size)


SIZES = [0, 1, 125, 126, 127, 65535, 65536]


@pytest.mark.parametrize("masked", [False, True], ids=["of a server", "of a client"])
@pytest.mark.parametrize("size", SIZES)
def test_only_behind_its_last_byte_is_a_frame_over(size: int, masked: bool) -> None:
    raw = frame(size, masked=masked)
    boundary = FrameBoundary()
    assert boundary.is_between_frames
    for end in {end for end in (1, 2, 3, len(raw) - 1) if end < len(raw)}:
        part = FrameBoundary()
        part.feed(raw[:end])
        assert not part.is_between_frames
        part.feed(raw[end:])
        assert part.is_between_frames
    boundary.feed(raw)
    assert boundary.is_between_frames


@given(
    st.lists(st.tuples(st.sampled_from([0, 1, 5, 125, 126, 300]), st.booleans()), max_size=6),
    st.lists(st.integers(0, 3000), max_size=8),
)
def test_any_segmentation_finds_the_same_borders(frames: list[tuple[int, bool]], cuts: list[int]) -> None:
    raws = [frame(size, masked=masked) for size, masked in frames]
    borders = {0}
    for raw in raws:
        borders.add(max(borders) + len(raw))
    data = b"".join(raws)
    boundary = FrameBoundary()
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, end in pairwise(edges):
        boundary.feed(data[start:end])
        assert boundary.is_between_frames == (end in borders)


@pytest.mark.parametrize("close", [CLOSE_GOING_AWAY, CLOSE_GOING_AWAY_MASKED], ids=["to a client", "to a server"])
def test_the_close_frames_are_whole_frames_that_say_1001(close: bytes) -> None:
    boundary = FrameBoundary()
    boundary.feed(close)
    assert boundary.is_between_frames
    assert (close[0], close[1] & 0x7F, int.from_bytes(close[-2:], "big")) == (0x88, 2, 1001)
