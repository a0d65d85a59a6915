"""The rules that the settings of a rollout must keep: what is wrong, each with its key and the way out."""

from collections.abc import Mapping
from itertools import pairwise

from strangler.core.opening_windows import opening_windows
from strangler.core.rollout_settings import RolloutSettings

MAX_CALLERS = 10_000
"""The most callers that a rollout may wait for."""


def problems_of(settings: RolloutSettings) -> list[tuple[str, str]]:
    """Return all that is wrong, each as the key within `rollout` and a message."""
    return [
        *_problems_of_steps(settings),
        *_problems_of_numbers(settings),
        *_problems_of_within(settings.within),
    ]


def problem_of_group(group: str, plans: Mapping[str, RolloutSettings]) -> str | None:
    """Return what is wrong with the rollouts of a group's routes, by name: they climb as one, so they have one plan."""
    names = list(plans)
    other = next((name for name in names if plans[name] != plans[names[0]]), None)
    if other is None:
        return None
    return (
        f"group {group!r}: routes {names[0]!r} and {other!r} move together, but have different rollouts;"
        " write the same in both, or give them different groups"
    )


def _problems_of_steps(settings: RolloutSettings) -> list[tuple[str, str]]:
    steps = settings.steps
    if not steps:
        return [("steps", "name at least one percent, as in [1, 5, 25, 50, 100]")]
    found = [
        ("steps", f"{_text(step)} is no percent above 0 and up to 100 with at most two decimals")
        for step in steps
        if not 0 < step <= 100 or round(step, 2) != step
    ]
    found += [
        ("steps", f"percents must rise, but {_text(after)} follows {_text(before)}; put them in order, each once")
        for before, after in pairwise(steps)
        if after <= before
    ]
    known = ", ".join(map(_text, steps))
    found += [
        ("approve", f"{_text(percent)} is none of the steps, which are {known}; take one of these, or add it to them")
        for percent in settings.approve
        if percent not in steps
    ]
    return found


def _problems_of_numbers(settings: RolloutSettings) -> list[tuple[str, str]]:
    evidence, errors, latency = settings.evidence, settings.errors, settings.latency
    checks = (
        (settings.hold_s >= 0, "hold", "a duration of 0 or more is needed"),
        (settings.look_s > 0, "look", "a duration above 0 is needed"),
        (settings.back_hold_s >= 0, "back.hold", "a duration of 0 or more is needed"),
        (evidence.requests >= 1, "evidence.requests", "at least 1 is needed"),
        (1 <= evidence.callers <= MAX_CALLERS, "evidence.callers", f"it must be from 1 to {MAX_CALLERS}"),
        (errors.ratio >= 1, "errors.ratio", "it must be at least 1: below, an equal candidate fails"),
        (0 <= errors.floor < 1, "errors.floor", "it must be at least 0 % and below 100 %"),
        (errors.ratio > 1 or errors.floor > 0, "errors.floor", "with a ratio of 1 it must be above 0 %"),
        (latency is None or latency.ratio > 1, "latency.ratio", "it must be above 1; null does not look at times"),
        (settings.failed_looks >= 1, "failed_looks", "at least 1 is needed"),
    )
    return [(key, message) for holds, key, message in checks if not holds]


def _problems_of_within(within: str | None) -> list[tuple[str, str]]:
    if within is None:
        return []
    try:
        opening_windows(within)
    except ValueError as error:
        return [("within", str(error))]
    return []


def _text(percent: float) -> str:
    return f"{percent:g}"
