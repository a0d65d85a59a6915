"""Callers in bounded memory: how many, and what the busiest did."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.core.rollout.caller_sketch import MAX_BUSIEST, CallerCounts, CallerSketch, sketch_of
from tests.core.rollout.draws import hashed


def sketch(callers: range, requests: int = 1) -> CallerSketch:
    return sketch_of({hashed(number): CallerCounts(requests) for number in callers})


@pytest.mark.parametrize(
    ("callers", "least", "most"),
    [(0, 0, 0), (1, 1, 1), (5, 5, 5), (20, 18, 22), (100, 90, 110), (1000, 850, 1150), (20_000, 16_000, 24_000)],
)
def test_callers_are_counted_well_enough(callers: int, least: int, most: int) -> None:
    assert least <= sketch(range(callers)).callers <= most


def test_a_caller_counts_once() -> None:
    once = sketch(range(30))
    assert once.merged(sketch(range(30))).callers == once.callers


hashes = st.integers(0, 2**64 - 1)
sketches = st.dictionaries(hashes, st.builds(CallerCounts, st.integers(1, 1000)), max_size=30).map(sketch_of)


@given(sketches, sketches, sketches)
def test_workers_may_be_merged_in_any_order(first: CallerSketch, second: CallerSketch, third: CallerSketch) -> None:
    one_way, other_way = first.merged(second).merged(third), third.merged(first).merged(second)
    assert one_way.registers == other_way.registers
    assert len(one_way.busiest) <= MAX_BUSIEST


@given(st.lists(sketches, min_size=1, max_size=6), st.integers(1, 100))
def test_a_caller_with_most_requests_is_the_busiest(others: list[CallerSketch], more: int) -> None:
    """However the rest is spread over callers and workers."""
    total = sum(caller.counts.requests for each in others for caller in each.busiest.values())
    bot = sketch_of({hashed(-1): CallerCounts(31 * 1000 * len(others) + more, 7, (1, 2))})
    found = others[0]
    for each in (*others[1:], bot):
        found = found.merged(each)
    assert total < 31 * 1000 * len(others)
    assert found.busiest_caller.failed >= 7
    assert found.busiest_caller.requests >= 31 * 1000 * len(others)


def test_a_newcomer_gets_a_counter_in_the_end() -> None:
    """Sixteen callers were busy once; another comes in small reports, each smaller than all of their counters."""
    found = sketch(range(MAX_BUSIEST), requests=100)
    for _ in range(100):
        found = found.merged(sketch_of({hashed(77): CallerCounts(10)}))
    assert hashed(77) in found.busiest
    assert found.busiest_caller.requests > 800


def test_the_failures_and_times_of_the_busiest_are_summed() -> None:
    bot = sketch_of({5: CallerCounts(100, 10, (60, 40))})
    found = bot.merged(sketch(range(100))).merged(bot)
    assert found.busiest_caller == CallerCounts(200, 20, (120, 80))


def test_the_memory_is_bounded_and_can_be_stored() -> None:
    found = sketch(range(20_000))
    data = msgspec.json.encode(found)
    assert len(data) < 3000
    assert msgspec.json.decode(data, type=CallerSketch) == found
    bot = sketch_of({2**64 - 1: CallerCounts(100, 10, (60, 40))})
    assert msgspec.json.decode(msgspec.json.encode(bot), type=CallerSketch) == bot
