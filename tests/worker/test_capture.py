"""Copies for shadows: bounded, given up at once when too much, and never in the way."""

import gc

from strangler.core.http.framing import Framing, Kind
from strangler.core.result import Result
from strangler.http1.body import Body
from strangler.http1.response import Answer, parse_answer
from strangler.ipc.messages import Captured, CapturedAnswer, ShadowRoom
from strangler.ipc.numbers import Numbers
from strangler.worker.capture import NO_CAPTURE, Capture, Captures


class Still:
    """A source that does not mind."""

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


def answer_of(content_type: str = "application/json") -> Answer:
    made = parse_answer(
        b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: 9\r\n\r\n" % content_type.encode(), answers_head=False
    )
    assert made is not None
    assert made.framing == Framing(Kind.LENGTH, 9)
    return made


def dropped(numbers: Numbers, reason: str) -> float:
    return numbers.counter("strangler_shadow_dropped_total", "orders", reason).value


def held(captures: Captures, max_bytes: int = 100) -> Capture:
    return Capture(captures, captures.room("orders"), max_bytes)


def captured(body: bytes = b"") -> Captured:
    answer = CapturedAnswer(200, b"", body, None, 0.01, len(body), False, False)
    return Captured(
        "orders", 0.0, b"GET", b"/", b"shop", b"", b"", True, b"", b"", "legacy", "legacy", "", answer, None
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


def linked(numbers: Numbers, room: int) -> tuple[Captures, Link]:
    link = Link()
    captures = Captures(numbers, link)
    captures.set_rooms([ShadowRoom("orders", room, "full")])
    return captures, link


def test_what_came_before_it_was_watched_is_kept_too() -> None:
    body = Body(Still())
    body.feed(b"before ")
    capture = held(Captures(Numbers()))
    capture.watch(answer_of(), b"", body)
    body.feed(b"after")
    assert capture.answer.content() == b"before after"


def test_a_body_that_came_with_its_head_is_kept() -> None:
    capture = held(Captures(Numbers()))
    capture.watch(answer_of(), b"whole", None)
    assert capture.answer.content() == b"whole"


def test_a_body_beyond_the_limit_is_counted_and_all_bytes_are_let_go() -> None:
    captures = Captures(Numbers())
    capture = held(captures, max_bytes=10)
    capture.copy_request().feed(b"12345")
    capture.copy_answer().feed(b"123456")
    assert captures.held_bytes == 11
    capture.answer.feed(b"789012")
    assert capture.answer.is_too_large
    assert captures.held_bytes == 0
    assert capture.request.content() == capture.answer.content() == b""
    capture.answer.feed(b"3")
    assert (capture.answer.size, captures.held_bytes) == (13, 0)


def test_a_body_of_just_the_limit_is_kept() -> None:
    capture = held(Captures(Numbers()), max_bytes=10)
    capture.copy_answer().feed(b"1234567890")
    assert not capture.answer.is_too_large
    assert capture.answer.content() == b"1234567890"


def test_too_much_in_all_gives_up_the_one_that_asks_for_more() -> None:
    numbers = Numbers()
    captures = Captures(numbers, max_held_bytes=10)
    first, second = held(captures), held(captures)
    first.copy_answer().feed(b"12345678")
    second.copy_answer().feed(b"123")
    assert (second.is_over, first.is_over) == (True, False)
    assert captures.held_bytes == 8
    assert dropped(numbers, "memory") == 1
    first.abandon()
    assert captures.held_bytes == 0


def test_a_stream_is_not_kept() -> None:
    captures = Captures(Numbers())
    for kind in ("text/event-stream", "Text/Event-Stream; charset=utf-8", "multipart/x-mixed-replace; boundary=a"):
        capture = held(captures)
        body = Body(Still())
        capture.watch(answer_of(kind), b"", body)
        body.feed(b"data: 1\n\n")
        assert capture.is_streaming
        assert captures.held_bytes == 0


def test_one_whose_client_left_is_given_up_once_and_its_place_is_free() -> None:
    numbers = Numbers()
    captures = Captures(numbers)
    captures.set_rooms([ShadowRoom("orders", 0, "full")])
    capture = held(captures)
    capture.abandon()
    capture.abandon()
    assert dropped(numbers, "unfinished") == 1
    assert captures.room("orders").left == 1


def test_what_is_finished_is_told_at_once_if_control_waits_for_just_that() -> None:
    captures, link = linked(Numbers(), room=0)
    captures.offer(captures.room("orders"), captured())
    assert len(link.taken) == 1


def test_with_room_for_more_it_is_told_with_others_or_at_the_next_tick() -> None:
    captures, link = linked(Numbers(), room=100)
    for _ in range(9):
        captures.offer(captures.room("orders"), captured())
    assert len(link.taken) == 8
    captures.flush()
    assert len(link.taken) == 9


def test_what_waits_to_be_told_is_bounded_in_bytes() -> None:
    captures, link = linked(Numbers(), room=100)
    captures.offer(captures.room("orders"), captured(b"x" * 40_000))
    assert link.taken == []
    captures.offer(captures.room("orders"), captured(b"x" * 40_000))
    assert len(link.taken) == 2


def test_what_the_link_does_not_take_is_counted_and_its_place_is_free_again() -> None:
    numbers = Numbers()
    captures, link = linked(numbers, room=5)
    link.is_there = False
    captures.offer(captures.room("orders"), captured())
    captures.flush()
    assert dropped(numbers, "link") == 1
    assert captures.room("orders").left == 6


def test_without_control_there_is_no_room_whatever_is_given_back() -> None:
    captures, _ = linked(Numbers(), room=5)
    capture = held(captures)
    captures.close_rooms()
    capture.abandon()
    assert captures.room("orders").left == 0
    captures.set_rooms([ShadowRoom("orders", 3, "full")])
    assert captures.room("orders").left == 3


def test_a_capture_that_is_over_is_no_cycle() -> None:
    captures, _ = linked(Numbers(), room=5)
    gc.collect(0)
    gc.disable()
    capture = held(captures)
    body = Body(Still())
    capture.watch(answer_of(), b"", body)
    body.feed(b"some")
    capture.abandon()
    body.feed(b"more, after that")
    del capture, body
    gc.enable()
    assert gc.collect(0) == 0


def test_the_capture_of_a_request_without_a_shadow_keeps_nothing() -> None:
    body = Body(Still())
    NO_CAPTURE.watch(answer_of(), b"whole", body)
    NO_CAPTURE.note_failure(Result(None, 503, 0.1))
    NO_CAPTURE.abandon()
    assert body.tee is None
    assert NO_CAPTURE.is_over


def test_bytes_are_reserved_until_the_capture_is_over() -> None:
    captures = Captures(Numbers(), max_held_bytes=10)
    capture = held(captures)
    assert capture.reserve_bytes(10)
    assert not held(captures).reserve_bytes(1)
    capture.abandon()
    assert not capture.reserve_bytes(1)
    assert captures.held_bytes == 0
