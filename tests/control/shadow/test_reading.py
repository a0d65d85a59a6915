"""What reviewers are told: pairs are judged by what is accepted and fixed now."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from errno import EACCES
from pathlib import Path
from typing import Any

import pytest

from strangler.control.shadow import reading
from strangler.control.shadow.evidence import SCHEMA, Finding, IndexState, set_state, store_findings, write_audit
from strangler.control.shadow.reading import Filters, NoEvidenceError
from strangler.core.compare import CompareRules, compile_rules
from strangler.core.settings import AcceptRule, CompareSettings, GateSettings, UnorderedRule
from tests.control.shadow.pairs import NOON, match, mismatch, noisy, seen

TODAY = date(2026, 11, 23)
GATE = GateSettings(min_pairs=10, min_match=0.9, max_breaking=0, max_latency_ratio=1.1, min_age_s=0)
PRICE = seen("a" * 16, "$.items[*].price", "type", "breaking")
TAGS = seen("b" * 16, "$.tags", "order", "risky")
AT = seen("c" * 16, "$.at", "value", "value")


def rules(*accept: AcceptRule, unordered: tuple[UnorderedRule, ...] = ()) -> dict[str, CompareRules]:
    return {"orders": compile_rules(CompareSettings((), accept, unordered, (), "decimal"))}


def rule(path: str | None = None, **more: Any) -> AcceptRule:
    given: dict[str, Any] = dict.fromkeys(("header", "kind", "abs", "rel", "owner", "until", "why"))
    return AcceptRule(path=path, **(given | more))


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as made:
        made.executescript(SCHEMA)
        yield made


def store(connection: sqlite3.Connection, *findings: Finding) -> None:
    store_findings(connection, IndexState(), findings, NOON)


def ready(connection: sqlite3.Connection, of: dict[str, CompareRules] | None = None, gate: GateSettings = GATE) -> Any:
    return reading.readiness(connection, "orders", of or rules(), gate, TODAY)


class TestInbox:
    def test_the_gravest_comes_first_then_the_most_frequent(self, connection: sqlite3.Connection) -> None:
        store(connection, mismatch(AT), mismatch(AT), mismatch(TAGS), mismatch(PRICE))
        rows = reading.signatures(connection, rules(), Filters(), TODAY)
        assert [row["severity"] for row in rows] == ["breaking", "risky", "value"]
        assert rows[2]["share"] == 0.5
        assert (rows[0]["legacy"], rows[0]["candidate"]) == (1, 2)

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
    def test_filters(self, connection: sqlite3.Connection, filters: Filters, expected: int) -> None:
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
        self, connection: sqlite3.Connection, accepting: dict[str, CompareRules], is_accepted: bool
    ) -> None:
        store(connection, mismatch(PRICE))
        (row,) = reading.signatures(connection, accepting, Filters(), TODAY)
        assert (row["state"] == "accepted") is is_accepted

    def test_an_unordered_rule_covers_order(self, connection: sqlite3.Connection) -> None:
        store(connection, mismatch(TAGS))
        found = rules(unordered=(UnorderedRule("$.tags", None),))
        assert reading.signatures(connection, found, Filters(), TODAY)[0]["state"] == "accepted"

    def test_one_whose_rule_is_gone_is_new_again(self, connection: sqlite3.Connection) -> None:
        store(connection, mismatch(PRICE))
        set_state(connection, PRICE.id, "accepted", NOON)
        assert reading.signatures(connection, rules(), Filters(), TODAY)[0]["state"] == "new"

    def test_what_legacy_differs_from_itself_in_is_noise(self, connection: sqlite3.Connection) -> None:
        store(connection, *(mismatch(AT, baseline=(noisy("$.at"),)) for _ in range(5)), mismatch(TAGS, baseline=()))
        noise = {row["path"]: row["is_noise"] for row in reading.signatures(connection, rules(), Filters(), TODAY)}
        assert noise == {"$.at": True, "$.tags": False}

    def test_an_id_may_be_cut_while_it_names_one(self, connection: sqlite3.Connection) -> None:
        store(connection, mismatch(PRICE, TAGS, sample=b'{"n":1}'))
        found = reading.signature(connection, rules(), "aaa", TODAY)
        assert found is not None
        assert found["samples"] == [{"n": 1}]
        assert reading.signature(connection, rules(), "", TODAY) is None
        assert reading.signature(connection, rules(), "f", TODAY) is None


class TestReadiness:
    def test_enough_pairs_that_match_are_ready(self, connection: sqlite3.Connection) -> None:
        store(connection, *(match(latency=(0.01, 0.0101)) for _ in range(100)))
        found = ready(connection)
        assert (found["verdict"], found["pairs"], found["matches"]) == ("ready", 100, 100)
        assert found["endpoints"] == {"GET /api/orders/{}": 100}

    def test_nothing_is_not_enough(self, connection: sqlite3.Connection) -> None:
        assert ready(connection)["verdict"] == "not enough evidence"

    def test_a_breaking_difference_that_is_open_speaks_against_it(self, connection: sqlite3.Connection) -> None:
        store(connection, *(match(latency=(0.01, 0.01)) for _ in range(100)), mismatch(PRICE))
        found = ready(connection)
        assert (found["verdict"], found["breaking_open"]) == ("not ready", 1)

    @pytest.mark.parametrize("state", ["new", "known"])
    def test_to_have_looked_at_it_does_not_close_it(self, connection: sqlite3.Connection, state: str) -> None:
        store(connection, mismatch(PRICE))
        set_state(connection, PRICE.id, state, NOON)
        assert ready(connection)["breaking_open"] == 1

    def test_pairs_whose_differences_are_accepted_by_now_are_matches(self, connection: sqlite3.Connection) -> None:
        store(connection, *(mismatch(PRICE) for _ in range(5)), *(mismatch(PRICE, TAGS) for _ in range(3)))
        before, after = ready(connection), ready(connection, rules(rule("$..price")))
        assert (before["pairs"], before["matches"], before["breaking_open"]) == (8, 0, 1)
        assert (after["pairs"], after["matches"], after["breaking_open"]) == (8, 5, 0)

    def test_pairs_that_differed_in_what_is_fixed_say_nothing_any_more(self, connection: sqlite3.Connection) -> None:
        store(connection, *(mismatch(PRICE) for _ in range(5)), *(mismatch(PRICE, TAGS) for _ in range(3)), match())
        set_state(connection, PRICE.id, "fixed", NOON + 1)
        found = ready(connection)
        assert (found["pairs"], found["matches"], found["set_aside"]) == (4, 1, 5)

    def test_noise_is_told_and_still_counts(self, connection: sqlite3.Connection) -> None:
        store(connection, *(mismatch(AT, baseline=(noisy("$.at"),)) for _ in range(30)))
        found = ready(connection)
        assert (found["matches"], found["noise_only"]) == (0, 30)
        assert found["verdict"] == "not ready"

    def test_pairs_that_cannot_be_compared_are_told_by_reason(self, connection: sqlite3.Connection) -> None:
        store(connection, Finding("01", NOON, "orders", "GET /", "not_comparable", "lag"))
        found = ready(connection)
        assert (found["pairs"], found["not_comparable"]) == (0, {"lag": 1})

    def test_it_is_observed_from_the_first_comparable_pair_to_the_last(self, connection: sqlite3.Connection) -> None:
        store(connection, match(), match(at=NOON + 7200))
        assert ready(connection)["age_s"] == 7200

    def test_times_are_compared_pair_by_pair(self, connection: sqlite3.Connection) -> None:
        store(connection, *(match(latency=(0.01 * number, 0.02 * number)) for number in range(1, 200)))
        found = ready(connection)
        assert found["latency"]["median"]["value"] == pytest.approx(2.0)
        assert any("2.00 times" in reason for reason in found["reasons"])

    def test_thin_endpoints_are_named(self, connection: sqlite3.Connection) -> None:
        store(connection, *(match() for _ in range(40)), match(endpoint="GET /rare"))
        assert ready(connection)["thin_endpoints"] == ["GET /rare"]


def test_a_proposal_says_what_it_rests_on(connection: sqlite3.Connection) -> None:
    store(connection, *(mismatch(AT, baseline=(noisy("$.at"),)) for _ in range(25)))
    patch = reading.proposal(connection, "orders")
    assert patch is not None
    assert "25 of 25" in patch
    assert '{path: "$.at", kind: value' in patch
    assert reading.proposal(connection, "other") is None


def test_the_timeline_has_a_row_an_hour(connection: sqlite3.Connection) -> None:
    store(connection, match(), match(), mismatch(), match(at=NOON + 3600))
    assert reading.timeline(connection, "orders", rules(), TODAY) == [
        {"at": NOON, "match": 2, "mismatch": 1},
        {"at": NOON + 3600, "match": 1},
    ]


def test_the_audit_is_told_newest_first(connection: sqlite3.Connection) -> None:
    for why in ("first", "second"):
        write_audit(connection, NOON, "ana", "shift --force", "orders", why, "25 to 50 %")
    assert [line["why"] for line in reading.audit(connection)] == ["second", "first"]


@pytest.mark.parametrize(
    "content", [None, b"no database, but long enough to be looked at" * 40], ids=["none", "garbage"]
)
def test_a_store_that_cannot_be_read_is_said(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "strangler.db").write_bytes(content)
    with pytest.raises(NoEvidenceError, match=r"strangler\.db"), reading.reader(tmp_path) as connection:
        reading.audit(connection)


def test_a_store_whose_folder_is_closed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(self: Path, **_: Any) -> Any:
        raise PermissionError(EACCES, os.strerror(EACCES), str(self))

    monkeypatch.setattr(Path, "stat", closed)  # root may open any folder
    told = pytest.raises(NoEvidenceError, match=r"strangler\.db cannot be read: Permission denied")
    with told, reading.reader(tmp_path):
        pass


def test_a_value_that_is_damaged_in_a_page_that_is_whole_is_said(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "strangler.db")) as made, made:
        made.executescript(SCHEMA)
        store(made, mismatch(AT))
        made.execute("UPDATE sightings SET legacy = 'xxx'")
    told = pytest.raises(NoEvidenceError, match=r"strangler\.db cannot be read: a value in it is damaged")
    with told, reading.reader(tmp_path, looks_over=True) as connection:
        reading.signatures(connection, rules(), Filters(), TODAY)
