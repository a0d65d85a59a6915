"""The view of reviewers: pairs are judged by what is accepted and fixed now."""

import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import date
from errno import EACCES
from pathlib import Path
from typing import Any

import msgspec
import pytest

from strangler.core.compare import CompareRules, compile_rules
from strangler.core.documents import ReleaseRow
from strangler.core.settings import AcceptRule, CompareSettings, GateSettings, UnorderedRule
from strangler.store.connection import Connection
from strangler.store.evidence import index, reading, retention
from strangler.store.evidence.access import file_location
from strangler.store.evidence.audits import AuditFilters, entries, write_audit
from strangler.store.evidence.findings import Finding, StoredDifference
from strangler.store.evidence.index import IndexState
from strangler.store.evidence.reading import Filters, NoEvidenceError
from strangler.store.evidence.retention import prune, set_aside
from strangler.store.evidence.stored_releases import name_release
from strangler.store.evidence.writing import SCHEMA, set_state, store_findings
from tests.store.evidence.pairs import NOON, accepted, match, mismatch, noisy, sample, seen

TODAY = date(2026, 11, 23)
GATE = GateSettings(min_pairs=10, min_match=0.9, max_breaking=0, max_latency_ratio=1.1, min_age_s=0)
PRICE = seen("a" * 16, "$.items[*].price", "type", "breaking")
TAGS = seen("b" * 16, "$.tags", "order", "risky")
STATUS = StoredDifference("e" * 16, "status", None, "value", "breaking", "200", "503")
AT = seen("c" * 16, "$.at", "value", "value")


def rules(*accept: AcceptRule, unordered: tuple[UnorderedRule, ...] = ()) -> dict[str, CompareRules]:
    return {"orders": compile_rules(CompareSettings((), accept, unordered, (), "decimal"))}


def rule(path: str | None = None, **more: Any) -> AcceptRule:
    given: dict[str, Any] = dict.fromkeys(("header", "kind", "abs", "rel", "owner", "until", "why"))
    return AcceptRule(path=path, **(given | more))


def store(connection: Connection, *findings: Finding) -> None:
    store_findings(connection, IndexState(), findings, NOON)


def ready(connection: Connection, of: dict[str, CompareRules] | None = None, gate: GateSettings = GATE) -> Any:
    return reading.readiness(connection, "orders", of or rules(), gate, TODAY)


