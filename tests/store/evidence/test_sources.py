"""Evidence of shadows and of replays in one store: what a gate counts, and what both share."""

from dataclasses import replace
from datetime import date
from typing import Final

import pytest

from strangler.core.compare import NO_RULES
from strangler.core.settings import GateSettings
from strangler.core.source import LIVE, REPLAY, SOURCES, Source
from strangler.store.connection import Connection
from strangler.store.evidence import judging, reading, retention
from strangler.store.evidence.carry_over import carry_over
from strangler.store.evidence.findings import Finding
from strangler.store.evidence.index import SAMPLES
from strangler.store.evidence.reading import Filters
from strangler.store.evidence.writing import set_state
from tests.store.evidence.pairs import NOON, match, mismatch, noisy, sample, seen
from tests.store.evidence.test_writing import Kept

TODAY: Final = date(2026, 11, 23)
ENDPOINT: Final = "GET /api/orders/{}"
LIVE_GATE: Final = GateSettings(min_pairs=2, min_match=0.1, max_breaking=0, max_latency_ratio=9, min_age_s=0)
REPLAY_GATE: Final = replace(LIVE_GATE, sources=(REPLAY,))
BOTH_GATE: Final = replace(LIVE_GATE, sources=SOURCES)
GATES: Final = (LIVE_GATE, REPLAY_GATE, BOTH_GATE)


@pytest.fixture
def kept(connection: Connection) -> Kept:
    return Kept(connection)


def verdicts(kept: Kept) -> list[tuple[int, int]]:
    """Pairs and matches by the gates, each in its own way of asking, which all agree."""
    found = []
    for gate in GATES:
        verdict = reading.readiness(kept.connection, "orders", {}, gate, TODAY)
        matches = reading.matches(kept.connection, "orders", {}, TODAY, gate.sources)
        timeline = reading.timeline(kept.connection, "orders", {}, TODAY, sources=gate.sources)
        hours = sum(count for hour in timeline for key, count in hour.items() if key != "at")
        of_endpoint = judging.endpoint_pairs(kept.connection, "orders", ENDPOINT, {}, TODAY, gate.sources)
        assert verdict.sources == gate.sources
        assert (matches.pairs, matches.matches) == (verdict.pairs, verdict.matches)
        assert hours == verdict.pairs + verdict.set_aside + sum(verdict.not_comparable.values())
        assert (of_endpoint[:2] if of_endpoint else (0, 0)) == (verdict.pairs, verdict.matches)
        found.append((verdict.pairs, verdict.matches))
    return found


def of(source: Source, *findings: Finding) -> list[Finding]:
    return [replace(finding, source=source) for finding in findings]


class TestWhatCounts:
    def test_all_figures_count_the_sources_of_the_gate(self, kept: Kept) -> None:
        kept.store(match(), match(), mismatch(), *of(REPLAY, match(), mismatch(), mismatch()))
        assert verdicts(kept) == [(3, 2), (3, 1), (6, 3)]

    def test_a_breaking_difference_that_only_a_replay_has_shown_is_open_where_replays_count(self, kept: Kept) -> None:
        kept.store(match(), *of(REPLAY, mismatch()))
        opened = [reading.readiness(kept.connection, "orders", {}, gate, TODAY).breaking_open for gate in GATES]
        assert opened == [0, 1, 1]

    def test_times_and_the_time_of_observation_are_those_of_the_sources(self, kept: Kept) -> None:
        kept.store(
            match(NOON, latency=(1.0, 2.0)), match(NOON + 10, latency=(1.0, 2.0)),
            *of(REPLAY, match(NOON + 100, latency=(1.0, 4.0)), match(NOON + 101, latency=(1.0, 4.0))),
        )  # fmt: skip
        found = [reading.readiness(kept.connection, "orders", {}, gate, TODAY) for gate in GATES]
        assert [verdict.age_s for verdict in found] == [10, 1, 101]
        assert [verdict.latency and verdict.latency.median.value for verdict in found] == [2.0, 4.0, 2.0]
        assert [len(reading.latencies(kept.connection, "orders", None, gate.sources)) for gate in GATES] == [2, 2, 4]

    def test_a_note_says_what_is_not_counted(self, kept: Kept) -> None:
        kept.store(match(), *of(REPLAY, *[match()] * 1204))
        notes = [reading.readiness(kept.connection, "orders", {}, gate, TODAY).notes[-1] for gate in GATES[:2]]
        assert notes == [
            "1,204 pairs of replays are not counted: gate.from is [live]",
            "1 pair of a shadow is not counted: gate.from is [replay]",
        ]
        assert not any("counted" in note for note in reading.readiness(
            kept.connection, "orders", {}, BOTH_GATE, TODAY).notes)  # fmt: skip

    def test_only_shadows_measure_noise_and_a_replay_s_own_rate_is_judged_by_it(self, kept: Kept) -> None:
        at = seen("d" * 16, "$.at", "value", "value")
        kept.store(*[mismatch(at, baseline=(noisy(),))] * 4, *of(REPLAY, mismatch(at), match(), match(), match()))
        pairs = [reading.readiness(kept.connection, "orders", {}, gate, TODAY) for gate in GATES]
        assert [verdict.noise_only for verdict in pairs] == [4, 1, 5]


