"""Endpoints that get another name: their history goes with them, and nothing that was reviewed is lost."""

import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as budget
from hypothesis import strategies as st

from strangler.core.claims import MIN_PAIRS
from strangler.core.compare import CompareRules, Kind, Severity, Where, compile_rules, signature
from strangler.core.documents import VerdictDocument
from strangler.core.settings import AcceptRule, CompareSettings, GateSettings
from strangler.store.connection import Connection
from strangler.store.evidence import reading
from strangler.store.evidence.access import file_location
from strangler.store.evidence.audits import AuditFilters, entries
from strangler.store.evidence.carry_over import CAUTION, Carried, carry_over, renamed, stored_endpoints
from strangler.store.evidence.findings import Finding, StoredDifference
from strangler.store.evidence.former_ids import present_id
from strangler.store.evidence.index import IndexState
from strangler.store.evidence.reading import Filters
from strangler.store.evidence.retention import prune, set_aside
from strangler.store.evidence.reviews import Review, mark
from strangler.store.evidence.tables import SCHEMA, prepare
from strangler.store.evidence.writing import set_state, store_findings
from tests.store.evidence.pairs import NOON, accepted, match, mismatch, sample
from tests.store.savepoints import undone

TODAY = date(2026, 11, 23)
GATE = GateSettings(min_pairs=2, min_match=0.1, max_breaking=9, max_latency_ratio=9, min_age_s=0)
A, B, ALL = "GET /posts/ana", "GET /posts/bob", "GET /posts/{}"


class Kept:
    """A store in memory and its index."""

    def __init__(self, connection: Connection, rules: Mapping[str, CompareRules] | None = None) -> None:
        self.connection = connection
        self.rules = rules or {}
        self.index = IndexState()

    def store(self, *findings: Finding, now: float = NOON) -> list[str]:
        return store_findings(self.connection, self.index, findings, now)

    def carry(self, names: Mapping[str, str], now: float = NOON + 500) -> Carried:
        there = {each.name: each.name for each in stored_endpoints(self.connection) if each.route == "orders"}
        moves = {("orders", name): new for name, new in {**there, **names}.items()}
        found = carry_over(self.connection, moves, self.rules, TODAY, now)
        self.index.load(self.connection)
        return found

    def all(self, query: str, *values: object) -> list[tuple[object, ...]]:
        return self.connection.execute(query, values).fetchall()

    def state(self, name: str) -> str:
        return str(self.all("SELECT state FROM signatures WHERE id = ?", present_id(self.connection, name))[0][0])

    def verdict(self) -> VerdictDocument:
        return reading.readiness(self.connection, "orders", self.rules, GATE, TODAY)


@pytest.fixture
def kept(connection: Connection) -> Kept:
    return Kept(connection)


def id_at(endpoint: str, path: str = "$.price") -> str:
    return made_at("orders", endpoint, path).id


def differs(endpoint: str, *paths: str) -> tuple[StoredDifference, ...]:
    return tuple(
        StoredDifference(id_at(endpoint, path), "body", path, "type", "breaking", "1", '"1"')
        for path in paths or ("$.price",)
    )


def found_at(endpoint: str, *paths: str, at: float = NOON) -> Finding:
    return mismatch(*differs(endpoint, *paths), at=at, endpoint=endpoint)


def accept(endpoint: str) -> dict[str, CompareRules]:
    rule = AcceptRule(path="$.price", endpoint=endpoint, kind="type", why="agreed")
    compare = CompareSettings(headers=(), accept=(rule,), unordered=(), redact=(), numbers="decimal")
    return {"orders": compile_rules(compare)}


