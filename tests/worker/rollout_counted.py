"""The counts of rollouts that a worker has for control, read from its messages."""

from collections.abc import Iterable

from strangler.core.rollout.caller_sketch import BusyCaller, CallerCounts, CallerSketch
from strangler.core.rollout.evidence import ArmCounts, StepCounts
from strangler.ipc.messages import RolloutArm, RolloutBatch, RolloutCounts

Totals = dict[tuple[str, int], StepCounts]
"""Counts by route and generation."""


def totals(batches: Iterable[RolloutBatch]) -> Totals:
    """The sums of some batches, of one worker or of several."""
    found: Totals = {}
    for batch in batches:
        for counts in batch.counts:
            key = counts.route, counts.generation
            found[key] = found.get(key, StepCounts()).plus(step_counts(counts))
    return found


def by_arm(batches: Iterable[RolloutBatch]) -> dict[str, tuple[int, int]]:
    """The requests, and those of them that failed, of each arm that has any."""
    whole = StepCounts()
    for counts in totals(batches).values():
        whole = whole.plus(counts)
    arms = {"legacy": whole.legacy, "candidate": whole.candidate}
    return {name: (arm.requests, arm.failed) for name, arm in arms.items() if arm.requests}


def step_counts(counts: RolloutCounts) -> StepCounts:
    busiest = {
        each.caller: BusyCaller(CallerCounts(each.requests, each.failed, tuple(each.buckets)), each.counter)
        for each in counts.busiest
    }
    return StepCounts(_arm(counts.legacy), _arm(counts.candidate), CallerSketch(counts.registers, busiest))


def _arm(arm: RolloutArm) -> ArmCounts:
    return ArmCounts(arm.requests, arm.failed, tuple(arm.buckets))
