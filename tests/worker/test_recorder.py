"""A worker's part of a recording: who is recorded, one capture for two takers, and no byte more than control wants."""

import pytest
from msgspec.structs import replace

from strangler.core.http.headers import ForwardedFields
from strangler.core.http.trust import TrustedProxies
from strangler.core.routing.snapshot import Snapshot
from strangler.http1.body import Body
from strangler.http1.request import Request, parse_request
from strangler.ipc.messages import (
    Captured,
    CaptureGrant,
    RecordingCredit,
    RecordingWanted,
    ToControl,
    recorded_bytes,
)
from strangler.ipc.metrics import Metrics
from strangler.worker.begin_capture import begin_capture
from strangler.worker.capture import NO_CAPTURE, Capture
from strangler.worker.captures import Captures
from strangler.worker.recorder import Recorder
from tests import factories
from tests.http1.scripted import ScriptedUpstream, responding, send
from tests.worker.conftest import Serve
from tests.worker.plane import RunningPlane, request, two_arms
from tests.worker.test_capture import Still, captured, response_of

KEY = b"k" * 32


class Link:
    """Takes what it is offered, as long as it is there."""

    is_connected = True

    def __init__(self) -> None:
        self.messages: list[ToControl] = []
        self.is_there = True

    def offer(self, message: ToControl) -> bool:
        if self.is_there:
            self.messages.append(message)
        return self.is_there


def wanted(routes: list[str] | None = None, share: float = 1.0, credit: int = 1 << 20) -> RecordingWanted:
    return RecordingWanted(7, routes, share, KEY, 100, credit)


def dropped(metrics: Metrics, reason: str) -> float:
    return metrics.counter("strangler_recording_dropped_total", reason).value


def recorded(captures: Captures, max_bytes: int = 100, *, is_shadowed: bool = False) -> Capture:
    credit = captures.credit("orders") if is_shadowed else None
    return Capture(captures, "orders", credit, captures.recorder, max_bytes, b"ana")


def test_each_body_counts_by_itself() -> None:
    captures = Captures(Metrics())
    captures.record(wanted())
    capture = recorded(captures, max_bytes=10)
    capture.copy_request().feed(b"12345")
    capture.copy_response().feed(b"1234567890")
    capture.response.feed(b"1")
    assert capture.response.is_too_large
    assert (capture.request.content(), capture.response.content(), capture.response.size) == (b"12345", b"", 11)
    assert captures.held_bytes == 5
    capture.abandon()
    assert captures.held_bytes == 0


def test_a_stream_is_measured_and_not_kept() -> None:
    captures = Captures(Metrics())
    captures.record(wanted())
    capture, body = recorded(captures), Body(Still())
    capture.copy_request().feed(b"question")
    capture.watch(response_of("text/event-stream"), b"", body)
    body.feed(b"data: 1\n\n")
    assert capture.is_streaming
    assert (capture.response.size, capture.response.content(), capture.request.content()) == (9, b"", b"question")


def test_what_is_dropped_counts_for_both_takers() -> None:
    metrics = Metrics()
    captures = Captures(metrics, max_held_bytes=10)
    captures.record(wanted())
    recorded(captures, is_shadowed=True).copy_response().feed(b"x" * 11)
    recorded(captures).abandon()
    assert [dropped(metrics, reason) for reason in ("memory", "unfinished")] == [1, 1]
    assert metrics.counter("strangler_shadow_dropped_total", "orders", "memory").value == 1
    assert metrics.counter("strangler_shadow_dropped_total", "orders", "unfinished").value == 0


def test_nothing_is_sent_or_counted_for_a_recording_that_is_over() -> None:
    metrics, link = Metrics(), Link()
    captures = Captures(metrics, link)
    captures.record(wanted())
    first, second, third = recorded(captures), recorded(captures), recorded(captures, is_shadowed=True)
    captures.end_recording()
    captures.record(replace(wanted(), number=8))
    first.abandon()
    for capture in (second, third):
        assert capture.claim_recording() == 0
        capture.finish(captured())
    captures.flush()
    assert len(link.messages) == 1  # for the shadow
    assert dropped(metrics, "unfinished") == 0


