"""The mistakes that a rollout's settings can have, each with its key."""

from dataclasses import replace

import pytest

from strangler.core.rollout_rules import problem_of_group, problems_of
from strangler.core.rollout_settings import ErrorSettings, EvidenceSettings, LatencySettings, RolloutSettings

DEFAULTS = RolloutSettings()


def test_the_defaults_are_those_of_the_documentation_and_have_no_problem() -> None:
    assert problems_of(DEFAULTS) == []
    assert DEFAULTS.steps == (1, 5, 25, 50, 100)
    assert (DEFAULTS.hold_s, DEFAULTS.look_s, DEFAULTS.back_hold_s) == (1800, 60, 120)
    assert (DEFAULTS.gate, DEFAULTS.failed_looks, DEFAULTS.then) == ("every", 3, "step_back")
    assert DEFAULTS.within is None


@pytest.mark.parametrize(
    ("settings", "key", "message"),
    [
        (replace(DEFAULTS, steps=()), "steps", "at least one"),
        (replace(DEFAULTS, steps=(5.0, 1.0)), "steps", "percents must rise, but 1 follows 5"),
        (replace(DEFAULTS, steps=(5.0, 5.0)), "steps", "percents must rise, but 5 follows 5"),
        (replace(DEFAULTS, steps=(0.0, 5.0)), "steps", "0 is no percent above 0"),
        (replace(DEFAULTS, steps=(50.0, 101.0)), "steps", "101 is no percent"),
        (replace(DEFAULTS, steps=(0.005, 5.0)), "steps", "two decimals"),
        (replace(DEFAULTS, approve=(30.0,)), "approve", "30 is none of the steps, which are 1, 5, 25, 50, 100"),
        (replace(DEFAULTS, hold_s=-1), "hold", "0 or more"),
        (replace(DEFAULTS, look_s=0), "look", "above 0"),
        (replace(DEFAULTS, back_hold_s=-1), "back.hold", "0 or more"),
        (replace(DEFAULTS, evidence=EvidenceSettings(0, 20)), "evidence.requests", "at least 1"),
        (replace(DEFAULTS, evidence=EvidenceSettings(500, 0)), "evidence.callers", "from 1 to"),
        (replace(DEFAULTS, errors=ErrorSettings(0.9, 0.001)), "errors.ratio", "at least 1"),
        (replace(DEFAULTS, errors=ErrorSettings(1.5, 1.0)), "errors.floor", "below 100 %"),
        (replace(DEFAULTS, errors=ErrorSettings(1.0, 0.0)), "errors.floor", "above 0 %"),
        (replace(DEFAULTS, latency=LatencySettings(1.0)), "latency.ratio", "above 1; null"),
        (replace(DEFAULTS, failed_looks=0), "failed_looks", "at least 1"),
        (replace(DEFAULTS, within="mon 09:00-17:00 Mars/Olympus"), "within", "unknown time zone 'Mars/Olympus'"),
    ],
)
def test_a_mistake_is_named_with_its_key(settings: RolloutSettings, key: str, message: str) -> None:
    (problem,) = problems_of(settings)
    assert problem[0] == key
    assert message in problem[1]


def test_all_mistakes_are_named_at_once() -> None:
    settings = replace(DEFAULTS, steps=(5.0, 1.0), hold_s=-1, within="soon")
    assert [key for key, _ in problems_of(settings)] == ["steps", "hold", "within"]


def test_routes_of_a_group_have_one_plan() -> None:
    same, other = replace(DEFAULTS), replace(DEFAULTS, hold_s=60)
    assert problem_of_group("orders", {"list": DEFAULTS, "detail": same}) is None
    problem = problem_of_group("orders", {"list": DEFAULTS, "detail": same, "search": other})
    assert problem is not None
    assert problem.startswith("group 'orders': routes 'list' and 'search' move together, but have different rollouts")