class TestInbox:
    def test_the_gravest_comes_first_then_the_most_frequent(self, connection: Connection) -> None:
        store(connection, mismatch(AT), mismatch(AT), mismatch(TAGS), mismatch(PRICE))
        rows = reading.signatures(connection, rules(), Filters(), TODAY)
        assert [row.severity for row in rows] == ["breaking", "risky", "value"]
        assert rows[2].share == 0.5
        assert (rows[0].legacy, rows[0].candidate) == (1, 2)

    @pytest.mark.parametrize(
        ("filters", "expected"),
        [
            (Filters(route="other"), 0),
            (Filters(severity="risky"), 1),
            (Filters(state="known"), 1),
            (Filters(since=NOON + 5), 1),
        ],
        ids=["route", "severity", "state", "since"],
    )
    def test_filters(self, connection: Connection, filters: Filters, expected: int) -> None:
        store(connection, mismatch(AT), mismatch(TAGS), mismatch(PRICE, at=NOON + 10))
        set_state(connection, AT.id, "known", NOON)
        assert len(reading.signatures(connection, rules(), filters, TODAY)) == expected

    @pytest.mark.parametrize(
        ("accepting", "is_accepted"),
        [
            (rules(rule("$.items[*].price")), True),
            (rules(rule("$.items")), True),
            (rules(rule("$..price", kind="type")), True),
            (rules(rule("$..price", kind="value")), False),
            (rules(rule("$..price", abs="0.1")), False),
            (rules(rule("$..price", until="2026-11-23")), True),
            (rules(rule("$..price", until="2026-11-22")), False),
            (rules(rule(header="price")), False),
            ({}, False),
        ],
        ids=["path", "above", "kind", "another kind", "tolerance", "last day", "expired", "header", "no rules"],
    )
    def test_a_signature_is_accepted_while_a_rule_covers_it(
        self, connection: Connection, accepting: dict[str, CompareRules], is_accepted: bool
    ) -> None:
        store(connection, mismatch(PRICE))
        (row,) = reading.signatures(connection, accepting, Filters(), TODAY)
        assert (row.state == "accepted") is is_accepted

    def test_an_unordered_rule_covers_order(self, connection: Connection) -> None:
        store(connection, mismatch(TAGS))
        found = rules(unordered=(UnorderedRule("$.tags", None),))
        assert reading.signatures(connection, found, Filters(), TODAY)[0].state == "accepted"

    def test_one_whose_rule_is_gone_is_new_again(self, connection: Connection) -> None:
        store(connection, mismatch(PRICE))
        set_state(connection, PRICE.id, "accepted", NOON)
        assert reading.signatures(connection, rules(), Filters(), TODAY)[0].state == "new"

    def test_what_legacy_differs_from_itself_in_is_noise(self, connection: Connection) -> None:
        store(connection, *(mismatch(AT, baseline=(noisy("$.at"),)) for _ in range(5)), mismatch(TAGS, baseline=()))
        noise = {row.path: row.is_noise for row in reading.signatures(connection, rules(), Filters(), TODAY)}
        assert noise == {"$.at": True, "$.tags": False}

    def test_an_id_may_be_cut_while_it_names_one(self, connection: Connection) -> None:
        store(connection, mismatch(PRICE, TAGS, sample=sample("1")))
        found = reading.signature(connection, rules(), "aaa", TODAY)
        assert found is not None
        assert [sample_document.comparison.request_id for sample_document in found.samples] == ["1"]
        assert reading.signature(connection, rules(), "", TODAY) is None
        assert reading.signature(connection, rules(), "f", TODAY) is None


class TestReadiness:
    def test_enough_pairs_that_match_are_ready(self, connection: Connection) -> None:
        store(connection, *(match(latency=(0.01, 0.0101)) for _ in range(100)))
        found = ready(connection)
        assert (found.verdict, found.pairs, found.matches) == ("ready", 100, 100)
        assert found.endpoints == {"GET /api/orders/{}": 100}

    def test_nothing_is_not_enough(self, connection: Connection) -> None:
        assert ready(connection).verdict == "not enough evidence"

    def test_a_breaking_difference_that_is_open_speaks_against_it(self, connection: Connection) -> None:
        store(connection, *(match(latency=(0.01, 0.01)) for _ in range(100)), mismatch(PRICE))
        found = ready(connection)
        assert (found.verdict, found.breaking_open) == ("not ready", 1)

    @pytest.mark.parametrize("state", ["new", "known"])
    def test_to_have_looked_at_it_does_not_close_it(self, connection: Connection, state: str) -> None:
        store(connection, mismatch(PRICE))
        set_state(connection, PRICE.id, state, NOON)
        assert ready(connection).breaking_open == 1

    def test_pairs_whose_differences_are_accepted_by_now_are_matches(self, connection: Connection) -> None:
        store(connection, *(mismatch(PRICE) for _ in range(5)), *(mismatch(PRICE, TAGS) for _ in range(3)))
        before, after = ready(connection), ready(connection, rules(rule("$..price")))
        assert (before.pairs, before.matches, before.breaking_open) == (8, 0, 1)
        assert (after.pairs, after.matches, after.breaking_open) == (8, 5, 0)

    def test_pairs_that_differed_in_what_is_fixed_say_nothing_any_more(self, connection: Connection) -> None:
        store(connection, *(mismatch(PRICE) for _ in range(5)), *(mismatch(PRICE, TAGS) for _ in range(3)), match())
        set_state(connection, PRICE.id, "fixed", NOON + 1)
        found = ready(connection)
        assert (found.pairs, found.matches, found.set_aside) == (4, 1, 5)

    def test_noise_is_told_and_still_counts(self, connection: Connection) -> None:
        store(connection, *(mismatch(AT, baseline=(noisy("$.at"),)) for _ in range(30)))
        found = ready(connection)
        assert (found.matches, found.noise_only) == (0, 30)
        assert found.verdict == "not ready"

    def test_pairs_that_cannot_be_compared_are_told_by_reason(self, connection: Connection) -> None:
        store(connection, Finding("01", NOON, "orders", "GET /", "not_comparable", "lag"))
        found = ready(connection)
        assert (found.pairs, found.not_comparable) == (0, {"lag": 1})

    def test_it_is_observed_from_the_first_comparable_pair_to_the_last(self, connection: Connection) -> None:
        store(connection, match(), match(at=NOON + 7200))
        assert ready(connection).age_s == 7200

    def test_times_are_compared_pair_by_pair(self, connection: Connection) -> None:
        store(connection, *(match(latency=(0.01 * number, 0.02 * number)) for number in range(1, 200)))
        found = ready(connection)
        assert found.latency is not None
        assert found.latency.median.value == pytest.approx(2.0)
        assert any("2.00 times" in reason for reason in found.reasons)

    def test_thin_endpoints_are_named(self, connection: Connection) -> None:
        store(connection, *(match() for _ in range(40)), match(endpoint="GET /rare"))
        assert ready(connection).thin_endpoints == ["GET /rare"]