def test_credit_is_spent_by_what_is_sent_and_comes_back_with_what_is_not() -> None:
    metrics, link = Metrics(), Link()
    captures = Captures(metrics, link)
    message = as_recorded(captured(b"x" * 1000))
    size = recorded_bytes(message)
    captures.record(wanted(credit=size + 1))
    for _ in range(2):
        capture = recorded(captures)
        assert capture.claim_recording() == 7
        capture.finish(message)
    assert recorded(captures).claim_recording() == 0
    assert dropped(metrics, "credit") == 1
    captures.allow(RecordingCredit(6, 100 * size))  # of another recording
    assert recorded(captures).claim_recording() == 0
    captures.allow(RecordingCredit(7, 3 * size))
    assert captures.recorder is not None
    assert captures.recorder.left_bytes == size
    captures.flush()
    link.is_there = False
    recorded(captures).finish(message)
    captures.flush()
    assert captures.recorder.left_bytes == size
    assert dropped(metrics, "link") == 1
    assert len(link.messages) == 2


def as_recorded(message: Captured) -> Captured:
    return replace(message, recording=7, is_for_shadow=False)


def test_a_worker_without_control_records_nothing() -> None:
    captures = Captures(Metrics())
    captures.record(wanted())
    captures.close_credits()
    assert captures.recorder is None


# Which requests, of which callers


def snapshot() -> Snapshot:
    routes = [
        factories.route("orders", prefix="/orders", sticky=("cookie:sid", "header:x-user-id")),
        factories.route("users", prefix="/users", sticky=("header:x-user-id",)),
    ]
    return Snapshot(factories.settings(routes), 1)


def caller_of(
    recorder: Recorder, snapshot: Snapshot, path: str, fields: str = "", address: str = "192.0.2.7"
) -> bytes | None:
    made = parsed(path, fields, address)
    return recorder.caller(snapshot.plan(made, lambda: 0.5), made)


def parsed(path: str, fields: str = "", address: str = "192.0.2.7") -> Request:
    forwarded = ForwardedFields(address, b"http", TrustedProxies(()))
    made = parse_request(f"GET {path} HTTP/1.1\r\nHost: shop\r\n{fields}\r\n".encode(), forwarded, Request)
    assert isinstance(made, Request)
    return made


@pytest.mark.parametrize(
    ("credit", "fields", "is_from_trusted", "is_kept", "drops"),
    [
        (1, "", False, True, 0),
        (0, "", False, False, 1),
        (1, "X-Strangler-Shadow: 1\r\n", True, False, 0),
        (1, "X-Strangler-Shadow: 1\r\n", False, True, 0),
    ],
    ids=["credit", "none", "the shadow of another proxy", "a client that says so"],
)
def test_nothing_is_kept_of_what_is_not_recorded(
    credit: int, fields: str, is_from_trusted: bool, is_kept: bool, drops: int
) -> None:
    metrics = Metrics()
    captures, made = Captures(metrics), parsed("/orders/1", fields)
    captures.record(wanted(credit=credit))
    capture = begin_capture(captures, snapshot().plan(made, lambda: 0.5), made, is_from_trusted=is_from_trusted)
    assert (capture is not NO_CAPTURE) is is_kept
    assert dropped(metrics, "credit") == drops


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_a_share_is_of_callers_and_uniform(share: float) -> None:
    recorder, made, callers = Recorder(wanted(share=share), Metrics()), snapshot(), 5000
    chosen = sum(
        caller_of(recorder, made, "/orders/1", f"X-User-Id: user-{number}\r\n") is not None for number in range(callers)
    )
    assert abs(chosen - callers * share) < 5 * (callers * share * (1 - share)) ** 0.5


def test_a_caller_is_recorded_at_all_routes_or_at_none() -> None:
    recorder, made = Recorder(wanted(share=0.5), Metrics()), snapshot()
    for number in range(200):
        field = f"X-User-Id: user-{number}\r\n"
        paths = ("/orders/1", "/users/2", "/orders")
        assert len({caller_of(recorder, made, path, field) for path in paths}) == 1


def test_a_greater_share_keeps_the_callers_and_another_key_has_others() -> None:
    made = snapshot()

    def chosen(share: float, key: bytes = KEY) -> set[int]:
        recorder = Recorder(replace(wanted(share=share), key=key), Metrics())
        fields = ((number, f"X-User-Id: user-{number}\r\n") for number in range(1000))
        return {number for number, field in fields if caller_of(recorder, made, "/users", field) is not None}

    assert chosen(0.1) < chosen(0.3) < chosen(1.0)
    assert chosen(0.3) != chosen(0.3, b"l" * 32)