class TestARename:
    """One name becomes another one, and nothing else has that name."""

    def test_all_moves_and_nothing_changes(self, kept: Kept) -> None:
        kept.store(match(endpoint=A), found_at(A), found_at(A, "$.price", "$.tax", at=NOON + 9))
        kept.store(replace(found_at(A, at=NOON + 20), sample=sample()))
        set_state(kept.connection, id_at(A), "known", NOON + 30, owner="ana", why="later", until="2027-01-01")
        before = kept.verdict()
        assert kept.carry({A: ALL}) == Carried(endpoints=1, signatures=2, merged=0)
        after = kept.verdict()
        assert after.endpoints == {ALL: 4}
        assert after == msgspec.structs.replace(before, endpoints={ALL: 4}, thin_endpoints=after.thin_endpoints)
        row = reading.signature(kept.connection, {}, id_at(ALL), TODAY)
        assert row is not None
        assert (row.state, row.owner, row.why, row.until, row.count) == ("known", "ana", "later", "2027-01-01", 3)
        assert (row.first_seen, row.last_seen, row.state_since) == (NOON, NOON + 20, NOON + 30)
        assert kept.all("SELECT signature FROM sample_links") == [(id_at(ALL),)]

    def test_a_claim_keeps_running(self, kept: Kept) -> None:
        kept.store(found_at(A))
        set_state(kept.connection, id_at(A), "fixed", NOON + 10)
        kept.store(match(endpoint=A, at=NOON + 20))
        before = kept.verdict().claims
        kept.carry({A: ALL})
        (claim,) = kept.verdict().claims
        assert (claim.endpoint, claim.signature) == (ALL, id_at(ALL))
        assert (claim.needed, claim.pairs) == (before[0].needed, before[0].pairs) == (MIN_PAIRS, 1)
        kept.store(match(endpoint=ALL, at=NOON + 30))
        assert kept.verdict().claims[0].pairs == 2
        assert kept.store(found_at(ALL, at=NOON + 40), now=NOON + 41) == [id_at(ALL)]

    def test_a_status_has_the_id_of_its_pair(self, kept: Kept) -> None:
        name = signature("orders", "GET", "/posts/ana", Where.STATUS, "302->303", Kind.VALUE, Severity.RISKY)
        status = StoredDifference(name, "status", None, "value", "risky", "302", "303")
        kept.store(mismatch(status, endpoint=A))
        kept.carry({A: ALL})
        expected = signature("orders", "GET", "/posts/{}", Where.STATUS, "302->303", Kind.VALUE, Severity.RISKY)
        assert kept.all("SELECT id, endpoint FROM signatures") == [(expected, ALL)]

    def test_a_difference_that_stands_for_many_keeps_its_id(self, kept: Kept) -> None:
        rest = StoredDifference("f" * 16, "body", "…", "type", "breaking", "1", "2")
        kept.store(mismatch(rest, endpoint=A))
        kept.carry({A: ALL})
        assert kept.all("SELECT id, endpoint FROM signatures") == [("f" * 16, ALL)]

    def test_no_event_is_due(self, kept: Kept) -> None:
        kept.store(found_at(A), now=NOON)
        kept.carry({A: ALL}, now=NOON + 500)
        assert kept.all("SELECT state, state_since FROM signatures") == [("new", NOON)]

    def test_other_routes_stay(self, kept: Kept) -> None:
        kept.store(replace(found_at(A), route="carts"), found_at(A))
        kept.carry({A: ALL})
        assert set(kept.all("SELECT DISTINCT route, endpoint FROM pairs")) == {("carts", A), ("orders", ALL)}

    def test_what_was_set_aside_goes_along(self, kept: Kept) -> None:
        kept.store(found_at(A))
        set_state(kept.connection, id_at(A), "known", NOON + 1)
        (name,) = set_aside(kept.connection, "orders", NOON + 10)
        kept.index.load(kept.connection)
        kept.store(found_at(B, at=NOON + 20), now=NOON + 21)
        kept.carry({A: ALL, B: ALL})
        rows = reading.signatures(kept.connection, {}, Filters(release=name), TODAY)
        assert [(row.id, row.state, row.count) for row in rows] == [(id_at(ALL), "known", 1)]
        assert [row.state for row in reading.signatures(kept.connection, {}, Filters(), TODAY)] == ["new"]