def test_a_proposal_says_what_it_rests_on(connection: Connection) -> None:
    store(connection, *(mismatch(AT, baseline=(noisy("$.at"),)) for _ in range(25)))
    patch = reading.proposal(connection, "orders")
    assert patch is not None
    assert "25 of 25" in patch
    assert '{path: "$.at", kind: value' in patch
    assert reading.proposal(connection, "other") is None


def test_the_timeline_has_a_row_an_hour(connection: Connection) -> None:
    store(connection, match(), match(), mismatch(), match(at=NOON + 3600))
    assert reading.timeline(connection, "orders", rules(), TODAY) == [
        {"at": NOON, "match": 2, "mismatch": 1},
        {"at": NOON + 3600, "match": 1},
    ]


def test_the_audit_is_told_newest_first(connection: Connection) -> None:
    for why in ("first", "second"):
        write_audit(connection, NOON, "ana", "shift --force", "orders", why, "25 to 50 %")
    assert [line.why for line in entries(connection, AuditFilters())] == ["second", "first"]


@pytest.mark.parametrize(
    "content", [None, b"no database, but long enough to be looked at" * 40], ids=["none", "garbage"]
)
def test_a_store_that_cannot_be_read_is_said(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "strangler.db").write_bytes(content)
    with pytest.raises(NoEvidenceError, match=r"strangler\.db"), reading.reader(file_location(tmp_path)) as connection:
        entries(connection, AuditFilters())


def test_a_store_whose_folder_is_closed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(self: Path, **_: Any) -> Any:
        raise PermissionError(EACCES, os.strerror(EACCES), str(self))

    monkeypatch.setattr(Path, "stat", closed)  # root may open any folder
    raised = pytest.raises(NoEvidenceError, match=r"strangler\.db cannot be read: Permission denied")
    with raised, reading.reader(file_location(tmp_path)):
        pass


