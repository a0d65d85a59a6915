"""Copies for shadows: bounded, given up at once when too much, and never in the way."""

from typing import Any

from strangler.core.framing import Framing, Kind
from strangler.wire.body import Body
from strangler.wire.messages import ShadowRoom
from strangler.wire.numbers import Numbers
from strangler.wire.parse import Answer, parse_answer
from strangler.worker.capture import Capture, Captures


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
    return Capture(captures, "orders", max_bytes)


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
    capture.request.feed(b"12345")
    capture.answer.feed(b"123456")
    assert captures.held_bytes == 11
    capture.answer.feed(b"789012")
    assert capture.answer.is_too_large
    assert captures.held_bytes == 0
    assert capture.request.content() == capture.answer.content() == b""
    capture.answer.feed(b"3")
    assert (capture.answer.size, captures.held_bytes) == (13, 0)


def test_a_body_of_just_the_limit_is_kept() -> None:
    capture = held(Captures(Numbers()), max_bytes=10)
    capture.answer.feed(b"1234567890")
    assert not capture.answer.is_too_large
    assert capture.answer.content() == b"1234567890"


def test_too_much_in_all_gives_up_the_one_that_asks_for_more() -> None:
    numbers = Numbers()
    captures = Captures(numbers, max_held_bytes=10)
    first, second = held(captures), held(captures)
    first.answer.feed(b"12345678")
    second.answer.feed(b"123")
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
    assert captures._rooms["orders"].left == 1


def test_without_a_link_an_offer_is_dropped_and_counted() -> None:
    numbers = Numbers()
    captures = Captures(numbers)
    message: Any = None  # nobody looks at it
    captures.offer(held(captures), message)
    assert dropped(numbers, "link") == 1
