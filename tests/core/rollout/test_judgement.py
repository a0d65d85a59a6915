"""The verdicts of looks, and the numbers that they are decided by."""

from dataclasses import replace

import pytest

from strangler.core.rollout.caller_sketch import CallerCounts, CallerSketch, sketch_of
from strangler.core.rollout.evidence import ArmCounts, Numbers
from strangler.core.rollout.judgement import LookRecord, LookVerdict, look_at
from strangler.core.rollout.latency import PairedTimes
from strangler.core.rollout_settings import EvidenceSettings, RolloutSettings
from tests.core.rollout.draws import BAD, BOUNDS_S, GOOD, NOTHING, TOO_FEW, arm, even_callers, hashed, numbers, times

SETTINGS = RolloutSettings()


def look(found: Numbers, settings: RolloutSettings = SETTINGS, percent: float = 5.0) -> LookRecord:
    return look_at(found.counts, arm(100_000, 200), percent, settings, 60.0, BOUNDS_S)


def with_bot(people: ArmCounts, bot: CallerCounts) -> Numbers:
    """Return numbers of people and of one caller that makes many requests."""
    callers = even_callers(people.requests).merged(sketch_of({hashed(999): bot}))
    return numbers(people.plus(ArmCounts(bot.requests, bot.failed, bot.buckets)), callers=callers)


@pytest.mark.parametrize(
    ("found", "verdict", "reason"),
    [
        pytest.param(GOOD, LookVerdict.GOOD, "", id="like legacy"),
        pytest.param(BAD, LookVerdict.BAD, "the candidate failed 100 of 2000 requests", id="failures"),
        pytest.param(TOO_FEW, LookVerdict.NOT_ENOUGH, "has served 40 of 500 requests", id="too few"),
        pytest.param(NOTHING, LookVerdict.NOT_ENOUGH, "0 of 500 requests and 0 of 20 callers", id="nothing"),
        pytest.param(
            numbers(arm(20_000, 40, slow=6000)), LookVerdict.BAD, "the candidate's 95th percentile is", id="slow"
        ),
        pytest.param(
            numbers(arm(20_000, 40), callers=even_callers(20_000, 5)),
            LookVerdict.NOT_ENOUGH,
            "5 of 20 callers",
            id="few callers",
        ),
        pytest.param(numbers(arm(600, 1)), LookVerdict.NOT_ENOUGH, "failures are not certain enough", id="uncertain"),
        pytest.param(
            numbers(ArmCounts(20_000, 40)), LookVerdict.NOT_ENOUGH, "times of both arms are needed", id="no times"
        ),
        pytest.param(
            numbers(arm(20_000, 40), ArmCounts()), LookVerdict.NOT_ENOUGH, "legacy 0 of 0", id="nothing at legacy"
        ),
    ],
)
def test_a_look_says_what_it_was_decided_by(found: Numbers, verdict: LookVerdict, reason: str) -> None:
    record = look(found)
    assert record.verdict is verdict
    assert reason in "; ".join(record.reasons)
    assert (verdict is LookVerdict.GOOD) is (not record.reasons)


def test_a_look_has_all_numbers() -> None:
    record = look(GOOD)
    assert record.at == 60.0
    assert record.callers == pytest.approx(40, abs=4)
    assert (record.legacy.requests, record.legacy.failed) == (200_000, 400)
    assert (record.candidate.requests, record.candidate.failed) == (20_000, 40)
    assert record.candidate.p95_ms == pytest.approx(49, abs=2)


def test_a_look_at_times_says_how_sure_it_is() -> None:
    (reason,) = look(numbers(arm(20_000, 40, slow=6000))).reasons
    assert "is 2250 ms, legacy's 49.04 ms, 45.88 times that" in reason
    assert "(buckets tell: 20 to 100); allowed is 1.3 times" in reason
    early = "; ".join(look(TOO_FEW).reasons)
    assert "(buckets tell: 0.25 to any number)" in early


def test_at_100_percent_legacy_is_as_it_was_on_the_step_before() -> None:
    last = numbers(arm(20_000, 40), ArmCounts())
    assert look(last, percent=50.0).verdict is LookVerdict.NOT_ENOUGH
    assert look(last, percent=100.0).verdict is LookVerdict.GOOD
    assert look(last, percent=100.0).legacy.requests == 100_000


def test_a_bot_is_neither_good_nor_bad_evidence() -> None:
    """It makes nine of ten requests: what it does alone decides nothing, and others are seen behind it."""
    well = CallerCounts(180_000, 180, times(180_000))
    badly = CallerCounts(180_000, 9000, times(180_000))
    few, many, failing = arm(400, 1), arm(20_000, 40), arm(20_000, 400)
    assert look(with_bot(few, well)).verdict is LookVerdict.NOT_ENOUGH
    assert look(with_bot(many, well)).verdict is LookVerdict.GOOD
    assert look(with_bot(failing, well)).verdict is LookVerdict.BAD
    blocked = look(with_bot(many, badly))
    assert blocked.verdict is LookVerdict.NOT_ENOUGH
    assert "all is well but for one caller, which made 1" in blocked.reasons[0]


def test_a_single_caller_is_evidence_where_the_settings_say_so() -> None:
    settings = replace(SETTINGS, evidence=EvidenceSettings(500, 1))
    single = sketch_of({1: CallerCounts(20_000, 40, times(20_000))})
    assert look(numbers(arm(20_000, 40), callers=single)).verdict is LookVerdict.NOT_ENOUGH
    assert look(numbers(arm(20_000, 40), callers=single), settings).verdict is LookVerdict.GOOD


def test_times_are_not_looked_at_without_a_limit() -> None:
    settings = replace(SETTINGS, latency=None)
    assert look(numbers(arm(20_000, 40, slow=6000)), settings).verdict is LookVerdict.GOOD
    assert look(numbers(ArmCounts(20_000, 40)), settings).verdict is LookVerdict.GOOD


@pytest.mark.parametrize(
    ("paired", "verdict"),
    [
        (PairedTimes(200, 100, 4000), LookVerdict.BAD),
        (PairedTimes(50, 200, 4000), LookVerdict.GOOD),
        (PairedTimes(10, 10, 4000), LookVerdict.NOT_ENOUGH),
        (PairedTimes(50, 0, 99), LookVerdict.GOOD),
    ],
    ids=["slower", "faster", "undecided", "too few pairs: the buckets decide"],
)
def test_pairs_of_times_go_before_buckets(paired: PairedTimes, verdict: LookVerdict) -> None:
    assert look(Numbers(replace(GOOD.counts, paired=paired), BOUNDS_S)).verdict is verdict


def test_failures_are_found_before_the_least_evidence_is_there() -> None:
    """Waiting for 500 requests of a candidate that always fails would be no caution."""
    found = numbers(arm(60, 50), callers=even_callers(60, 20))
    assert look(found).verdict is LookVerdict.BAD


def test_without_callers_a_look_is_never_good() -> None:
    assert look(numbers(arm(20_000, 40), callers=CallerSketch())).verdict is LookVerdict.NOT_ENOUGH
