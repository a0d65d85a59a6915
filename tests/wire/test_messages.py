"""Messages and settings survive the way through bytes; garbage never does."""

import struct

import msgspec
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from strangler.core.settings import Address, Settings
from strangler.wire.messages import (
    MAX_FRAME_BYTES,
    Bye,
    FrameError,
    FrameReader,
    Hello,
    HistogramCell,
    KillSwitch,
    LoadedGeneration,
    Push,
    Report,
    ToControl,
    ValueCell,
    decode_settings,
    encode_frame,
    encode_settings,
)

HELLO = Hello(1, "run-1-2", 4711, 3)
MESSAGES: list[ToControl] = [
    HELLO,
    Report(
        [ValueCell("strangler_requests_total", ("orders", "legacy", "legacy", "2xx"), 3)],
        [HistogramCell("strangler_request_duration_seconds", ("orders", "legacy"), [0] * 15, 0.5)],
        [ValueCell("strangler_in_flight", ("legacy",), 2)],
    ),
    LoadedGeneration(4),
    Bye(),
]
STREAM = b"".join(map(encode_frame, MESSAGES))

INT64 = st.integers(-(2**63), 2**64 - 1)


def reader() -> FrameReader[ToControl]:
    return FrameReader(ToControl)  # type: ignore[arg-type]


@given(st.from_type(Settings))
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_any_settings_survive_the_way_to_a_worker(value: Settings) -> None:
    try:
        encoded = encode_settings(value)
    except OverflowError:  # beyond 64 bits: routes.yaml refuses such sizes
        reject()
    decoded = decode_settings(encoded)
    assert encode_settings(decoded) == encoded  # not `decoded == value`: NaN is not itself
    assert type(decoded.listen) is Address
    assert decoded.routes == value.routes or "nan" in repr(value)


def test_a_stream_cut_anywhere_gives_the_same_messages() -> None:
    for cut in range(len(STREAM)):
        frames = reader()
        assert frames.feed(STREAM[:cut]) + frames.feed(STREAM[cut:]) == MESSAGES


def test_a_stream_fed_byte_by_byte_gives_the_same_messages() -> None:
    frames = reader()
    assert [message for byte in STREAM for message in frames.feed(bytes([byte]))] == MESSAGES


@given(st.binary(max_size=200))
def test_garbage_is_refused_or_waits_for_more_and_nothing_else(garbage: bytes) -> None:
    try:
        messages = reader().feed(garbage)
    except FrameError:
        return
    assert all(isinstance(message, ToControl) for message in messages)


@given(st.recursive(st.none() | st.booleans() | INT64 | st.text() | st.binary(), st.lists))
def test_a_frame_that_holds_no_message_is_refused(body: object) -> None:
    raw = msgspec.msgpack.encode(body)
    with pytest.raises(FrameError):
        reader().feed(struct.pack(">I", len(raw)) + raw)


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(encode_frame(Push(1, b"x")), id="a message of the other direction"),
        pytest.param(encode_frame(KillSwitch(True, "")), id="another of the other direction"),
        pytest.param(struct.pack(">I", MAX_FRAME_BYTES + 1), id="a length beyond the bound"),
        pytest.param(struct.pack(">I", 0), id="an empty frame"),
        pytest.param(struct.pack(">I", 40_000) + b"\x91" * 40_000, id="nesting that would exhaust the stack"),
    ],
)
def test_what_no_worker_says_is_refused(frame: bytes) -> None:
    with pytest.raises(FrameError):
        reader().feed(frame)


def test_a_message_too_large_for_a_frame_is_not_sent() -> None:
    with pytest.raises(FrameError, match="Push"):
        encode_frame(Push(1, bytes(MAX_FRAME_BYTES)))