class TestTwoThatBecomeOne:
    def test_counts_add_up(self, kept: Kept) -> None:
        kept.store(found_at(A, at=NOON + 5), found_at(B), found_at(ALL, at=NOON + 9), match(endpoint=B))
        assert kept.carry({A: ALL, B: ALL}) == Carried(endpoints=2, signatures=2, merged=2)
        assert sorted(kept.all("SELECT endpoint, outcome, count FROM pairs")) == [
            (ALL, "match", 1),
            (ALL, "mismatch", 3),
        ]
        assert kept.all("SELECT id, count, first_seen, last_seen FROM signatures") == [(id_at(ALL), 3, NOON, NOON + 9)]
        assert kept.all("SELECT count, first_seen, last_seen FROM sightings") == [(3, NOON, NOON + 9)]

    @pytest.mark.parametrize("state", CAUTION[:-1])
    @pytest.mark.parametrize("other", CAUTION[:-1])
    def test_the_more_cautious_review_holds(self, kept: Kept, state: str, other: str) -> None:
        kept.store(found_at(A), found_at(B))
        set_state(kept.connection, id_at(A), state, NOON + 10, owner="ana", why="a")
        set_state(kept.connection, id_at(B), other, NOON + 20, owner="bob", why="b")
        kept.carry({A: ALL, B: ALL})
        held = min(state, other, key=CAUTION.index)
        by = "bob" if held == other else "ana"
        assert kept.all("SELECT state, owner, why FROM signatures") == [(held, by, "a" if by == "ana" else "b")]
        assert kept.all("SELECT count(DISTINCT signature) FROM claims") == [(1 if held == "fixed" else 0,)]

    def test_a_review_that_ends_is_in_the_audit(self, kept: Kept) -> None:
        kept.store(found_at(A), found_at(B))
        set_state(kept.connection, id_at(A), "known", NOON, owner="ana", why="next week", until="2027-01-01")
        kept.carry({A: ALL, B: ALL})
        (entry,) = entries(kept.connection, AuditFilters())
        assert (entry.what, entry.why) == ("merged", "next week")
        assert entry.detail == f"{id_at(A)} {A} is a part of {id_at(ALL)} now; it was known until 2027-01-01, of ana"
        assert kept.all("SELECT state, owner FROM signatures") == [("new", "ana")]

    def test_the_claim_that_lacks_more_goes_on_and_pairs_of_others_prove_less(self, kept: Kept) -> None:
        kept.store(found_at(A), *(match(endpoint=B) for _ in range(999)))
        set_state(kept.connection, id_at(A), "fixed", NOON + 10)
        assert [claim.needed for claim in kept.verdict().claims] == [MIN_PAIRS]
        kept.carry({A: ALL, B: ALL})
        (claim,) = kept.verdict().claims
        assert claim.endpoint == ALL
        assert claim.needed > 2000  # 1 of 1000 pairs had it

    def test_the_newest_samples_stay(self, kept: Kept) -> None:
        for number in range(15):
            kept.store(replace(found_at(A, at=NOON + number), sample=b"{}", id=f"a{number:02}"))
            kept.store(replace(found_at(B, at=NOON + 100 + number), sample=b"{}", id=f"b{number:02}"))
        kept.carry({A: ALL, B: ALL})
        links = sorted(str(row[0]) for row in kept.all("SELECT sample FROM sample_links"))
        assert links == [f"a{number:02}" for number in range(10, 15)] + [f"b{number:02}" for number in range(15)]

    def test_pairs_of_one_set_are_one_row(self, kept: Kept) -> None:
        kept.store(found_at(A, "$.price", "$.tax"), found_at(B, "$.tax", "$.price"), found_at(B))
        kept.carry({A: ALL, B: ALL})
        assert sorted(kept.all("SELECT count FROM pairs")) == [(1,), (2,)]
        prune(kept.connection, NOON + 1000)
        assert kept.all("SELECT count(*) FROM member_sets") == [(2,)]


