"""The messages between the proxy's own processes, and their encoding.

A frame is four bytes of length, most significant first, and a msgpack body. Bodies are tagged arrays: they are short,
and a body that is none of the expected messages is refused as a whole.
"""

import struct
from collections.abc import Iterable, Iterator
from itertools import islice
from types import UnionType
from typing import Generic, Literal, TypeVar

import msgspec

from strangler.core.listener_settings import Address, ListenerSettings
from strangler.core.resilience.write_fence import FenceMark
from strangler.core.settings import AdminSettings, LimitSettings, LogSettings, Settings, Url

MAX_FRAME_BYTES = 64 * 1024 * 1024
"""More than the settings of 100,000 routes; a length beyond it is garbage."""

Labels = tuple[str, ...]


class FrameError(Exception):
    """The other side does not speak this protocol: the connection has to be closed."""


class _Message(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """The base of all that travels in a frame."""


class Hello(_Message, frozen=True):
    """A worker's first message on every connection."""

    index: int
    instance: str
    pid: int
    generation: int


class HistogramCell(msgspec.Struct, array_like=True, frozen=True):
    name: str
    labels: Labels
    buckets: list[int]  # one count per bound of `metrics.BOUNDS_S`, not cumulative, and one above the last
    sum: float


class ValueCell(msgspec.Struct, array_like=True, frozen=True):
    name: str
    labels: Labels
    value: float


class Report(_Message, frozen=True):
    """The metrics that changed since the last report, each with its value since the process started.

    The first reports on a connection hold all metrics, so that a new reader misses none. One is sent at least once a
    second, even if empty: a worker that falls silent hangs.
    """

    counters: list[ValueCell]
    histograms: list[HistogramCell]
    gauges: list[ValueCell]


class BreakerChanged(_Message, frozen=True):
    upstream: str
    before: str
    after: str
    reason: str


class CapturedResponse(msgspec.Struct, array_like=True, frozen=True):
    """The response that the client got. `head` is the upstream's as received, empty if none came (`fault`)."""

    status: int
    head: bytes
    body: bytes  # as sent, with its codings, without its framing; empty if it is too large or streaming
    fault: str | None
    duration_s: float  # from the start of the attempt to the response's head
    size: int  # bytes of the whole body
    is_too_large: bool
    is_streaming: bool


class CandidateFailed(msgspec.Struct, array_like=True, frozen=True):
    """The candidate's failure, if legacy served the request instead. Exactly one of `fault` and `status` is set."""

    fault: str | None
    status: int | None
    duration_s: float


class Captured(_Message, frozen=True):
    """One request whose client has its last byte, and its response: what a shadow is made of."""

    route: str
    at: float  # Unix time of the request
    method: bytes
    target: bytes  # as received
    host: bytes  # the client's Host
    lines: bytes  # the header section for any upstream, with Host: no hop-by-hop fields, plus the proxy's own
    body: bytes
    is_body_complete: bool
    request_id: bytes
    traceparent: bytes
    arm: str  # that responded
    upstream: str
    url: str  # the upstream's URL that responded; empty if none did
    response: CapturedResponse
    failed: CandidateFailed | None
    is_from_trusted: bool = False  # the client is a trusted proxy, whose X-Forwarded-* fields count
    is_for_shadow: bool = True
    recording: int = 0  # the number of the recording that it is for, too; 0: none
    caller: bytes = b""  # for a recording: the sticky key of the caller, else its address
    body_bytes: int = 0  # of the request, so far as they came, whether they were kept or not
    took_s: float = 0.0  # for a recording: from the start of the request to the end of its response


def recorded_bytes(captured: Captured) -> int:
    """Return the bytes that a capture takes of a recording's credit; worker and control count alike."""
    response = captured.response
    texts = len(captured.lines) + len(captured.target) + len(response.head)
    return len(captured.body) + len(response.body) + texts + _OVERHEAD_BYTES


_OVERHEAD_BYTES = 512
"""The memory of a capture beside its texts, about."""


class AttemptSpan(msgspec.Struct, array_like=True, frozen=True):
    """One attempt, up to the head of its response. `url`: the upstream's URL; empty if none was tried."""

    span_id: bytes
    upstream: str
    url: str
    arm: str
    started: float  # Unix time
    duration_s: float
    status: int | None
    fault: str | None


class Spans(_Message, frozen=True):
    """One sampled request, once it is over. Ids are lower-case hexadecimal digits."""

    trace_id: bytes
    span_id: bytes
    parent_id: bytes  # empty where the trace begins here
    state: bytes  # tracestate, as received
    started: float  # Unix time
    duration_s: float
    method: bytes
    path: bytes  # without the query, which may hold secrets
    host: bytes
    client: bytes
    version: bytes  # 1.0 or 1.1
    request_id: bytes
    route: str
    arm: str
    upstream: str
    reason: str
    status: int  # 0: the client left before there was a response
    fault: str | None
    is_fallback: bool
    attempts: list[AttemptSpan]


class LedgerSum(msgspec.Struct, array_like=True, frozen=True):
    """Calls of one endpoint that are alike: one route, arm, status and caller."""

    method: str
    template: str  # a first template (`core/ledger/first_template.py`), with what `ledger.by` adds
    route: str  # empty where none matched
    arm: str  # that responded; empty where neither was asked: `retire` has refused the calls
    status: int  # 0: the client left before there was a response
    caller: str
    calls: int
    at: float  # Unix time of the last of them
    buckets: list[int]  # how many took how long, by `metrics.BOUNDS_S`, not cumulative, with one above the last
    example: str  # a path without what is secret or personal; empty unless the template is new to the worker


class LedgerBatch(_Message, frozen=True):
    """The calls since the last batch, for the ledger.

    One batch at a time is under way: a worker keeps it until `LedgerStored` names its number, and sends it again to a
    new control. So a call is counted once, whichever process is killed; a killed worker loses those of its last moment.
    """

    number: int  # from 1, by the worker's instance
    sums: list[LedgerSum]
    sampled_from: int  # calls that were too many to be counted one by one, and are in the sums as an estimate


class LedgerStored(_Message, frozen=True):
    """Control to the worker: its batches up to this number are stored."""

    number: int


class RolloutCaller(msgspec.Struct, array_like=True, frozen=True):
    """The requests of one caller at the candidate. `caller` is a hash of its sticky key, of 64 bits."""

    caller: int
    requests: int  # since it has had a counter
    failed: int
    buckets: list[int]  # as in `RolloutArm`
    counter: int  # as in `core/rollout/caller_sketch.BusyCaller`: requests, less what made room for others


class RolloutArm(msgspec.Struct, array_like=True, frozen=True):
    """The requests that a rollout sent to one arm. Failed: a 5xx, or a fault, also if legacy has responded instead."""

    requests: int
    failed: int
    buckets: list[int]  # how many took how long, by `metrics.BOUNDS_S`, not cumulative, with one above the last


class RolloutCounts(msgspec.Struct, array_like=True, frozen=True):
    """Requests of one route since the last message that began under the settings of one generation."""

    route: str
    generation: int
    legacy: RolloutArm
    candidate: RolloutArm
    registers: bytes  # of the candidate's callers: `core/rollout/caller_sketch.py`
    busiest: list[RolloutCaller]  # of the candidate: at most `MAX_BUSIEST`


class RolloutBatch(_Message, frozen=True):
    """The requests of routes that have a rollout, since the last batch that named them. A route may be named twice.

    A batch that was sent is not sent again: those that a killed control had not stored are lost to both arms alike.
    """

    counts: list[RolloutCounts]


class BreakerOpened(_Message, frozen=True):
    """A breaker that is open until `until`. A worker reports its own; control passes it on to all others."""

    upstream: str
    generation: int  # of the worker's settings: if the upstream has moved since, the opening means nothing
    until: float  # on the monotonic clock, which the processes of a machine share
    streak: int
    reason: str


class FenceMarks(_Message, frozen=True):
    """The callers whose reads must not fall back. A worker reports its own; control passes them on to all others."""

    marks: list[FenceMark]


MOST_MARKS = 1000
"""The most marks in one message."""


class EndpointHealth(_Message, frozen=True):
    """The health of an endpoint by active checks. Control sends it to workers; a worker sends it to a new control."""

    upstream: str
    url: Url
    address: str
    is_healthy: bool
    reason: str


class EngineState(_Message, frozen=True):
    """The Envoy that serves, as the process that runs it sees it. Sent when it changes, and to a new control."""

    version: str  # empty: none has been heard
    pid: int | None  # None: somebody else runs it, or there is none now
    problem: str  # why it does not have the settings in force; empty: it has


class LoadedGeneration(_Message, frozen=True):
    """A worker's message that it now plans new requests on the settings of this generation."""

    generation: int


class Bye(_Message, frozen=True):
    """A worker's last message: it has drained, and ends."""


class Push(_Message, frozen=True):
    """New settings, as `encode_settings` made them. The last push counts; earlier ones may be left out."""

    generation: int
    settings: bytes


class KillSwitch(_Message, frozen=True):
    """The state of the kill switch: while it is on, every request goes to legacy, whatever the routes say; while it is
    on for single routes, every request of those does."""

    on: bool
    reason: str
    routes: list[str] = []


class CaptureGrant(msgspec.Struct, array_like=True, frozen=True):
    route: str
    captures: int  # how many more captures of the route control takes from this worker; replaces the last grant
    reason: str  # why there are none: the label of `strangler_shadow_dropped_total`


class CaptureGrants(_Message, frozen=True):
    """The grants of the routes that are shadowed. A route without a grant is not captured, which costs nothing."""

    grants: list[CaptureGrant]


class RecordingWanted(_Message, frozen=True):
    """Control to the workers: record from now on, in place of any other recording."""

    number: int
    routes: list[str] | None  # None: all, and what matches no route
    share: float  # of the callers, above 0 to 1
    key: bytes  # of the hash that chooses them
    max_body_bytes: int
    credit_bytes: int  # see `RecordingCredit`


class RecordingCredit(_Message, frozen=True):
    """Control to a worker: it may send so many bytes of captures for this recording, counted from its beginning."""

    number: int
    credit_bytes: int


class RecordingEnded(_Message, frozen=True):
    """Control to the workers: nothing is recorded any more."""


Shared = BreakerOpened | FenceMarks | EndpointHealth
"""The facts that all workers share, whichever of them found them."""

ToControl = (
    Hello
    | Report
    | BreakerChanged
    | LoadedGeneration
    | EngineState
    | Bye
    | Captured
    | Spans
    | LedgerBatch
    | RolloutBatch
    | Shared
)
ToWorker = (
    Push | KillSwitch | CaptureGrants | LedgerStored | RecordingWanted | RecordingCredit | RecordingEnded | Shared
)


class Adopt(_Message, frozen=True):
    """Control to supervisor: new settings are valid; start workers with them from now on."""

    generation: int
    settings: bytes
    workers: int
    drain_s: float


class StandsBy(_Message, frozen=True):
    """Control to supervisor: the program is loaded. It waits for a message before it touches the state folder."""


class Started(_Message, frozen=True):
    """Control to supervisor: the admin listener is served."""


class AdminCertificates(_Message, frozen=True):
    """Control to supervisor: clients of the admin listener get one of these certificates (PEM) from now on; if there
    are none, it takes connections without TLS."""

    certificates: tuple[str, ...]


class DrainSeen(_Message, frozen=True):
    """Control to supervisor: readiness fails from now on."""


class Reload(_Message, frozen=True):
    """Supervisor to control: SIGHUP came."""


class Draining(_Message, frozen=True):
    """Supervisor to control: SIGTERM or SIGINT came."""


class ProcessInfo(msgspec.Struct, array_like=True, frozen=True):
    role: str  # supervisor, control, worker or envoy; leaving: one of those two of the supervisor before this one
    index: int
    instance: str
    pid: int
    started: float  # Unix time
    restarts: int  # how often its place has been filled again


class Processes(_Message, frozen=True):
    """Supervisor to control: all processes that run now."""

    processes: list[ProcessInfo]
    has_successor: bool = False
    """Whether a new program is being started, whose workers have the percents of rollouts of its start."""


ToSupervisor = Adopt | AdminCertificates | DrainSeen | StandsBy | Started
FromSupervisor = Reload | Draining | Processes

Message = ToControl | ToWorker | ToSupervisor | FromSupervisor
"""Everything that travels in a frame."""


class ReceiverOutline(msgspec.Struct, frozen=True):
    """Where the receiver listens."""

    listen: Address


class Outline(msgspec.Struct, frozen=True):
    """The part of the settings that the supervisor needs; routes and upstreams are skipped, and cost no memory."""

    listeners: tuple[ListenerSettings, ...]
    admin: AdminSettings
    workers: int
    state: str
    log: LogSettings
    limits: LimitSettings
    receiver: ReceiverOutline | None = None
    engine: Literal["builtin", "envoy"] = "builtin"


_encoder = msgspec.msgpack.Encoder()
_settings_decoder = msgspec.msgpack.Decoder(Settings)
_outline_decoder = msgspec.msgpack.Decoder(Outline)
_LENGTH = struct.Struct(">I")


def encode_settings(settings: Settings) -> bytes:
    return _encoder.encode(settings)


def decode_settings(data: bytes) -> Settings:
    """Decode the settings. Raises msgspec.DecodeError."""
    return _settings_decoder.decode(data)


def decode_outline(data: bytes) -> Outline:
    """Decode the outline of the settings. Raises msgspec.DecodeError."""
    return _outline_decoder.decode(data)


def fence_messages(marks: Iterable[FenceMark]) -> Iterator[FenceMarks]:
    """Yield any number of marks, in messages of bounded size."""
    rest = iter(marks)
    while batch := list(islice(rest, MOST_MARKS)):
        yield FenceMarks(batch)


def encode_frame(message: Message) -> bytes:
    """Return the frame of a message. Raises FrameError if it is larger than a frame may be."""
    body = _encoder.encode(message)
    if len(body) > MAX_FRAME_BYTES:
        raise FrameError(f"a {type(message).__name__} of {len(body)} bytes is more than a frame holds")
    return _LENGTH.pack(len(body)) + body


_M = TypeVar("_M")


class FrameReader(Generic[_M]):
    """Decodes a stream of bytes into messages of one union of types."""

    def __init__(self, kind: type[_M] | UnionType) -> None:
        self._decoder: msgspec.msgpack.Decoder[_M] = msgspec.msgpack.Decoder(kind)
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[_M]:
        """Return the messages that are complete now, in order. Raises FrameError for garbage, and is unusable then."""
        self._buffer += data
        messages: list[_M] = []
        start = 0
        while True:
            end = self._frame_end(start)
            if end is None:
                break
            messages.append(self._decode(memoryview(self._buffer)[start + _LENGTH.size : end]))
            start = end
        del self._buffer[:start]
        return messages

    def _frame_end(self, start: int) -> int | None:
        if len(self._buffer) - start < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._buffer, start)
        if length > MAX_FRAME_BYTES:
            raise FrameError(f"a frame of {length} bytes is announced; at most {MAX_FRAME_BYTES} are allowed")
        end = start + _LENGTH.size + length
        return end if len(self._buffer) >= end else None

    def _decode(self, body: memoryview) -> _M:
        with body:
            try:
                return self._decoder.decode(body)
            except (msgspec.DecodeError, RecursionError) as error:
                raise FrameError(f"not a message: {error}") from error
