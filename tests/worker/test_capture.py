"""Copies for shadows: bounded, given up at once when too much, and never in the way."""

import gc

from strangler.core.http.framing import Framing, Kind
from strangler.core.result import Result
from strangler.http1.body import Body
from strangler.http1.response import ResponseHead, parse_response
from strangler.ipc.messages import Captured, CapturedResponse, CaptureGrant
from strangler.ipc.metrics import Metrics
from strangler.worker.capture import NO_CAPTURE, Capture
from strangler.worker.captures import Captures


class Still:
    """A source that does not mind."""

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


def response_of(content_type: str = "application/json") -> ResponseHead:
    made = parse_response(
        b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: 9\r\n\r\n" % content_type.encode(),
        is_head_response=False,
    )
    assert made is not None
    assert made.framing == Framing(Kind.LENGTH, 9)
    return made


def dropped(metrics: Metrics, reason: str) -> float:
    return metrics.counter("strangler_shadow_dropped_total", "orders", reason).value


def held(captures: Captures, max_bytes: int = 100) -> Capture:
    return Capture(captures, "orders", captures.credit("orders"), None, max_bytes)


def captured(body: bytes = b"") -> Captured:
    response = CapturedResponse(200, b"", body, None, 0.01, len(body), False, False)
    return Captured(
        "orders", 0.0, b"GET", b"/", b"shop", b"", b"", True, b"", b"", "legacy", "legacy", "", response, None
    )


class Link:
    """Takes what it is offered, as long as it is there."""

    def __init__(self) -> None:
        self.taken: list[object] = []
        self.is_there = True

    @property
    def is_connected(self) -> bool:
        return self.is_there

    def offer(self, message: object) -> bool:
        if self.is_there:
            self.taken.append(message)
        return self.is_there


def linked(metrics: Metrics, room: int) -> tuple[Captures, Link]:
    link = Link()
    captures = Captures(metrics, link)
    captures.set_credits([CaptureGrant("orders", room, "full")])
    return captures, link


def test_what_came_before_it_was_watched_is_kept_too() -> None:
    body = Body(Still())
    body.feed(b"before ")
    capture = held(Captures(Metrics()))
    capture.watch(response_of(), b"", body)
    body.feed(b"after")
    assert capture.response.content() == b"before after"


def test_a_body_that_came_with_its_head_is_kept() -> None:
    capture = held(Captures(Metrics()))
    capture.watch(response_of(), b"whole", None)
    assert capture.response.content() == b"whole"


def test_a_body_beyond_the_limit_is_counted_and_all_bytes_are_let_go() -> None:
    captures = Captures(Metrics())
    capture = held(captures, max_bytes=10)
    capture.copy_request().feed(b"12345")
    capture.copy_response().feed(b"123456")
    assert captures.held_bytes == 11
    capture.response.feed(b"789012")
    assert capture.response.is_too_large
    assert captures.held_bytes == 0
    assert capture.request.content() == capture.response.content() == b""
    capture.response.feed(b"3")
    assert (capture.response.size, captures.held_bytes) == (13, 0)


def test_a_body_of_just_the_limit_is_kept() -> None:
    capture = held(Captures(Metrics()), max_bytes=10)
    capture.copy_response().feed(b"1234567890")
    assert not capture.response.is_too_large
    assert capture.response.content() == b"1234567890"


def test_too_much_in_all_gives_up_the_one_that_asks_for_more() -> None:
    metrics = Metrics()
    captures = Captures(metrics, max_held_bytes=10)
    first, second = held(captures), held(captures)
    first.copy_response().feed(b"12345678")
    second.copy_response().feed(b"123")
    assert (second.is_over, first.is_over) == (True, False)
    assert captures.held_bytes == 8
    assert dropped(metrics, "memory") == 1
    first.abandon()
    assert captures.held_bytes == 0


def test_a_stream_is_not_kept() -> None:
    captures = Captures(Metrics())
    for kind in ("text/event-stream", "Text/Event-Stream; charset=utf-8", "multipart/x-mixed-replace; boundary=a"):
        capture = held(captures)
        body = Body(Still())
        capture.watch(response_of(kind), b"", body)
        body.feed(b"data: 1\n\n")
        assert capture.is_streaming
        assert captures.held_bytes == 0


def test_one_whose_client_left_is_given_up_once_and_its_place_is_free() -> None:
    metrics = Metrics()
    captures = Captures(metrics)
    captures.set_credits([CaptureGrant("orders", 0, "full")])
    capture = held(captures)
    capture.abandon()
    capture.abandon()
    assert dropped(metrics, "unfinished") == 1
    assert captures.credit("orders").left == 1


def test_what_is_finished_is_told_at_once_if_control_waits_for_just_that() -> None:
    captures, link = linked(Metrics(), room=0)
    captures.offer(captures.credit("orders"), None, captured())
    assert len(link.taken) == 1


def test_with_room_for_more_it_is_told_with_others_or_at_the_next_tick() -> None:
    captures, link = linked(Metrics(), room=100)
    for _ in range(9):
        captures.offer(captures.credit("orders"), None, captured())
    assert len(link.taken) == 8
    captures.flush()
    assert len(link.taken) == 9


def test_what_waits_to_be_told_is_bounded_in_bytes() -> None:
    captures, link = linked(Metrics(), room=100)
    captures.offer(captures.credit("orders"), None, captured(b"x" * 40_000))
    assert link.taken == []
    captures.offer(captures.credit("orders"), None, captured(b"x" * 40_000))
    assert len(link.taken) == 2


def test_what_the_link_does_not_take_is_counted_and_its_place_is_free_again() -> None:
    metrics = Metrics()
    captures, link = linked(metrics, room=5)
    link.is_there = False
    captures.offer(captures.credit("orders"), None, captured())
    captures.flush()
    assert dropped(metrics, "link") == 1
    assert captures.credit("orders").left == 6


def test_without_control_there_is_no_room_whatever_is_given_back() -> None:
    captures, _ = linked(Metrics(), room=5)
    capture = held(captures)
    captures.close_credits()
    capture.abandon()
    assert captures.credit("orders").left == 0
    captures.set_credits([CaptureGrant("orders", 3, "full")])
    assert captures.credit("orders").left == 3


def test_a_capture_that_is_over_is_no_cycle() -> None:
    captures, _ = linked(Metrics(), room=5)
    gc.collect(0)
    gc.disable()
    capture = held(captures)
    body = Body(Still())
    capture.watch(response_of(), b"", body)
    body.feed(b"some")
    capture.abandon()
    body.feed(b"more, after that")
    del capture, body
    gc.enable()
    assert gc.collect(0) == 0


def test_the_capture_of_a_request_without_a_shadow_keeps_nothing() -> None:
    body = Body(Still())
    NO_CAPTURE.watch(response_of(), b"whole", body)
    NO_CAPTURE.note_failure(Result(None, 503, 0.1))
    NO_CAPTURE.abandon()
    assert body.tee is None
    assert NO_CAPTURE.is_over


def test_bytes_are_reserved_until_the_capture_is_over() -> None:
    captures = Captures(Metrics(), max_held_bytes=10)
    capture = held(captures)
    assert capture.reserve_bytes(10)
    assert not held(captures).reserve_bytes(1)
    capture.abandon()
    assert not capture.reserve_bytes(1)
    assert captures.held_bytes == 0