class TestAcceptedByARule:
    """A rule is for one endpoint. It never covers more than was accepted, and what it has accepted stays accepted."""

    def test_what_was_accepted_before_the_rename_stays_so(self, kept: Kept) -> None:
        kept.store(found_at(A), match(endpoint=B))
        kept.rules = accept(A)
        before = kept.verdict()
        assert (before.matches, before.breaking_open) == (2, 0)
        kept.carry({A: ALL, B: ALL})
        after = kept.verdict()
        assert (after.pairs, after.matches, after.breaking_open) == (2, 2, 0)
        (row,) = reading.signatures(kept.connection, kept.rules, Filters(), TODAY)
        assert (row.state, row.accepted, row.count) == ("accepted", 1, 1)

    def test_what_is_seen_beside_it_is_open(self, kept: Kept) -> None:
        kept.rules = accept(A)
        kept.store(accepted(*differs(A), endpoint=A))
        kept.carry({A: ALL})
        kept.store(found_at(ALL, at=NOON + 900), now=NOON + 901)
        after = kept.verdict()
        assert (after.pairs, after.matches, after.breaking_open) == (2, 1, 1)
        assert kept.state(id_at(A)) == "regressed"

    def test_without_the_rule_it_is_open_again(self, kept: Kept) -> None:
        kept.store(found_at(A))
        kept.rules = accept(A)
        kept.carry({A: ALL})
        kept.rules = {}
        assert kept.verdict().matches == 0

    def test_a_rule_for_the_new_name_is_for_all_that_has_it_and_the_audit_says_so(self, kept: Kept) -> None:
        kept.store(found_at(A), accepted(*differs(ALL), endpoint=ALL), found_at(B))
        set_state(kept.connection, id_at(B), "accepted", NOON)
        kept.rules = accept(ALL)
        kept.carry({A: ALL, B: ALL})
        entry, *others = [entry for entry in entries(kept.connection, AuditFilters()) if entry.what == "accepted"]
        assert (entry.who, others) == ("strangler", [])
        assert entry.detail == f"{id_at(ALL)} {ALL}: the rule for it accepts what was new as {id_at(A)} {A}, too"
        assert kept.verdict().matches == 3

    def test_a_rule_for_the_new_name_needs_nothing(self, kept: Kept) -> None:
        kept.store(found_at(A))
        kept.rules = accept(ALL)
        kept.carry({A: ALL})
        assert kept.all("SELECT accepted FROM sightings") == [(0,)]
        assert kept.verdict().matches == 1


