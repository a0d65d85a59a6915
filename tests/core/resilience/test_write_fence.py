import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.core.fault import Fault
from strangler.core.resilience.write_fence import FenceMark, WriteFence, is_fencing
from strangler.core.result import Result


@pytest.mark.parametrize(
    ("method", "result", "expected"),
    [
        pytest.param(b"POST", Result(None, 201, 0.1), True, id="POST 201"),
        pytest.param(b"PUT", Result(None, 204, 0.1), True, id="PUT 204"),
        pytest.param(b"POST", Result(None, 303, 0.1), True, id="POST 303, as after a form"),
        pytest.param(b"DELETE", Result(Fault.RESET, 200, 0.1), True, id="the answer broke after its head"),
        pytest.param(b"POST", Result(None, 400, 0.1), False, id="POST 400"),
        pytest.param(b"POST", Result(None, 500, 0.1), False, id="POST 500"),
        pytest.param(b"POST", Result(Fault.CONNECT, None, 0.1), False, id="POST unsent"),
        pytest.param(b"GET", Result(None, 200, 0.1), False, id="GET 200"),
        pytest.param(b"OPTIONS", Result(None, 204, 0.1), False, id="OPTIONS 204"),
    ],
)
def test_a_successful_answer_to_an_unsafe_method_fences(method: bytes, result: Result, expected: bool) -> None:
    assert is_fencing(method, result) is expected


def test_a_fence_holds_for_its_time() -> None:
    fence = WriteFence()
    fence.record("orders", b"ana", now=100.0, fence_s=60.0)
    assert fence.is_fenced("orders", b"ana", 159.9)
    assert not fence.is_fenced("orders", b"ana", 160.0)


@pytest.mark.parametrize(("group", "key"), [("orders", b"bob"), ("carts", b"ana"), ("orders", b""), ("order", b"sana")])
def test_a_fence_is_for_one_caller_of_one_group(group: str, key: bytes) -> None:
    fence = WriteFence()
    fence.record("orders", b"ana", 100.0, 60.0)
    assert not fence.is_fenced(group, key, 100.0)


def test_a_later_write_lengthens_it_and_a_shorter_one_does_not_cut_it() -> None:
    fence = WriteFence()
    fence.record("orders", b"ana", 100.0, 60.0)
    fence.record("orders", b"ana", 110.0, 5.0)
    assert fence.is_fenced("orders", b"ana", 159.0)
    fence.record("orders", b"ana", 150.0, 60.0)
    assert fence.is_fenced("orders", b"ana", 209.0)


def test_fence_0_is_none() -> None:
    fence = WriteFence()
    fence.record("orders", b"ana", 100.0, 0.0)
    assert not fence.is_fenced("orders", b"ana", 100.0)
    assert len(fence) == 0


def test_a_mark_does_not_show_the_caller() -> None:
    mark = WriteFence().record("orders", b"ana@example.com", 100.0, 60.0)
    assert mark == FenceMark("orders", mark.digest, 160.0)
    assert len(mark.digest) == 8
    assert b"ana" not in mark.digest


def test_memory_is_bounded_and_an_overflow_fences_the_whole_group() -> None:
    fence = WriteFence(capacity=10)
    for number in range(1000):
        fence.record("orders", b"caller %d" % number, 100.0, 60.0)
    fence.record("carts", b"ana", 100.0, 5.0)
    assert len(fence) == 10
    assert all(fence.is_fenced("orders", b"caller %d" % number, 159.0) for number in range(1000))
    assert fence.is_fenced("orders", b"somebody else", 159.0)
    assert not fence.is_fenced("users", b"ana", 101.0)
    assert not fence.is_fenced("carts", b"ana", 105.0)
    assert not fence.is_fenced("orders", b"caller 999", 160.0)


def test_room_comes_back_as_fences_end() -> None:
    fence = WriteFence(capacity=10)
    for number in range(10):
        fence.record("orders", b"caller %d" % number, 100.0, 60.0)
    fence.record("orders", b"ana", 160.0, 60.0)
    assert len(fence) == 1
    assert not fence.is_fenced("orders", b"bob", 161.0)


