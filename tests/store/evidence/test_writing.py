"""The stored evidence: exact counts, bounded samples, states that follow what is seen."""

import gc
import tracemalloc
from dataclasses import replace

import pytest

from strangler.store.connection import Connection
from strangler.store.evidence import index, retention, writing
from strangler.store.evidence.findings import Finding
from strangler.store.evidence.index import IndexState
from strangler.store.evidence.retention import prune
from strangler.store.evidence.writing import set_state, store_findings
from tests.store.evidence.pairs import NOON, match, mismatch, noisy, seen


class Kept:
    """A store in memory and its index."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.index = IndexState()

    def store(self, *findings: Finding, now: float = NOON) -> list[str]:
        return store_findings(self.connection, self.index, findings, now)

    def rows(self, query: str, *values: object) -> list[tuple[object, ...]]:
        return self.connection.execute(query, values).fetchall()

    def store_one(self, query: str, *values: object) -> object:
        return self.rows(query, *values)[0][0]


@pytest.fixture
def kept(connection: Connection) -> Kept:
    return Kept(connection)


def test_counts_add_up_over_batches(kept: Kept) -> None:
    kept.store(match(), match(), mismatch())
    kept.store(match(at=NOON + 60), mismatch(at=NOON + 60))
    assert kept.store_one("SELECT sum(count) FROM pairs WHERE outcome = 'match'") == 3
    assert kept.store_one("SELECT count FROM signatures") == 2
    assert kept.rows("SELECT first_seen, last_seen FROM signatures") == [(NOON, NOON + 60)]


def test_hours_and_reasons_have_rows_of_their_own(kept: Kept) -> None:
    lag = Finding("01", NOON, "orders", "GET /", "not_comparable", "lag")
    kept.store(match(), match(at=NOON + 3600), lag, replace(lag, reason="timeout"))
    assert kept.store_one("SELECT count(*) FROM pairs") == 4


def test_a_pair_is_counted_under_the_set_of_its_differences(kept: Kept) -> None:
    stored_difference, other = seen("a" * 16), seen("b" * 16, "$.tags", "order", "risky")
    kept.store(mismatch(stored_difference, other), mismatch(other, stored_difference), mismatch(stored_difference))
    assert sorted(kept.rows("SELECT count FROM pairs")) == [(1,), (2,)]
    assert sorted(kept.rows("SELECT ids FROM member_sets")) == [
        ('["aaaaaaaaaaaaaaaa","bbbbbbbbbbbbbbbb"]',),
        ('["aaaaaaaaaaaaaaaa"]',),
    ]


class TestSamples:
    def test_a_signature_has_twenty_at_most(self, kept: Kept) -> None:
        for number in range(30):
            kept.store(replace(mismatch(at=NOON + number, sample=b"{}"), id=f"{number:02}"))
        assert kept.store_one("SELECT count(*) FROM sample_links") == 20
        assert kept.store_one("SELECT count FROM signatures") == 30

    def test_after_a_while_a_new_one_takes_the_place_of_the_oldest(self, kept: Kept) -> None:
        for number in range(20):
            kept.store(replace(mismatch(at=NOON + number, sample=b"{}"), id=f"{number:02}"))
        kept.store(replace(mismatch(at=NOON + 100, sample=b"{}"), id="new"))
        links = {row[0] for row in kept.rows("SELECT sample FROM sample_links")}
        assert len(links) == 20
        assert "new" in links
        assert "00" not in links

    def test_one_sample_serves_all_its_differences(self, kept: Kept) -> None:
        kept.store(mismatch(seen("a" * 16), seen("b" * 16), sample=b"{}"))
        assert kept.store_one("SELECT count(*) FROM samples") == 1
        assert kept.store_one("SELECT count(*) FROM sample_links") == 2

    def test_an_index_that_was_loaded_goes_on_as_before(self, kept: Kept) -> None:
        kept.store(*(replace(mismatch(at=NOON, sample=b"{}"), id=f"{number:02}") for number in range(20)))
        kept.index.load(kept.connection)
        assert not kept.index.wants_sample(["a" * 16], NOON + 1)
        assert kept.index.wants_sample(["b" * 16], NOON + 1)

    def test_old_ones_and_those_beyond_the_size_go(self, kept: Kept) -> None:
        for number in range(4):
            kept.store(replace(mismatch(at=NOON + number, sample=b"x" * 100), id=f"{number:02}"))
        prune(kept.connection, NOON + 10, max_sample_bytes=250)
        assert [row[0] for row in kept.rows("SELECT id FROM samples ORDER BY id")] == ["02", "03"]
        assert kept.store_one("SELECT count(*) FROM sample_links") == 2
        prune(kept.connection, NOON + retention.KEPT_S + 60)
        assert kept.rows("SELECT id FROM samples") == []
        assert kept.store_one("SELECT count FROM signatures") == 4


class TestStates:
    @pytest.mark.parametrize(
        ("state", "seen_after_s", "then"),
        [
            ("new", 1, "new"),
            ("known", 1, "known"),
            ("fixed", 1, "regressed"),
            ("fixed", -1, "fixed"),
            ("accepted", writing.ACCEPT_GRACE_S - 1, "accepted"),
            ("accepted", writing.ACCEPT_GRACE_S + 1, "regressed"),
            ("regressed", 1, "regressed"),
        ],
        ids=lambda value: str(value),
    )
    def test_seen_again(self, kept: Kept, state: str, seen_after_s: float, then: str) -> None:
        kept.store(mismatch())
        assert set_state(kept.connection, "a" * 16, state, NOON + 10)
        kept.store(mismatch(at=NOON + 10 + seen_after_s), now=NOON + 1000)
        assert kept.store_one("SELECT state FROM signatures") == then

    def test_one_that_came_back_is_told_once(self, kept: Kept) -> None:
        kept.store(mismatch())
        set_state(kept.connection, "a" * 16, "fixed", NOON + 10)
        assert kept.store(mismatch(at=NOON + 20), now=NOON + 21) == ["a" * 16]
        assert kept.store(mismatch(at=NOON + 30), now=NOON + 31) == []

    def test_an_owner_stays_until_another_is_named(self, kept: Kept) -> None:
        kept.store(mismatch())
        set_state(kept.connection, "a" * 16, "known", NOON, owner="ana")
        set_state(kept.connection, "a" * 16, "fixed", NOON)
        assert kept.store_one("SELECT owner FROM signatures") == "ana"

    def test_there_must_be_such_a_signature(self, kept: Kept) -> None:
        assert not set_state(kept.connection, "nothing", "known", NOON)


class TestBounds:
    """Whatever comes, the store stays small and the counts exact."""

    def test_too_many_signatures_are_counted_under_one_name(self, kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(index, "_MAX_SIGNATURES", 10)
        kept.store(*(mismatch(seen(f"{number:016}", f"$.k{number}")) for number in range(50)))
        assert kept.store_one("SELECT count(*) FROM signatures") == 11
        assert kept.store_one("SELECT sum(count) FROM signatures") == 50
        assert kept.store_one("SELECT count FROM signatures WHERE path = '…'") == 40

    def test_too_many_endpoints_are_counted_under_one_name(self, kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(index, "_MAX_ENDPOINTS", 3)
        kept.store(*(match(endpoint=f"GET /page/{number}x") for number in range(10)))
        assert kept.store_one("SELECT count FROM pairs WHERE endpoint = 'GET …'") == 7

    def test_too_many_sets_are_counted_by_their_gravest_difference(
        self, kept: Kept, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(index, "_MAX_SETS", 2)
        kept.store(*(mismatch(seen("a" * 16), seen(f"{number:016}")) for number in range(6)))
        assert kept.store_one("SELECT sum(count) FROM pairs") == 6
        assert kept.store_one("SELECT count(*) FROM member_sets") == 3

    def test_of_too_many_places_of_noise_the_first_are_kept(self, kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(index, "_MAX_NOISE", 3)
        kept.store(
            *(match(baseline=(noisy(f"$.k{number}"),)) for number in range(10)), match(baseline=(noisy("$.k0"),))
        )
        assert kept.rows("SELECT path, count FROM noise") == [("$.k0", 2), ("$.k1", 1), ("$.k2", 1)]

    def test_what_is_held_in_memory_stops_growing(self, kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
        """By the bytes that the index itself allocates, once each of its bounds is reached."""
        for name, most in (("_MAX_SIGNATURES", 20), ("_MAX_ENDPOINTS", 10), ("_MAX_SETS", 30), ("_MAX_NOISE", 20)):
            monkeypatch.setattr(index, name, most)

        def varied(number: int) -> Finding:
            names = [f"{number:016}", f"{number + 10**6:016}"]
            return mismatch(
                *(seen(name, f"$.k{name}") for name in names),
                endpoint=f"GET /page/{number}x",
                baseline=(noisy(f"$.k{number}"),),
                sample=b"{}",
            )

        kept.store(*map(varied, range(200)))
        held = []
        tracemalloc.start()
        try:
            for begin in (1000, 2000, 3000):
                kept.store(*map(varied, range(begin, begin + 1000)))
                gc.collect()
                held.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()
        assert held[2] - held[1] < 10_000, held

    def test_hours_are_added_up_to_days_in_time(self, kept: Kept) -> None:
        midnight = NOON - 12 * 3600
        kept.store(*(match(at=midnight + 3600 * hour) for hour in range(24)))
        prune(kept.connection, midnight + retention.HOURLY_S + 2 * 86400)
        assert kept.rows("SELECT hour, count FROM pairs") == [(midnight // 3600, 24)]

    def test_of_latencies_the_newest_stay(self, kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(retention, "MAX_LATENCIES", 3)
        kept.store(*(match(at=NOON + number, latency=(1.0, 2.0)) for number in range(10)))
        prune(kept.connection, NOON)
        assert kept.rows("SELECT at FROM latencies ORDER BY at") == [(NOON + 7,), (NOON + 8,), (NOON + 9,)]


def test_noise_is_counted_by_place_and_kind(kept: Kept) -> None:
    kept.store(match(baseline=(noisy(),)), match(baseline=()), mismatch(baseline=(noisy(), noisy("$.n", shape=""))))
    assert kept.store_one("SELECT pairs FROM baselines") == 3
    assert sorted(kept.rows("SELECT path, count FROM noise")) == [("$.at", 2), ("$.n", 1)]
