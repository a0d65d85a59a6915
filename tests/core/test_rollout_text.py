"""The standing of a rollout in words."""

import pytest

from strangler.core.rollout.position import WaitsFor
from strangler.core.rollout_text import ladder_text, next_percent, percents_text, step_text, waits_phrase, waits_text

STEPS = [1.0, 5.0, 25.0, 50.0, 100.0]
MANY = [float(step) for step in range(5, 105, 5)]


@pytest.mark.parametrize(
    ("steps", "percent", "text"),
    [
        (STEPS, 25.0, "1 5 [25] 50 100"),
        (STEPS, 0.0, "[0] 1 5 25 50 100"),
        (STEPS, 100.0, "1 5 25 50 [100]"),
        (STEPS, 10.0, "1 5 [10] 25 50 100"),
        ([0.5, 2.25], 0.5, "[0.5] 2.25"),
        (MANY, 50.0, "5 … 40 45 [50] 55 60 … 100"),
        (MANY, 0.0, "[0] 5 10 … 100"),
        (MANY, 5.0, "[5] 10 15 … 100"),
        (MANY, 15.0, "5 10 [15] 20 25 … 100"),
        (MANY, 20.0, "5 10 15 [20] 25 30 … 100"),
        (MANY, 95.0, "5 … 85 90 [95] 100"),
        (MANY, 100.0, "5 … 90 95 [100]"),
    ],
)
def test_a_ladder_has_the_percent_in_force_in_brackets(steps: list[float], percent: float, text: str) -> None:
    assert ladder_text(steps, percent) == text


def test_the_next_percent_is_the_step_above() -> None:
    assert [next_percent(STEPS, percent) for percent in (0.0, 10.0, 25.0, 100.0)] == [1.0, 25.0, 50.0, None]


@pytest.mark.parametrize(
    ("waits_for", "percent", "text"),
    [
        ("approve", 50.0, "approval of 50 %"),
        ("approve", None, "approval"),
        ("within", 50.0, "window"),
        ("kill_switch", 50.0, "kill switch"),
        ("something_new", 50.0, "something_new"),
        (None, 50.0, "-"),
    ],
)
def test_what_it_waits_for_is_a_word(waits_for: str | None, percent: float | None, text: str) -> None:
    assert waits_text(waits_for, percent) == text


@pytest.mark.parametrize("waits_for", WaitsFor)
def test_everything_that_is_waited_for_has_its_words(waits_for: WaitsFor) -> None:
    assert waits_text(waits_for).replace(" ", "").isalpha()
    assert waits_phrase(waits_for) != f"for {waits_for}" or waits_for == "evidence"


def test_the_words_go_on_after_it_waits() -> None:
    assert waits_phrase("within") == "for its window"
    assert waits_phrase("something_new") == "for something_new"


def test_a_step_is_counted_from_the_first() -> None:
    assert step_text(3, STEPS) == "step 3 of 5"
    assert step_text(0, STEPS) == "before the first of 5 steps"
    assert step_text(0, [100.0]) == "before the first of 1 step"


@pytest.mark.parametrize(
    ("what", "before", "after", "text"),
    [
        ("stepped", 5.0, 25.0, "5 → 25 %"),
        ("failed", 25.0, 5.0, "25 → 5 %"),
        ("pause", 25.0, 25.0, "25 %"),
        ("approve", 25.0, 50.0, "50 %"),
        ("waiting", 25.0, 50.0, "50 %"),
    ],
)
def test_only_a_move_has_two_percents(what: str, before: float, after: float, text: str) -> None:
    assert percents_text(what, before, after) == text