@pytest.mark.parametrize(
    "damage",
    ["UPDATE sightings SET legacy = 'xxx'", "UPDATE signatures SET kind = 'valuf'"],
    ids=["no JSON", "no kind"],
)
def test_a_value_that_is_damaged_in_a_page_that_is_whole_is_said(tmp_path: Path, damage: str) -> None:
    with closing(sqlite3.connect(tmp_path / "strangler.db")) as made, made:
        made.executescript(SCHEMA)
        store(made, mismatch(AT))
        made.execute(damage)
    raised = pytest.raises(NoEvidenceError, match=r"strangler\.db cannot be read: a value in it is damaged")
    with raised, reading.reader(file_location(tmp_path), looks_over=True) as connection:
        reading.signatures(connection, rules(), Filters(), TODAY)


class TestAcceptedThen:
    """Accepted pairs are counted on, and judged by the rules in force."""

    @pytest.mark.parametrize(
        ("accepting", "matches", "state"),
        [
            (rules(rule("$..price")), 3, "accepted"),
            (rules(), 0, "new"),
            (rules(rule("$..price", until="2026-11-22")), 0, "new"),
            (rules(rule("$..price", kind="value")), 0, "new"),
            (rules(rule("$.other")), 0, "new"),
            (rules(rule("$..price", endpoint="GET /api/orders/{}")), 3, "accepted"),
            (rules(rule("$..price", endpoint="POST /api/orders/{}")), 0, "new"),
        ],
        ids=["still", "gone", "expired", "another kind", "another place", "this endpoint", "another endpoint"],
    )
    def test_pairs_are_judged_anew(
        self, connection: Connection, accepting: dict[str, CompareRules], matches: int, state: str
    ) -> None:
        store(connection, *(accepted(PRICE) for _ in range(3)))
        found = ready(connection, accepting)
        (row,) = reading.signatures(connection, accepting, Filters(), TODAY)
        assert (found.pairs, found.matches, row.state, row.count) == (3, matches, state, 3)

    @pytest.mark.parametrize(
        ("accepting", "matches"),
        [
            (rules(rule("$..total", abs="0.1")), 2),
            (rules(rule("$..total", from_="1", to="2")), 2),
            (rules(rule("$..other", abs="0.1")), 0),
            (rules(rule("$..total")), 5),
        ],
        ids=["a tolerance", "a pair of values", "no rule covers it any more", "a rule for all"],
    )
    def test_what_depends_on_values_stays_what_it_was(
        self, connection: Connection, accepting: dict[str, CompareRules], matches: int
    ) -> None:
        total = seen("d" * 16, "$.total", "value", "value")
        store(connection, *(accepted(total) for _ in range(2)), *(mismatch(total) for _ in range(3)))
        found = ready(connection, accepting)
        assert (found.pairs, found.matches) == (5, matches)

    def test_a_pair_with_another_difference_needs_both_accepted(self, connection: Connection) -> None:
        store(connection, mismatch(TAGS, accepted=(PRICE,)))
        assert ready(connection, rules(rule("$..price"))).matches == 0
        assert ready(connection, rules(rule("$..tags"))).matches == 0
        assert ready(connection, rules(rule("$..price"), rule("$..tags"))).matches == 1

    def test_counts_and_last_seen_go_on(self, connection: Connection) -> None:
        store(connection, mismatch(PRICE), accepted(PRICE, at=NOON + 60), accepted(PRICE, at=NOON + 90))
        (row,) = reading.signatures(connection, rules(rule("$..price")), Filters(), TODAY)
        assert (row.count, row.accepted, row.last_seen) == (3, 2, NOON + 90)

    def test_one_that_was_only_ever_accepted_is_no_news(self, connection: Connection) -> None:
        store(connection, accepted(PRICE))
        assert connection.execute("SELECT state FROM signatures").fetchall() == [("accepted",)]

    def test_more_than_was_told_is_never_accepted(self, connection: Connection) -> None:
        store(connection, mismatch(PRICE, is_partial=True))
        assert ready(connection, rules(rule("$..price"))).matches == 0