class TestFormerIds:
    def test_they_are_found_by_their_start(self, kept: Kept) -> None:
        kept.store(found_at(A), found_at(B))
        kept.carry({A: ALL, B: ALL})
        for name in (id_at(A), id_at(B)[:10], id_at(ALL)):
            row = reading.signature(kept.connection, {}, name, TODAY)
            assert row is not None
            assert (row.id, row.count) == (id_at(ALL), 2)

    def test_they_are_found_after_two_carry_overs(self, kept: Kept) -> None:
        kept.store(found_at(A), found_at("GET /pages/x"))
        kept.carry({A: ALL})
        kept.carry({ALL: "GET /{}/{}", "GET /pages/x": "GET /{}/{}"})
        for former in (A, ALL, "GET /pages/x"):
            assert present_id(kept.connection, id_at(former)) == id_at("GET /{}/{}")

    def test_a_review_by_a_former_id_is_one_of_the_present(self, kept: Kept) -> None:
        kept.store(found_at(A), found_at(B))
        kept.carry({A: ALL, B: ALL})
        marked = mark(kept.connection, [id_at(A), id_at(B)], Review("known", "ana"), "ana", NOON + 600)
        assert (marked.changed, marked.unknown) == ((id_at(ALL),), ())
        assert kept.state(id_at(B)) == "known"
        assert mark(kept.connection, ["none"], Review("known"), "ana", NOON).unknown == ("none",)

    def test_an_id_that_is_seen_again_is_its_own(self, kept: Kept) -> None:
        """After an unfold words have their own rows again; what was counted stays in the row of the template."""
        kept.store(found_at(A))
        kept.carry({A: ALL})
        kept.store(found_at(A, at=NOON + 900))
        row = reading.signature(kept.connection, {}, id_at(A), TODAY)
        assert row is not None
        assert (row.id, row.count) == (id_at(A), 1)
        kept.carry({A: ALL})
        assert kept.all("SELECT id, count FROM signatures") == [(id_at(ALL), 2)]

    def test_they_go_with_their_difference_and_are_bounded(self, kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
        kept.store(found_at(A, "$.a", "$.b", "$.c"))
        kept.carry({A: ALL})
        monkeypatch.setattr("strangler.store.evidence.former_ids.MAX_FORMER_IDS", 2)
        prune(kept.connection, NOON + 600)
        assert kept.all("SELECT count(*) FROM former_ids") == [(2,)]
        kept.connection.execute("DELETE FROM sightings")
        prune(kept.connection, NOON + 600)
        assert kept.all("SELECT count(*) FROM former_ids") == [(0,)]


def test_a_finding_that_waits_gets_the_new_name() -> None:
    old, new = (differs(endpoint)[0].id for endpoint in (A, ALL))
    line = f'{{"signature":"{old}"}}\n'.encode()
    moved = renamed(replace(found_at(A), line=line, sample=line, accepted=differs(A, "$.tax")), ALL)
    assert (moved.endpoint, moved.differences[0].id, moved.accepted) == (ALL, new, differs(ALL, "$.tax"))
    assert moved.line == moved.sample == line.replace(old.encode(), new.encode())
    assert renamed(found_at(A), A) == found_at(A)


def test_a_store_of_the_version_before_is_read_by_its_own_names_once(tmp_path: Path) -> None:
    path = tmp_path / "strangler.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(SCHEMA)
        store_findings(connection, IndexState(), [found_at(A)], NOON)
        connection.executescript("DROP TABLE former_ids; DROP TABLE earlier_names")
    with reading.reader(file_location(tmp_path), looks_over=True) as read_only:
        row = reading.signature(read_only, {}, id_at(A)[:8], TODAY)
        assert row is not None
    with closing(sqlite3.connect(path)) as connection, connection:
        prepare(connection)
        assert [(each.name, each.is_earlier) for each in stored_endpoints(connection)] == [(A, True)]
        carry_over(connection, {("orders", A): A}, {}, TODAY, NOON)
        prepare(connection)
        assert [(each.name, each.is_earlier) for each in stored_endpoints(connection)] == [(A, False)]


def test_ten_thousand_differences_take_a_moment() -> None:
    """The most that five routes may have, each with two endpoints that become one. Other work may slow down a try."""
    assert any(seconds_for_ten_thousand() < 3.0 for _ in range(3))


def seconds_for_ten_thousand() -> float:
    """Return the CPU time of a carry-over."""
    routes = [f"r{number}" for number in range(5)]
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(SCHEMA)
        kept = Kept(connection)
        for route in routes:
            for endpoint in (A, B):
                found = (made_at(route, endpoint, f"$.k{number}") for number in range(1000))
                kept.store(*(replace(mismatch(each, endpoint=endpoint), route=route) for each in found))
        assert kept.all("SELECT count(*) FROM signatures") == [(10_000,)]
        names = {(route, endpoint): ALL for route in routes for endpoint in (A, B)}
        began = time.process_time()
        carried = carry_over(connection, names, {}, TODAY, NOON + 500)
        assert carried == Carried(endpoints=10, signatures=10_000, merged=5000)
        return time.process_time() - began


def made_at(route: str, endpoint: str, path: str) -> StoredDifference:
    method, _, shape = endpoint.partition(" ")
    name = signature(route, method, shape, Where.BODY, path, Kind.TYPE, Severity.BREAKING)
    return StoredDifference(name, "body", path, "type", "breaking", "1", "2")


# Whatever happens

STAGES: Sequence[Mapping[str, str]] = (
    {A: ALL, B: ALL},
    {ALL: "GET /{}/{}", "GET /pages/x": "GET /{}/{}"},
    {"GET /pages/y": "GET /{}/{}"},
)
NAMES = [A, B, "GET /pages/x", "GET /pages/y", "POST /posts/ana"]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("pair"), st.sampled_from(NAMES), st.sampled_from(["", "$.price", "$.tax"])),
        st.tuples(st.just("review"), st.integers(0, 20), st.sampled_from(["known", "fixed", "accepted"])),
        st.tuples(st.just("fold"), st.just(""), st.just("")),
    ),
    max_size=30,
)


