"""Draws for simulated arms, and numbers whose verdict is known."""

from functools import cache
from math import log
from random import Random

from strangler.core.gate import Verdict
from strangler.core.rollout.caller_sketch import CallerCounts, CallerSketch, sketch_of
from strangler.core.rollout.evidence import ArmCounts, Numbers, StepCounts

BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)


def binomial(chance: Random, trials: int, share: float) -> int:
    """Return the failures among trials; the gaps between failures are geometric."""
    if share <= 0:
        return 0
    found, at = 0, 0
    while True:
        at += int(log(1 - chance.random()) / log(1 - share)) + 1
        if at > trials:
            return found
        found += 1


def buckets(chance: Random, times: int, median_s: float, spread: float) -> list[int]:
    """Return lognormal times in buckets."""
    found = [0] * (len(BOUNDS_S) + 1)
    for _ in range(times):
        time_s = median_s * chance.lognormvariate(0, spread)
        found[next((at for at, bound in enumerate(BOUNDS_S) if time_s <= bound), len(BOUNDS_S))] += 1
    return found


@cache
def hashed(number: int) -> int:
    """Return a caller's hash of 64 bits."""
    return Random(number).getrandbits(64)


@cache
def even_callers(requests: int, callers: int = 40) -> CallerSketch:
    """Return the sketch of callers with equally many requests."""
    return sketch_of({hashed(number): CallerCounts(requests // callers) for number in range(callers)})


def times(requests: int, slow: int = 0) -> tuple[int, ...]:
    """Return times of which 70 % are within 25 ms, 26 % within 50 ms, 4 % within 100 ms; `slow` are beyond a second."""
    quick = requests - slow
    within = (quick * 70 // 100, quick * 26 // 100)
    return (0, 0, within[0], within[1], 0, quick - sum(within), 0, 0, 0, 0, slow, 0, 0, 0, 0)


def arm(requests: int, failed: int = 0, slow: int = 0) -> ArmCounts:
    return ArmCounts(requests, failed, times(requests, slow))


def numbers(
    candidate: ArmCounts,
    legacy: ArmCounts | None = None,
    callers: CallerSketch | None = None,
    gate: Verdict = Verdict.READY,
) -> Numbers:
    sketch = even_callers(candidate.requests) if callers is None else callers
    return Numbers(StepCounts(arm(200_000, 400) if legacy is None else legacy, candidate, sketch), BOUNDS_S, gate)


GOOD = numbers(arm(20_000, 40))
BAD = numbers(arm(2_000, 100))
TOO_FEW = numbers(arm(40), arm(4_000, 8))
NOTHING = numbers(ArmCounts(), ArmCounts(), CallerSketch())