class TestClaims:
    """A difference that is marked as fixed waits for new pairs of its endpoint."""

    def mark(self, connection: Connection, name: str = PRICE.id, state: str = "fixed", at: float = 100) -> None:
        assert set_state(connection, name, state, NOON + at)

    def claims(self, connection: Connection, of: Any = None) -> list[tuple[str, int, int]]:
        return [(claim.endpoint, claim.needed, claim.pairs) for claim in ready(connection, of).claims]

    def test_from_the_mark_on_pairs_of_its_endpoint_are_counted(self, connection: Connection) -> None:
        store(connection, *(mismatch(PRICE) for _ in range(60)), *(match(endpoint="GET /b") for _ in range(60)))
        self.mark(connection)
        store(connection, match(at=NOON + 99), match(at=NOON + 100))
        store(connection, *(match(at=NOON + 101, endpoint="GET /b") for _ in range(60)))
        assert self.claims(connection) == [("GET /api/orders/{}", 60, 0)]
        store(connection, *(match(at=NOON + 101) for _ in range(59)))
        found = ready(connection)
        assert (found.verdict, found.pairs_needed, found.set_aside) == ("not enough evidence", 1, 60)
        store(connection, mismatch(TAGS, at=NOON + 102))
        found = ready(connection)
        assert self.claims(connection) == [("GET /api/orders/{}", 60, 60)]
        assert found.set_aside == 60
        assert not any("fixed" in reason for reason in found.reasons)

    @pytest.mark.parametrize(
        "finding",
        [
            pytest.param(replace(match(at=NOON + 200), outcome="not_comparable", reason="lag"), id="no pair"),
            pytest.param(match(at=NOON + 50), id="asked before the mark"),
            pytest.param(match(at=NOON + 200, release="2"), id="another release"),
            pytest.param(mismatch(STATUS, at=NOON + 200), id="5xx"),
            pytest.param(mismatch(TAGS, at=NOON + 200, is_partial=True), id="not all of it was looked at"),
        ],
    )  # fmt: skip
    def test_what_proves_nothing_is_not_counted(self, connection: Connection, finding: Finding) -> None:
        store(connection, *(mismatch(PRICE) for _ in range(5)))
        self.mark(connection)
        store(connection, finding)
        assert self.claims(connection) == [("GET /api/orders/{}", 30, 0)]

    def test_the_share_at_the_mark_says_how_many_it_takes(self, connection: Connection) -> None:
        store(connection, mismatch(PRICE), *(match() for _ in range(99)))
        self.mark(connection)
        assert self.claims(connection) == [("GET /api/orders/{}", 299, 0)]

    def test_several_are_told_each(self, connection: Connection) -> None:
        other = seen("f" * 16, "$.x")
        store(connection, mismatch(PRICE, TAGS), mismatch(other, endpoint="GET /b"))
        for name in (PRICE.id, TAGS.id, other.id):
            self.mark(connection, name)
        found = ready(connection)
        assert found.set_aside == 2
        assert sorted(self.claims(connection)) == [
            ("GET /api/orders/{}", 30, 0),
            ("GET /api/orders/{}", 30, 0),
            ("GET /b", 30, 0),
        ]
        assert sum("is marked as fixed" in reason for reason in found.reasons) == 3

    def test_seen_again_it_is_over(self, connection: Connection) -> None:
        store(connection, mismatch(PRICE))
        self.mark(connection)
        store(connection, match(at=NOON + 101), mismatch(PRICE, at=NOON + 102))
        assert self.claims(connection) == []
        assert connection.execute("SELECT count(*) FROM claims").fetchone() == (0,)
        assert ready(connection).pairs == 3

    def test_seen_again_though_a_rule_accepts_it_it_is_over_too(self, connection: Connection) -> None:
        store(connection, mismatch(PRICE))
        self.mark(connection)
        store(connection, accepted(PRICE, at=NOON + 102))
        assert ready(connection).matches == 0
        assert ready(connection).set_aside == 0

    @pytest.mark.parametrize("state", ["known", "new", "accepted"])
    def test_one_that_is_taken_back_counts_again(self, connection: Connection, state: str) -> None:
        store(connection, mismatch(PRICE))
        self.mark(connection)
        self.mark(connection, state=state, at=110)
        found = ready(connection)
        assert (found.claims, found.pairs, found.set_aside) == ([], 1, 0)

    def test_marked_twice_it_begins_anew(self, connection: Connection) -> None:
        store(connection, *(mismatch(PRICE) for _ in range(40)))
        self.mark(connection)
        store(connection, *(match(at=NOON + 101) for _ in range(40)))
        assert self.claims(connection) == [("GET /api/orders/{}", 40, 40)]
        self.mark(connection, at=200)
        assert self.claims(connection) == [("GET /api/orders/{}", 40, 0)]

    def test_what_a_rule_accepts_needs_no_proof(self, connection: Connection) -> None:
        store(connection, mismatch(PRICE))
        self.mark(connection)
        found = ready(connection, rules(rule("$..price")))
        assert (found.claims, found.matches, found.set_aside) == ([], 1, 0)

    def test_one_of_the_folded_row_is_about_every_endpoint_that_has_it(
        self, connection: Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(index, "_MAX_SIGNATURES", 0)
        store(connection, mismatch(PRICE), mismatch(PRICE), mismatch(seen("f" * 16, "$.x"), endpoint="GET /b"))
        (row,) = reading.signatures(connection, rules(), Filters(), TODAY)
        assert row.path == "…"
        self.mark(connection, row.id)
        store(connection, match(at=NOON + 101), match(at=NOON + 102, endpoint="GET /b"))
        assert self.claims(connection) == [("GET /api/orders/{}", 30, 1), ("GET /b", 30, 1)]

    def test_one_whose_sets_were_too_many_is_counted_exactly(
        self, connection: Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(index, "_MAX_SETS", 0)
        store(connection, mismatch(PRICE, TAGS))
        self.mark(connection)
        store(connection, mismatch(TAGS, at=NOON + 101), mismatch(TAGS, PRICE, at=NOON + 90))
        assert self.claims(connection) == [("GET /api/orders/{}", 30, 1)]
        store(connection, mismatch(TAGS, PRICE, at=NOON + 102))
        assert self.claims(connection) == []

    def test_time_counts_from_the_last_mark(self, connection: Connection) -> None:
        store(connection, mismatch(PRICE), mismatch(TAGS), match(at=NOON + 7200))
        assert ready(connection).age_s == 7200
        self.mark(connection, at=3600)
        assert ready(connection).age_s == 3600
        self.mark(connection, TAGS.id, at=7000)
        assert ready(connection).age_s == 200
        self.mark(connection, TAGS.id, "known", at=7100)
        assert ready(connection).age_s == 3600

    def test_it_belongs_to_its_release_and_is_there_again_after_a_rollback(self, connection: Connection) -> None:
        name_release(connection, "orders", "1", NOON)
        store(connection, mismatch(PRICE, release="1"))
        self.mark(connection)
        name_release(connection, "orders", "2", NOON + 200)
        store(connection, match(at=NOON + 201, release="2"))
        assert self.claims(connection) == []
        name_release(connection, "orders", "1", NOON + 300)
        assert self.claims(connection) == [("GET /api/orders/{}", 30, 0)]

    def test_one_that_was_fixed_in_another_release_has_regressed(self, connection: Connection) -> None:
        store(connection, mismatch(PRICE, release="1"))
        self.mark(connection)
        name_release(connection, "orders", "2", NOON + 200)
        store(connection, mismatch(PRICE, at=NOON + 201, release="2"))
        (row,) = reading.signatures(connection, rules(), Filters(), TODAY)
        assert (row.state, row.count, row.first_seen) == ("regressed", 1, NOON + 201)


class TestReleases:
    def test_each_has_its_own_evidence(self, connection: Connection) -> None:
        store(connection, mismatch(PRICE, release="1", sample=sample("1")), match(release="1", latency=(1.0, 2.0)))
        later = mismatch(PRICE, TAGS, at=NOON + 60, release="2", sample=sample("2"))
        store(connection, replace(later, id="02"))
        name_release(connection, "orders", "2", NOON + 60)
        now = ready(connection)
        assert (now.release, now.pairs, now.latency, now.age_s) == ("2", 1, None, 0)
        before = reading.readiness(connection, "orders", rules(), GATE, TODAY, release="1")
        assert (before.release, before.pairs, before.matches) == ("1", 2, 1)
        assert before.latency is not None
        assert before.latency.median.value == 2.0
        assert len(reading.signatures(connection, rules(), Filters(), TODAY)) == 2
        (row,) = reading.signatures(connection, rules(), Filters(release="1"), TODAY)
        assert (row.id, row.last_seen, row.share) == (PRICE.id, NOON, 0.5)
        for release, name in ((None, "2"), ("1", "1")):
            found = reading.signature(connection, rules(), PRICE.id, TODAY, release)
            assert found is not None
            assert [sample_document.comparison.request_id for sample_document in found.samples] == [name]
        assert len(reading.timeline(connection, "orders", rules(), TODAY, release="1")) == 1
        assert reading.latencies(connection, "orders", "1") == [(NOON, 1.0, 2.0)]

    def test_one_that_only_a_former_release_showed_is_found_by_its_id(self, connection: Connection) -> None:
        store(connection, mismatch(PRICE, release="1"))
        name_release(connection, "orders", "2", NOON + 60)
        found = reading.signature(connection, rules(), PRICE.id, TODAY)
        assert found is not None
        assert found.release == "1"

    @pytest.mark.parametrize("filters", [Filters("orders", release="9"), Filters(release="9")], ids=["route", "all"])
    def test_one_that_is_not_known_is_said(self, connection: Connection, filters: Filters) -> None:
        store(connection, match(release="1"), match())
        with pytest.raises(NoEvidenceError, match=r"has no release '9'|no route has a release '9'") as raised:
            reading.signatures(connection, rules(), filters, TODAY)
        assert "known are '' (unnamed), '1'" in str(raised.value)

    def test_to_set_aside_is_to_begin_anew(self, connection: Connection) -> None:
        name_release(connection, "orders", "1", NOON)
        store(connection, mismatch(PRICE), match(release="1"))
        store(connection, mismatch(PRICE, release="1", baseline=(noisy(),), latency=(1.0, 1.0), sample=b"{}"))
        set_state(connection, PRICE.id, "fixed", NOON + 5, owner="ana")
        before = ready(connection)
        names = set_aside(connection, "orders", NOON + 10)
        assert names == ["unnamed@2026-11-23T12:00:10.000Z", "1@2026-11-23T12:00:10.000Z"]
        found = ready(connection)
        assert (found.release, found.pairs, found.claims, found.not_comparable) == ("1", 0, [], {})
        aside = reading.readiness(connection, "orders", rules(), GATE, TODAY, release=names[1])
        assert aside == msgspec.structs.replace(before, release=names[1])
        index = IndexState()
        index.load(connection)
        assert index.wants_sample([PRICE.id], NOON + 11, "1")
        store_findings(connection, index, [mismatch(PRICE, at=NOON + 11, release="1")], NOON + 12)
        (row,) = reading.signatures(connection, rules(), Filters(), TODAY)
        assert (row.state, row.count, row.first_seen, row.owner) == ("new", 1, NOON + 11, None)
        assert reading.noise_counts(connection, "orders")[0].noise_pairs == 0
        assert set_aside(connection, "orders", NOON + 10) == ["1@2026-11-23T12:00:10.001Z"]

    def test_they_are_listed_with_their_pairs_the_current_one_first(self, connection: Connection) -> None:
        store(connection, match(), match(release="1"))
        name_release(connection, "orders", "1", NOON + 5)
        set_aside(connection, "other", NOON)
        assert reading.releases(connection, "orders") == [
            ReleaseRow("orders", name, first, first, is_current=is_current, is_set_aside=False, pairs=1)
            for name, first, is_current in (("1", NOON + 5, True), ("", NOON, False))
        ]
        assert type(reading.releases(connection)[0].is_current) is bool  # and so it is JSON's

    def test_one_without_comparable_pairs_keeps_its_time_when_it_is_set_aside(self, connection: Connection) -> None:
        store(connection, replace(match(), outcome="not_comparable", reason="timeout"))
        set_aside(connection, "orders", NOON + 10)
        (release_row,) = reading.releases(connection, "orders")
        assert (release_row.is_set_aside, release_row.first_seen, release_row.last_seen) == (True, NOON, NOON)

    def test_nothing_is_set_aside_of_nothing_or_of_another_route(self, connection: Connection) -> None:
        store(connection, match())
        assert set_aside(connection, "other", NOON) == []
        assert ready(connection).pairs == 1

    def test_the_oldest_go_when_there_are_too_many(
        self, connection: Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(retention, "MAX_RELEASES", 2)
        for number, names in enumerate((PRICE, TAGS, AT)):
            at = NOON + 100 * number
            name_release(connection, "orders", str(number), at)
            store(connection, mismatch(names, at=at, release=str(number), sample=b"{}"))
        prune(connection, NOON + 300)
        assert {release.name for release in reading.releases(connection)} == {"1", "2"}
        assert {row[0] for row in connection.execute("SELECT id FROM signatures")} == {TAGS.id, AT.id}
        for table in ("pairs", "sightings", "observed"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (2,)
        assert connection.execute("SELECT count(*) FROM member_sets").fetchone() == (2,)
        assert connection.execute("SELECT count(*) FROM samples").fetchone() in {(1,), (2,)}


class TestEndpoints:
    def test_those_without_a_pair_that_counts_are_named(self, connection: Connection) -> None:
        lag = Finding("01", NOON, "orders", "GET /lag", "not_comparable", "lag")
        store(connection, *(match() for _ in range(40)), mismatch(PRICE, endpoint="GET /fixed"), lag)
        set_state(connection, PRICE.id, "fixed", NOON + 1)
        found = ready(connection)
        assert found.endpoints == {"GET /api/orders/{}": 40, "GET /fixed": 0, "GET /lag": 0}
        assert found.thin_endpoints == ["GET /fixed", "GET /lag"]


class TestTimes:
    @pytest.mark.parametrize(
        ("finding", "is_timed", "verdict"),
        [
            (match(is_timeable=True), True, "not enough evidence"),
            (match(), True, "ready"),
            (match(is_timeable=True), False, "ready"),
            (match(latency=(1.0, 1.0)), False, "ready"),
        ],
        ids=["could be timed", "could not", "nothing is timed", "was timed"],
    )
    def test_what_cannot_be_measured_is_not_asked_for(
        self, connection: Connection, finding: Finding, is_timed: bool, verdict: str
    ) -> None:
        store(connection, *(finding for _ in range(50)))
        found = reading.readiness(connection, "orders", rules(), GATE, TODAY, is_timed=is_timed)
        assert found.verdict == verdict
        assert bool(found.notes) is (verdict == "ready" and found.latency is None)


def test_the_timeline_is_judged_by_the_rules_in_force(connection: Connection) -> None:
    store(connection, mismatch(PRICE), accepted(TAGS), match(), mismatch(AT, at=NOON + 7200))
    set_state(connection, AT.id, "fixed", NOON + 7300)
    assert reading.timeline(connection, "orders", rules(rule("$..price")), TODAY) == [
        {"at": NOON, "accepted": 1, "match": 1, "mismatch": 1},
        {"at": NOON + 7200, "set_aside": 1},
    ]