def test_a_fence_that_is_renewed_does_not_keep_others_in_memory() -> None:
    fence = WriteFence(capacity=2)
    fence.record("orders", b"ana", 100.0, 60.0)
    fence.record("orders", b"bob", 110.0, 60.0)
    fence.record("orders", b"ana", 150.0, 60.0)
    fence.record("orders", b"eve", 171.0, 60.0)
    assert not fence.is_fenced("orders", b"joe", 172.0)


def test_a_caller_who_is_held_already_needs_no_room() -> None:
    fence = WriteFence(capacity=1)
    fence.record("orders", b"ana", 100.0, 60.0)
    fence.record("orders", b"ana", 110.0, 60.0)
    assert not fence.is_fenced("orders", b"bob", 111.0)


WRITES = st.lists(
    st.tuples(
        st.sampled_from(["orders", "carts"]),
        st.sampled_from([b"ana", b"bob", b"eve", b"joe"]),
        st.integers(0, 20),
        st.sampled_from([5.0, 60.0]),
    ),
    max_size=20,
)


@given(WRITES, st.integers(1, 5), st.integers(0, 99))
def test_a_fence_is_never_forgotten(writes: list[tuple[str, bytes, int, float]], capacity: int, after_s: int) -> None:
    """It may hold too long when memory is short, never too briefly."""
    fence = WriteFence(capacity)
    now = 0.0
    until: dict[tuple[str, bytes], float] = {}
    for group, key, wait_s, fence_s in writes:
        now += wait_s
        fence.record(group, key, now, fence_s)
        until[group, key] = max(until.get((group, key), 0.0), now + fence_s)
        assert len(fence) <= capacity
    now += after_s
    for (group, key), end in until.items():
        assert fence.is_fenced(group, key, now) or now >= end


@given(WRITES, st.randoms(use_true_random=False))
def test_workers_agree_in_whatever_order_marks_come(
    writes: list[tuple[str, bytes, int, float]], random: object
) -> None:
    first, second = WriteFence(), WriteFence()
    marks = [first.record(group, key, 50.0 + at, fence_s) for group, key, at, fence_s in writes]
    shuffled = marks * 2
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    for mark in shuffled:
        second.merge(mark, 70.0)
    for group, key, _, _ in writes:
        for now in (70.0, 74.0, 100.0, 120.0):
            assert first.is_fenced(group, key, now) == second.is_fenced(group, key, now)


def test_a_mark_is_news_once() -> None:
    fence = WriteFence()
    mark = FenceMark("orders", b"8 bytes.", 160.0)
    assert fence.merge(mark, 100.0)
    assert not fence.merge(mark, 100.0)
    assert not fence.merge(FenceMark("orders", b"8 bytes.", 150.0), 100.0)
    assert fence.merge(FenceMark("orders", b"8 bytes.", 170.0), 100.0)
    assert not fence.merge(FenceMark("orders", b"another.", 100.0), 100.0)


def test_a_mark_without_a_digest_fences_the_whole_group() -> None:
    fence = WriteFence()
    assert fence.merge(FenceMark("orders", b"", 160.0), 100.0)
    assert not fence.merge(FenceMark("orders", b"", 160.0), 100.0)
    assert fence.is_fenced("orders", b"anyone", 159.0)
    assert not fence.is_fenced("orders", b"anyone", 160.0)
    assert not fence.is_fenced("carts", b"anyone", 159.0)


@given(WRITES, st.integers(1, 5))
def test_who_comes_late_learns_all_that_holds(writes: list[tuple[str, bytes, int, float]], capacity: int) -> None:
    first, late = WriteFence(capacity), WriteFence(capacity)
    for group, key, at, fence_s in sorted(writes, key=lambda write: write[2]):
        first.record(group, key, 50.0 + at, fence_s)
    marks = list(first.marks(70.0))
    for mark in marks:
        assert late.merge(mark, 70.0)
    for group, key, _, _ in writes:
        for now in (70.0, 74.0, 100.0, 120.0):
            assert late.is_fenced(group, key, now) == first.is_fenced(group, key, now)
