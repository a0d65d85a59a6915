"""Simulated rollouts: the same seed gives the same figures, and the rules of others do what their documents say."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.rollout import (
    STEPS,
    TRUTHS,
    Argo,
    Flagger,
    Minute,
    World,
    legacy_quantile_s,
    main,
    quantile_s,
    simulate,
)
from strangler.core.rollout.caller_sketch import CallerSketch
from strangler.core.rollout.evidence import ArmCounts

EQUAL = TRUTHS[0]
NIGHT = Minute(ArmCounts(), ArmCounts(), CallerSketch())


def minute(failed: int, slow: bool = False) -> Minute:
    buckets = [0] * 15
    buckets[9 if slow else 2] = 1000
    return Minute(ArmCounts(), ArmCounts(1000, failed, tuple(buckets)), CallerSketch())


def test_a_seed_decides_the_figures() -> None:
    truth = next(truth for truth in TRUTHS if truth.name == "+1 % errors")
    first, again, other = (simulate(truth, "ours", 3, seed) for seed in (1, 1, 2))
    assert first == again
    assert first.requests_at_end != other.requests_at_end
    assert (first.stopped, first.wrong, first.stepped_up) == (1.0, 0.0, 0.0)


def test_minutes_are_drawn_from_the_truth() -> None:
    world = World(EQUAL, np.random.default_rng(1))
    minutes = [world.minute(at, 5.0) for at in range(200)]
    legacy = sum(each.legacy.requests for each in minutes)
    candidate = sum(each.candidate.requests for each in minutes)
    assert legacy + candidate == pytest.approx(200 * 6000, rel=0.01)
    assert candidate / (legacy + candidate) == pytest.approx(0.05, rel=0.05)
    assert sum(each.legacy.failed for each in minutes) / legacy == pytest.approx(0.002, rel=0.1)
    assert sum(each.candidate.buckets[14] for each in minutes) == 0
    assert max(each.callers.callers for each in minutes) <= 45


def test_flagger_counts_failed_checks_and_never_forgets_them() -> None:
    rule = Flagger(EQUAL)
    for each in (minute(20), minute(0), minute(20), minute(0, slow=True), NIGHT):
        rule.see(0, each)
    assert (rule.percent, rule.outcome) == (STEPS[1], None)
    rule.see(0, minute(20))
    assert rule.outcome == "stopped"


def test_argo_aborts_after_failures_and_asks_a_person_after_inconclusive_measurements() -> None:
    for each, outcome in (
        (minute(60), "stopped"),
        (minute(0, slow=True), "stopped"),
        (minute(20), "person"),
        (NIGHT, "person"),
    ):
        rule = Argo(EQUAL)
        for at in range(4 * 5):
            assert rule.outcome is None
            rule.see(at, each)
        assert rule.outcome == outcome
    rule = Argo(EQUAL)
    for at in range(6 * 5):
        rule.see(at, minute(1))
    assert (rule.percent, rule.outcome) == (STEPS[1], None)


def test_percentiles_are_those_of_prometheus() -> None:
    assert quantile_s([0, 100, *[0] * 13], 0.95) == pytest.approx(0.005 + 0.95 * 0.005)
    assert np.isnan(quantile_s([0] * 15, 0.95))
    assert legacy_quantile_s(0.95) == pytest.approx(0.21, abs=0.01)


def test_the_command_prints_figures_as_json_and_as_a_table() -> None:
    options = ["--runs", "2", "--truth", "+5 % errors", "--rule", "ours"]
    result = CliRunner().invoke(main, [*options, "--json"])
    (figures,) = json.loads(result.stdout)
    assert (figures["truth"], figures["rule"], figures["stopped"]) == ("+5 % errors", "ours", 1.0)
    assert "false climbs" in CliRunner().invoke(main, options).stdout
    assert "| +5 % errors | false climbs | 2 | 0.0 % |" in CliRunner().invoke(main, [*options, "--markdown"]).stdout
