"""A body on its way: what waits, what is kept, who is paused."""

import asyncio
from collections.abc import Iterable
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.http1.body import KEPT_BYTES, Body
from strangler.http1.chunked import ChunkedDecoder

MUCH = bytes(65 * 1024)


class Source:
    """Where a body comes from: knows whether it is stopped."""

    def __init__(self) -> None:
        self.is_stopped = False
        self.stops = 0

    def pause_reading(self) -> None:
        self.is_stopped = True
        self.stops += 1

    def resume_reading(self) -> None:
        self.is_stopped = False


class Out:
    """Where it goes to. With `full_at` it says, while it is being written to, that it is full; and says it once."""

    def __init__(self, full_at: int | None = None) -> None:
        self.data = b""
        self.writes = 0
        self.body: Body | None = None
        self._full_at = full_at

    def write(self, data: bytes) -> None:
        self.writes += 1
        self.data += data
        if self._full_at is not None and self.body is not None and len(self.data) > self._full_at:
            self._full_at = None
            self.body.pause()

    def writelines(self, parts: Iterable[bytes]) -> None:
        self.write(b"".join(parts))


def attach(body: Body, out: Out, head: bytes = b"HEAD", *, chunked: bool = False) -> None:
    out.body = body
    body.attach(cast(asyncio.Transport, cast(Any, out)), head, chunked=chunked)


def made(*, keep: bool = False) -> tuple[Body, Source]:
    source = Source()
    return Body(source, keep=keep), source


def test_what_comes_before_and_after_it_is_attached_goes_out_in_order() -> None:
    body, _ = made()
    out = Out()
    body.feed(b"one ")
    body.feed(b"two ")
    attach(body, out)
    body.feed(b"three")
    body.finish()
    assert (out.data, body.received_bytes) == (b"HEADone two three", 13)


def test_small_beginnings_leave_with_the_head_in_one_write() -> None:
    body, _ = made()
    out = Out()
    body.feed(b"small")
    attach(body, out)
    assert (out.writes, out.data) == (1, b"HEADsmall")


@pytest.mark.parametrize("when", ["before", "after", "between"])
def test_a_chunked_body_goes_out_as_chunks_with_its_trailers(when: str) -> None:
    body, _ = made()
    out = Out()
    if when == "after":
        attach(body, out, chunked=True)
    body.feed(b"abc")
    body.feed(b"")  # would end it
    if when == "between":
        attach(body, out, chunked=True)
    body.feed(b"defgh")
    body.finish([(b"X-Sum", b"1")])
    if when == "before":
        attach(body, out, chunked=True)
    decoder = ChunkedDecoder()
    assert decoder.feed(out.data.removeprefix(b"HEAD")) == (b"abcdefgh", b"")
    assert (decoder.is_done, decoder.trailers) == (True, [(b"X-Sum", b"1")])


def test_a_source_is_stopped_while_much_waits_for_a_place_to_go() -> None:
    body, source = made()
    body.feed(MUCH)
    assert (source.is_stopped, body.is_paused) == (True, True)
    attach(body, Out())
    assert (source.is_stopped, body.is_paused) == (False, False)


def test_a_source_is_stopped_while_the_other_side_does_not_read() -> None:
    body, source = made()
    attach(body, Out())
    body.pause()
    body.pause()
    assert (source.is_stopped, source.stops) == (True, 1)
    body.resume()
    assert not source.is_stopped


@pytest.mark.parametrize("is_waiting", [False, True], ids=["little waits", "much waits"])
def test_being_full_is_not_forgotten_when_it_is_said_during_the_first_write(is_waiting: bool) -> None:
    body, source = made()
    body.feed(MUCH if is_waiting else b"little")
    attach(body, Out(full_at=0))
    assert (source.is_stopped, body.is_paused) == (True, True)


def test_a_finished_body_leaves_its_source_running() -> None:
    body, source = made()
    attach(body, Out())
    body.feed(b"the last")
    body.pause()
    body.finish()
    assert not source.is_stopped
    body.pause()
    assert not source.is_stopped


@pytest.mark.parametrize("size", [0, 1, KEPT_BYTES - 1, KEPT_BYTES])
def test_a_kept_body_is_sent_again_from_its_first_byte(size: int) -> None:
    body, _ = made(keep=True)
    first, second = Out(), Out()
    data = bytes(range(256)) * 256
    body.feed(data[: size // 2])
    attach(body, first)
    body.feed(data[size // 2 : size])
    body.detach()
    assert body.rewind()
    attach(body, second)
    body.finish()
    assert first.data == second.data == b"HEAD" + data[:size]


def test_a_body_that_is_too_long_to_keep_is_not_sent_again() -> None:
    body, _ = made(keep=True)
    attach(body, Out())
    body.feed(bytes(KEPT_BYTES + 1))
    assert (body.is_resendable, body.rewind()) == (False, False)


def test_a_body_that_went_nowhere_yet_can_always_be_sent() -> None:
    body, source = made(keep=True)
    out = Out()
    body.feed(MUCH + MUCH)
    assert (body.is_resendable, body.rewind()) == (True, True)
    attach(body, out)
    assert out.data == b"HEAD" + MUCH + MUCH
    assert not source.is_stopped


def test_a_released_body_is_not_sent_again() -> None:
    body, _ = made(keep=True)
    attach(body, Out())
    body.feed(b"abc")
    body.release()
    assert (body.is_resendable, body.rewind()) == (False, False)


def test_what_comes_while_it_is_detached_is_sent_with_the_rest() -> None:
    body, _ = made(keep=True)
    attach(body, Out())
    body.feed(b"one ")
    body.detach()
    body.feed(b"two ")
    assert body.rewind()
    body.feed(b"three ")
    out = Out()
    attach(body, out)
    body.feed(b"four")
    body.finish()
    assert out.data == b"HEADone two three four"


def test_a_tee_sees_every_byte_once() -> None:
    class Seen:
        def __init__(self) -> None:
            self.data = b""

        def feed(self, data: bytes) -> None:
            self.data += data

    body, _ = made(keep=True)
    tee = Seen()
    body.feed(b"one ")
    body.observe(tee)
    attach(body, Out(), chunked=True)
    body.feed(b"two ")
    body.detach()
    body.feed(b"three")
    assert body.rewind()
    attach(body, Out(), chunked=True)
    body.finish()
    assert tee.data == b"one two three"


_Step = st.one_of(st.binary(max_size=40_000), st.sampled_from(["attach", "detach and rewind", "pause", "resume"]))


@given(st.lists(_Step, max_size=12), st.booleans())
def test_whatever_happens_on_the_way_the_last_place_gets_all_of_it(steps: list[bytes | str], chunked: bool) -> None:
    """Up to what is kept: or the rewind says that it cannot."""
    body, _ = made(keep=True)
    out, fed = Out(), b""
    is_attached = False
    for step in steps:
        if isinstance(step, bytes):
            body.feed(step)
            fed += step
        elif step == "attach" and not is_attached:
            attach(body, out, chunked=chunked)
            is_attached = True
        elif step == "detach and rewind" and is_attached:
            body.detach()
            assert body.is_resendable == (len(fed) <= KEPT_BYTES)
            if not body.rewind():
                return
            out, is_attached = Out(), False
        elif step == "pause":
            body.pause()
        elif step == "resume":
            body.resume()
    if not is_attached:
        attach(body, out, chunked=chunked)
    body.finish()
    sent = out.data.removeprefix(b"HEAD")
    assert (ChunkedDecoder().feed(sent)[0] if chunked else sent) == fed
