"""Messages and settings survive the way through bytes; garbage never does."""

import struct

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strangler.core.listener_settings import Address
from strangler.core.resilience.write_fence import FenceMark
from strangler.core.settings import Settings, Url
from strangler.ipc.messages import (
    MAX_FRAME_BYTES,
    BreakerOpened,
    Bye,
    EndpointHealth,
    FenceMarks,
    FrameError,
    FrameReader,
    Hello,
    HistogramCell,
    KillSwitch,
    LoadedGeneration,
    Push,
    Report,
    Shared,
    ToControl,
    ToWorker,
    ValueCell,
    decode_settings,
    encode_frame,
    encode_settings,
    fence_messages,
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
    BreakerOpened("orders", 4, 4711.25, 2, "5 failures in a row, the last: connect"),
    FenceMarks([FenceMark("orders", b"\x00\xff8 bytes", 4711.5), FenceMark("carts", b"", 4712.0)]),
    EndpointHealth("orders", Url("http", "orders.internal", 8001, "/v2"), "192.0.2.7", False, "3 checks failed"),
    Bye(),
]
STREAM = b"".join(map(encode_frame, MESSAGES))

INT64 = st.integers(-(2**63), 2**64 - 1)
st.register_type_strategy(int, INT64)  # beyond 64 bits nothing is sent: routes.yaml refuses such sizes


def reader() -> FrameReader[ToControl]:
    return FrameReader(ToControl)


@given(st.from_type(Settings))
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_any_settings_survive_the_way_to_a_worker(value: Settings) -> None:
    encoded = encode_settings(value)
    decoded = decode_settings(encoded)
    assert encode_settings(decoded) == encoded  # not `decoded == value`: NaN is not itself
    assert type(decoded.admin.listen) is Address
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


class FormerKillSwitch(msgspec.Struct, array_like=True, tag="KillSwitch", frozen=True):
    """The message as the version before single routes knows it."""

    on: bool
    reason: str


def test_the_kill_switch_is_understood_by_workers_and_controls_of_the_version_before() -> None:
    sent = msgspec.msgpack.encode(KillSwitch(True, "why", ["orders"]))
    assert msgspec.msgpack.decode(sent, type=FormerKillSwitch) == FormerKillSwitch(True, "why")
    former = msgspec.msgpack.encode(FormerKillSwitch(False, "why"))
    assert msgspec.msgpack.decode(former, type=KillSwitch) == KillSwitch(False, "why", [])


MARKS = st.builds(FenceMark, st.text(), st.binary(), st.floats())
URLS = st.builds(Url, st.sampled_from(("http", "https")), st.text(), st.integers(0, 65535), st.text())
SHARED: st.SearchStrategy[Shared] = st.one_of(
    st.builds(BreakerOpened, st.text(), INT64, st.floats(), INT64, st.text()),
    st.builds(FenceMarks, st.lists(MARKS)),
    st.builds(EndpointHealth, st.text(), URLS, st.text(), st.booleans(), st.text()),
)


@given(SHARED)
def test_what_workers_share_reads_the_same_on_both_ends_of_control(message: Shared) -> None:
    frame = encode_frame(message)
    to_worker: FrameReader[ToWorker] = FrameReader(ToWorker)
    for frames in (reader(), to_worker):
        [read] = frames.feed(frame)
        assert encode_frame(read) == frame  # not `read == message`: NaN is not itself
        assert type(read) is type(message)


def test_any_number_of_marks_goes_in_messages_of_bounded_size() -> None:
    marks = [FenceMark("orders", b"%08d" % number, 160.0) for number in range(2500)]
    messages = list(fence_messages(iter(marks)))
    assert [len(message.marks) for message in messages] == [1000, 1000, 500]
    assert [mark for message in messages for mark in message.marks] == marks
    assert list(fence_messages([])) == []


def test_a_message_too_large_for_a_frame_is_not_sent() -> None:
    with pytest.raises(FrameError, match="Push"):
        encode_frame(Push(1, bytes(MAX_FRAME_BYTES)))