@pytest.mark.parametrize(("path", "fields", "address", "caller"), [
    ("/orders", "Cookie: sid=a; b=c\r\nX-User-Id: 9\r\n", "192.0.2.7", b"a"),
    ("/orders", "X-User-Id: 9\r\n", "192.0.2.7", b"9"),
    ("/orders", "X-User-Id: 9\r\nX-User-Id: 8\r\n", "192.0.2.7", b"8\x009"),
    ("/orders", "X-User-Id:\r\n", "192.0.2.7", b"192.0.2.7"),
    ("/users", "Cookie: sid=a\r\n", "192.0.2.7", b"192.0.2.7"),
    ("/users", "", "2001:db8:1:2:3::4", b"2001:db8:1:2::"),
    ("/elsewhere", "X-User-Id: 9\r\n", "192.0.2.7", b"192.0.2.7"),
])  # fmt: skip
def test_a_caller_is_the_first_sticky_key_else_the_address(path: str, fields: str, address: str, caller: bytes) -> None:
    assert caller_of(Recorder(wanted(), Metrics()), snapshot(), path, fields, address) == caller


def test_with_names_only_their_routes_are_recorded() -> None:
    recorder, made = Recorder(wanted(["users"]), Metrics()), snapshot()
    assert [caller_of(recorder, made, path) for path in ("/users", "/orders", "/elsewhere")] == [
        b"192.0.2.7",
        None,
        None,
    ]


# What a worker sends


async def recording_plane(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream, message: RecordingWanted, **changes: object
) -> tuple[RunningPlane, Link]:
    link = Link()
    made = two_arms(legacy, candidate, **changes)  # type: ignore[arg-type]
    plane = await serve(made, link=link)
    plane.context.captures.record(message)
    return plane, link


def sent(plane: RunningPlane, link: Link) -> list[Captured]:
    plane.context.captures.flush()
    return [message for message in link.messages if isinstance(message, Captured)]


async def test_a_request_with_a_shadow_is_sent_once_for_both(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    shadow = factories.shadow(100, of="any", max_body_bytes=10)
    plane, link = await recording_plane(serve, legacy, candidate, wanted(), shadow=shadow)
    plane.context.captures.set_credits([CaptureGrant("orders", 1, "full")])
    client = await plane.client()
    for body in (b"x" * 50, b"x" * 150):
        await client.ask(request("/api", method="GET", body=body))
    first, second = sent(plane, link)
    assert (first.is_for_shadow, first.recording, first.body) == (True, 7, b"x" * 50)
    assert (second.is_for_shadow, second.recording) == (False, 7)  # no credit for a second shadow
    assert (second.body, second.body_bytes, second.is_body_complete) == (b"", 150, False)
    assert second.response.body in (b"candidate", b"legacy")
    assert first.took_s > 0


async def test_what_the_proxy_refuses_is_not_recorded(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    plane, link = await recording_plane(serve, legacy, candidate, wanted())
    client = await plane.client()
    assert (await client.ask(request("/api", "Content-Length: x"))).status == 400
    assert sent(plane, link) == []


async def test_a_shadow_of_a_trusted_proxy_is_not_recorded(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    general = {"trusted_proxies": ("127.0.0.1",)}
    plane, link = await recording_plane(serve, legacy, candidate, wanted(), general=general)
    client = await plane.client()
    await client.ask(request("/api", "X-Strangler-Shadow: 1"))
    await client.ask(request("/nowhere"))
    (captured,) = sent(plane, link)
    assert (captured.route, captured.target, captured.caller) == ("", b"/nowhere", b"127.0.0.1")


async def test_an_upgrade_is_not_recorded(serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream) -> None:
    candidate.script = responding(send(b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"))
    legacy.script = candidate.script
    plane, link = await recording_plane(serve, legacy, candidate, wanted())
    client = await plane.client()
    await client.send(request("/api", "Connection: Upgrade", "Upgrade: x"))
    await client.wait_for(lambda: b"101" in bytes(client.received))
    await client.close()
    await plane.quiet()
    assert sent(plane, link) == []
    assert dropped(plane.numbers, "unfinished") == 0


async def test_without_credit_it_costs_a_count(
    serve: Serve, legacy: ScriptedUpstream, candidate: ScriptedUpstream
) -> None:
    plane, link = await recording_plane(serve, legacy, candidate, wanted(credit=0))
    client = await plane.client()
    assert (await client.ask(request("/api"))).status == 200
    assert sent(plane, link) == []
    assert dropped(plane.numbers, "credit") == 1
    assert plane.context.captures.held_bytes == 0
