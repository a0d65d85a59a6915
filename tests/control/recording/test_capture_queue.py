"""The queue of a recording: workers send ahead what was granted, and no more, whoever reads how slowly."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from strangler.control.recording.capture_queue import LEAST_WINDOW, QUEUE_BYTES, CaptureQueue
from strangler.ipc.messages import recorded_bytes
from tests.worker.test_capture import captured


def test_a_worker_gets_new_credit_once_a_quarter_of_it_is_taken() -> None:
    queue, capture = CaptureQueue(), replace(captured(), body=b"x" * (QUEUE_BYTES // 10))
    credit = queue.join("a")
    assert credit == QUEUE_BYTES
    for _ in range(3):
        queue.put("a", capture)
    size = recorded_bytes(capture)
    assert queue.bytes == 3 * size
    assert queue.release(queue.take(2, 10 * size)) == {}
    assert queue.release(queue.take(2, 10 * size)) == {"a": credit + 3 * size}
    assert (queue.bytes, len(queue)) == (0, 0)


def test_workers_share_the_queue() -> None:
    queue = CaptureQueue()
    assert [queue.join(name) for name in "abcd"] == [QUEUE_BYTES // each for each in (1, 2, 3, 4)]
    for number in range(100):
        credit = queue.join(f"w{number}")
    assert credit == LEAST_WINDOW


def test_a_batch_is_bounded_in_number_and_bytes() -> None:
    queue, capture = CaptureQueue(), captured(b"x" * 1000)
    for _ in range(10):
        queue.put("a", capture)
    assert len(queue.take(3, 1 << 20)) == 3
    assert len(queue.take(9, 2 * recorded_bytes(capture))) == 2


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 500_000)), max_size=80))
def test_a_worker_that_keeps_to_its_credit_never_fills_the_memory(steps: list[tuple[bool, int]]) -> None:
    """A model of a worker: it sends while credit is left, and the last capture may be larger than what is left."""
    queue = CaptureQueue(queue_bytes=LEAST_WINDOW)
    credit, sent_bytes = queue.join("a"), 0
    for is_sending, size in steps:
        if is_sending and sent_bytes < credit:
            message = captured(b"x" * size)
            sent_bytes += recorded_bytes(message)
            queue.put("a", message)
        elif not is_sending:
            credit = queue.release(queue.take(1, 1)).get("a", credit)
        assert queue.bytes <= LEAST_WINDOW + 500_000 + 2000
    while len(queue):
        credit = queue.release(queue.take(1, 1)).get("a", credit)
    assert queue.bytes == 0
    assert credit - sent_bytes > LEAST_WINDOW // 2  # nothing was lost on the way


def test_a_worker_that_connects_again_begins_anew() -> None:
    queue, capture = CaptureQueue(), captured(b"x" * QUEUE_BYTES)
    queue.join("a")
    queue.put("a", capture)
    queue.leave("a")
    assert queue.join("a") == QUEUE_BYTES
    assert queue.release(queue.take(1, 1))["a"] > QUEUE_BYTES