def named_at(endpoint: str, stage: int) -> str:
    for names in STAGES[:stage]:
        endpoint = names.get(endpoint, endpoint)
    return endpoint


def totals(kept: Kept) -> object:
    return (
        kept.all("SELECT outcome, sum(count) FROM pairs GROUP BY 1 ORDER BY 1"),
        kept.all("SELECT sum(count), sum(accepted) FROM sightings"),
        kept.all("SELECT sum(count) FROM signatures"),
    )


@given(steps=STEPS)
@budget(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
def test_no_sequence_loses_anything(connection: Connection, steps: list[tuple[str, str | int, str]]) -> None:
    with undone(connection):
        kept, stage, ever = Kept(connection), 0, set[str]()
        for at, (step, what, more) in enumerate(steps):
            now = NOON + 100 * (at + 1)
            if step == "pair":
                endpoint = named_at(str(what), stage)
                kept.store(found_at(endpoint, more, at=now) if more else match(at=now, endpoint=endpoint), now=now)
            ids = [str(row[0]) for row in kept.all("SELECT id FROM signatures ORDER BY first_seen, id")]
            ever.update(ids)
            if step == "review" and ids:
                mark(connection, [ids[int(what) % len(ids)]], Review(more, "ana", "why"), "ana", now)
            if step == "fold" and stage < len(STAGES):
                _fold(kept, stage, ever, now)
                stage += 1
        assert all(kept.state(name) for name in ever)


def _fold(kept: Kept, stage: int, ever: set[str], now: float) -> None:
    before, verdict = {name: kept.state(name) for name in ever}, kept.verdict()
    sums = totals(kept)
    carried = kept.carry(STAGES[stage], now)
    assert totals(kept) == sums
    for name, state in before.items():
        assert CAUTION.index(kept.state(name)) <= CAUTION.index(state)
    after = kept.verdict()
    assert after.matches <= verdict.matches
    lacking = {(claim.signature, claim.endpoint): claim.lacking for claim in after.claims}
    for claim in verdict.claims:
        name = present_id(kept.connection, claim.signature)
        still = lacking.get((name, named_at(claim.endpoint, stage + 1)))
        assert kept.state(name) != "fixed" if still is None else still >= claim.lacking
    if not carried.merged:
        assert (after.pairs, after.matches, after.set_aside, after.breaking_open) == (
            verdict.pairs, verdict.matches, verdict.set_aside, verdict.breaking_open,
        )  # fmt: skip
        assert [claim.pairs for claim in after.claims] == [claim.pairs for claim in verdict.claims]
    assert {row[0] for row in kept.all("SELECT DISTINCT signature FROM sightings")} == {
        row[0] for row in kept.all("SELECT id FROM signatures")
    }
    assert not kept.all("SELECT 1 FROM pairs WHERE members != '' AND members NOT IN (SELECT id FROM member_sets)")
