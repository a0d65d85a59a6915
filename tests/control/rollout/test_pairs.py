"""Times of the same requests at both arms: by a percentile that none of the counted pairs has made."""

from strangler.control.rollout.pairs import PairsState
from strangler.core.rollout.latency import MIN_PAIRS, PairedTimes


def test_pairs_count_once_legacys_percentile_is_known() -> None:
    pairs = PairsState()
    for number in range(MIN_PAIRS):
        assert pairs.count(0.1, 9.0, 1.3) == PairedTimes(), number
    assert pairs.count(0.05, 0.2, 1.3) == PairedTimes(slower=1, pairs=1)
    assert pairs.count(0.2, 0.1, 1.3) == PairedTimes(faster=1, pairs=1)


def test_new_evidence_takes_the_percentile_from_the_pairs_before() -> None:
    pairs = PairsState()
    for _ in range(MIN_PAIRS):
        pairs.count(0.1, 0.1, 1.3)
    for _ in range(1000):
        pairs.count(0.3, 0.3, 1.3)
    assert pairs.p95_s == 0.1, "it stays as long as the evidence"
    pairs.begin()
    assert pairs.p95_s == 0.3
    assert len(pairs.legacy_times) == 500
