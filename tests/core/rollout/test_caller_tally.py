"""Callers counted one request at a time: the sketch that a worker sends, in memory that does not grow."""

import sys
from collections import Counter
from collections.abc import Sequence
from functools import reduce
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from strangler.core.rollout.caller_sketch import BusyCaller, CallerCounts, CallerSketch, sketch_of
from strangler.core.rollout.caller_tally import MAX_BUSIEST, CallerTally
from tests.core.rollout.draws import hashed

callers = st.integers(0, 40).map(hashed) | st.sampled_from([0, 1, 255, 256, 2**62, 2**63, 2**64 - 1])
requests = st.lists(st.tuples(callers, st.integers(0, 14), st.integers(0, 1)), max_size=300)


def tally_of(some: Sequence[tuple[int, int, int]]) -> CallerTally:
    tally = CallerTally()
    for caller, bucket, failed in some:
        tally.add(caller, bucket, failed)
    return tally


def sketch(tally: CallerTally) -> CallerSketch:
    busiest = {
        caller: BusyCaller(CallerCounts(each.requests, each.failed, tuple(each.buckets)), each.counter)
        for caller, each in tally.busiest.items()
    }
    return CallerSketch(bytes(tally.registers), busiest)


@given(requests)
def test_the_registers_are_those_of_a_sketch(some: list[tuple[int, int, int]]) -> None:
    counts = Counter(caller for caller, _, _ in some)
    expected = sketch_of({caller: CallerCounts(count) for caller, count in counts.items()})
    assert sketch(tally_of(some)).registers == expected.registers


@given(requests)
def test_a_counter_is_never_too_high_and_at_most_a_17th_of_all_requests_too_low(
    some: list[tuple[int, int, int]],
) -> None:
    counts = Counter(caller for caller, _, _ in some)
    busiest = tally_of(some).busiest
    assert len(busiest) <= MAX_BUSIEST
    for caller, count in counts.items():
        counter = busiest[caller].counter if caller in busiest else 0
        assert 0 <= count - counter <= len(some) / (MAX_BUSIEST + 1)
    for caller, own in busiest.items():
        assert 0 < own.counter <= own.requests <= counts[caller]
        assert sum(own.buckets) == own.requests >= own.failed


@given(st.lists(st.sampled_from([hashed(number) for number in range(MAX_BUSIEST)]), max_size=100), st.data())
def test_few_callers_are_counted_exactly(some: list[int], data: st.DataObject) -> None:
    drawn = [(caller, data.draw(st.integers(0, 14)), data.draw(st.integers(0, 1))) for caller in some]
    busiest = tally_of(drawn).busiest
    assert {caller: own.requests for caller, own in busiest.items()} == Counter(some)
    for caller, own in busiest.items():
        assert own.failed == sum(failed for each, _, failed in drawn if each == caller)
        assert own.buckets == [sum((each, bucket) == (caller, at) for each, bucket, _ in drawn) for at in range(15)]


@given(st.lists(requests, min_size=1, max_size=5))
def test_the_tallies_of_several_workers_make_the_sketch_of_all_requests(
    workers: list[list[tuple[int, int, int]]],
) -> None:
    everything = [each for some in workers for each in some]
    merged = reduce(CallerSketch.merged, [sketch(tally_of(some)) for some in workers])
    assert merged.registers == sketch(tally_of(everything)).registers
    counts = Counter(caller for caller, _, _ in everything)
    for caller, count in counts.items():
        busy = merged.busiest.get(caller)
        counter = 0 if busy is None else busy.counter
        assert 0 <= count - counter <= len(everything) / (MAX_BUSIEST + 1)
        assert busy is None or counter <= busy.counts.requests <= count


def test_a_hundred_thousand_callers_take_no_more_memory_than_a_few() -> None:
    random = Random(7)
    tally = tally_of([(random.getrandbits(64), 3, 0) for _ in range(1000)])
    before = size_of(tally)
    for _ in range(100_000):
        tally.add(random.getrandbits(64), 3, 0)
        assert len(tally.busiest) <= MAX_BUSIEST
    assert size_of(tally) <= before + 1000
    assert 80_000 <= sketch(tally).callers <= 122_000


def size_of(tally: CallerTally) -> int:
    return sys.getsizeof(tally.registers) + sys.getsizeof(tally.busiest) + sum(map(sys.getsizeof, tally.busiest))


def test_a_bot_among_a_hundred_thousand_others_is_found_with_its_failures() -> None:
    random = Random(7)
    tally = CallerTally()
    for _ in range(100_000):
        tally.add(random.getrandbits(64), 3, 0)
        if random.random() < 0.25:
            tally.add(hashed(1), 9, 1)
    found = sketch(tally).busiest_caller
    assert found.requests == found.failed == found.buckets[9] > 24_000
