import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.core.resilience.window import SlidingWindow


@given(st.lists(st.tuples(st.integers(0, 60), st.booleans()), min_size=1, max_size=60))
def test_the_window_counts_the_events_of_its_last_ten_slots(steps: list[tuple[int, bool]]) -> None:
    window = SlidingWindow(10.0)
    events: list[tuple[int, bool]] = []
    quarters = 0
    for wait, is_marked in steps:
        quarters += wait
        now = quarters / 4
        window.add(now)
        if is_marked:
            window.mark(now)
        events.append((int(now), is_marked))
        recent = [marked for second, marked in events if second > int(now) - 10]
        assert window.totals(now) == (len(recent), sum(recent))


@pytest.mark.parametrize(("now", "count"), [(9.0, 1), (9.99, 1), (10.0, 0), (1e9, 0)])
def test_an_event_leaves_with_its_slot(now: float, count: int) -> None:
    window = SlidingWindow(10.0)
    window.add(0.5)
    assert window.totals(now) == (count, 0)


def test_asking_is_enough_to_let_time_pass() -> None:
    window = SlidingWindow(10.0)
    window.mark(0.0)
    window.totals(5.0)
    window.mark(5.0)
    assert window.totals(12.0) == (0, 1)


def test_a_window_spans_some_time() -> None:
    with pytest.raises(ValueError, match="more than 0 s"):
        SlidingWindow(0.0)