class TestWhatBothShare:
    def test_a_difference_is_one_row_with_its_sightings_by_source(self, kept: Kept) -> None:
        kept.store(mismatch(at=NOON), mismatch(at=NOON + 1), *of(REPLAY, mismatch(at=NOON + 9)))
        (row,) = reading.signatures(kept.connection, {}, Filters(), TODAY)
        assert (row.count, row.sources, row.first_seen, row.last_seen) == (3, {LIVE: 2, REPLAY: 1}, NOON, NOON + 9)
        for source, count in ((LIVE, 2), (REPLAY, 1)):
            (row,) = reading.signatures(kept.connection, {}, Filters(source=source), TODAY)  # type: ignore[arg-type]
            assert (row.count, row.sources, row.share) == (count, {source: count}, 1.0)

    @pytest.mark.parametrize("state", ["accepted", "fixed"])
    def test_what_a_replay_shows_again_has_come_back(self, kept: Kept, state: str) -> None:
        kept.store(mismatch())
        set_state(kept.connection, "a" * 16, state, NOON + 1)
        assert kept.store(*of(REPLAY, mismatch(at=NOON + 100)), now=NOON + 100) == ["a" * 16]
        (row,) = reading.signatures(kept.connection, {}, Filters(), TODAY)
        assert row.state == "regressed"
        assert reading.readiness(kept.connection, "orders", {}, LIVE_GATE, TODAY).claims == []

    def test_pairs_of_a_replay_prove_a_claim_where_replays_count(self, kept: Kept) -> None:
        kept.store(mismatch(), match())
        set_state(kept.connection, "a" * 16, "fixed", NOON + 1)
        kept.store(match(NOON + 2), *of(REPLAY, *[match(NOON + 3)] * 5))
        claims = [reading.readiness(kept.connection, "orders", {}, gate, TODAY).claims for gate in GATES]
        assert [[claim.pairs for claim in found] for found in claims] == [[1], [], [6]]

    def test_a_claim_needs_what_the_source_needs_that_has_seen_it_rarest(self, kept: Kept) -> None:
        def needed(*findings: Finding) -> int:
            kept.store(*findings)
            set_state(kept.connection, "a" * 16, "fixed", NOON + 1)
            return max(row[0] for row in kept.rows("SELECT needed FROM claims"))  # type: ignore[type-var, return-value]

        often = needed(mismatch())
        assert needed(*of(REPLAY, mismatch(), *[match()] * 200)) > often

    def test_each_has_samples_of_its_own(self, kept: Kept) -> None:
        for source in SOURCES:
            for number in range(SAMPLES + 3):
                finding = mismatch(at=NOON + number, sample=sample(), source=source)
                kept.store(replace(finding, id=f"{source}{number}"))
        links = kept.rows("SELECT source, count(*) FROM sample_links GROUP BY 1 ORDER BY 1")
        assert links == [(LIVE, SAMPLES), (REPLAY, SAMPLES)]

    def test_reset_sets_both_aside(self, kept: Kept) -> None:
        kept.store(match(), mismatch(), *of(REPLAY, match(), mismatch()))
        before = verdicts(kept)
        (aside,) = retention.set_aside(kept.connection, "orders", NOON + 60)
        assert verdicts(kept) == [(0, 0)] * 3
        found = reading.readiness(kept.connection, "orders", {}, BOTH_GATE, TODAY, release=aside)
        assert (found.pairs, found.matches) == before[2]

    def test_old_hours_are_added_up_by_source_and_times_are_bounded_by_source(self, kept: Kept) -> None:
        old = NOON - 20 * 86_400
        kept.store(*(match(old + hour * 3600) for hour in range(5)), *of(REPLAY, match(old, latency=(1.0, 1.0))))
        before = verdicts(kept)
        retention.prune(kept.connection, NOON)
        assert verdicts(kept) == before
        assert sorted(kept.rows("SELECT source, count FROM pairs")) == [("live", 5), ("replay", 1)]

    def test_a_new_name_carries_both_over(self, kept: Kept) -> None:
        old, new = "GET /api/orders/one", ENDPOINT
        kept.store(mismatch(endpoint=old), *of(REPLAY, mismatch(endpoint=old), match(endpoint=old)))
        carry_over(kept.connection, {("orders", old): new}, {"orders": NO_RULES}, TODAY, NOON)
        assert verdicts(kept) == [(1, 0), (2, 1), (3, 1)]
        (row,) = reading.signatures(kept.connection, {}, Filters(), TODAY)
        assert row.sources == {LIVE: 1, REPLAY: 1}
