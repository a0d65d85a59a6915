"""Findings of replays on their way into the store: what arrives is what was sent, and nothing else gets in."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from strangler.core.documents import ReplayedPair, SampleDocument
from strangler.store.connection import Connection
from strangler.store.evidence import audits, reading
from strangler.store.evidence.audits import AuditFilters
from strangler.store.evidence.findings import Finding
from strangler.store.evidence.reading import Filters
from strangler.store.evidence.replayed import MAX_AHEAD_S, ReplayedError, decoded, encoded, store_replayed
from strangler.store.evidence.stored_releases import load_releases, name_release
from tests.store.evidence.pairs import NOON, accepted, captured, finding_of, json_response, match, seen
from tests.store.evidence.test_upgrade import TODAY
from tests.store.savepoints import undone

LEGACY = {"id": 7, "price": 19.99, "name": "a" * 400}
CANDIDATE = {"id": 7, "price": "19.99"}


def replayed(legacy: Any = LEGACY, candidate: Any = CANDIDATE, status: int = 200) -> Finding:
    """As a replay makes it."""
    return replace(finding_of(json_response(legacy), json_response(candidate, status), captured()), source="replay")


def on_the_wire(finding: Finding) -> ReplayedPair:
    return msgspec.json.decode(msgspec.json.encode(encoded(finding)), type=ReplayedPair)


@pytest.mark.parametrize(
    "finding",
    [
        pytest.param(replayed(), id="a mismatch"),
        pytest.param(replayed(candidate=LEGACY), id="a match"),
        pytest.param(replayed(status=500), id="a status"),
        pytest.param(replace(replayed(), latency=(0.1, 0.2), release="v2", is_timeable=True), id="all fields"),
    ],
)
def test_what_arrives_is_what_was_sent(finding: Finding) -> None:
    (found,) = decoded([on_the_wire(finding)], NOON)
    for text in ("line", "sample"):
        given, got = getattr(finding, text), getattr(found, text)
        assert (given is None) == (got is None)
    parsed = [json.loads(each.line) if each.line else None for each in (finding, found)]
    if parsed[0] is not None and parsed[1] is not None:
        assert parsed[1] == parsed[0] | {"source": "replay", "release": finding.release or None}
    if found.sample is not None:
        assert msgspec.json.decode(found.sample, type=SampleDocument).comparison.source == "replay"
    assert replace(found, line=None, sample=None) == replace(finding, line=None, sample=None)


def test_ids_and_the_words_of_a_line_are_made_anew() -> None:
    """A sender cannot file a difference under another one, or a line under another route."""
    pair = on_the_wire(replayed())
    assert pair.line is not None
    line = msgspec.structs.replace(pair.line, route="other", signature="f" * 16, source="live", outcome="match")
    (found,) = decoded([msgspec.structs.replace(pair, line=line)], NOON)
    assert json.loads(found.line or b"") == json.loads(replayed_line(found, pair))
    assert found.differences[0].id == replayed().differences[0].id


def replayed_line(found: Finding, pair: ReplayedPair) -> bytes:
    (clean,) = decoded([pair], NOON)
    return clean.line or b""


def bad(**more: Any) -> Any:
    given = json.loads(msgspec.json.encode(encoded(replayed())))
    return given | more


def differing(**more: Any) -> dict[str, Any]:
    return {"differences": [{"in": "body", "path": "$.a", "kind": "value", "severity": "breaking"} | more]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"at": NOON + MAX_AHEAD_S + 9}, "ahead of this clock"),
        ({"reason": "bored"}, "reason is unknown"),
        ({"line": None}, "has no line"),
        (differing(**{"in": "status"}, path=None, legacy="x"), "whole numbers"),
        (differing(**{"in": "header"}, path=None), "without a name"),
        (differing(legacy="x" * 9000), "8,192 are possible"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_cannot_be_stored_is_refused_with_its_place(change: dict[str, Any], message: str) -> None:
    pair = msgspec.convert(bad(**change), ReplayedPair)
    with pytest.raises(ReplayedError, match=message) as caught:
        decoded([on_the_wire(replayed()), pair], NOON)
    assert "findings[1]" in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"id": "../../x"}, {"id": "0" * 26 + "\n"}, {"at": -1}, {"at": "now"}, {"endpoint": "/x"},
        {"endpoint": "GET /x\ny"}, {"outcome": "fine"}, {"release": "v" * 101}, {"route": "r" * 500},
        {"latency": [-1, 0]}, {"differences": [{"in": "body"}]}, {"more": 1}, {"sample": {"request": 1}},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_malformed_is_not_read(change: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(bad(**change), ReplayedPair)


class TestStore:
    """Into a store, and the journal of a state folder, while no proxy runs."""

    def store(self, connection: Connection, folder: Path, *findings: Finding, run: str = "r1") -> None:
        assert store_replayed(connection, folder, findings, run, "ana", NOON) == len(findings)

    def test_the_inbox_has_them_and_the_journal_their_lines(self, connection: Connection, tmp_path: Path) -> None:
        self.store(connection, tmp_path, replayed(), replayed(candidate=LEGACY))
        rows = reading.signatures(connection, {}, Filters(), TODAY)
        assert {frozenset(row.sources.items()) for row in rows} == {frozenset({("replay", 1)})}
        found = reading.signature(connection, {}, rows[0].id, TODAY)
        assert found is not None
        assert len(found.samples) == 1
        lines = (tmp_path / "shadow-diffs.jsonl").read_text().splitlines()
        assert len(lines) == 1, "a match has none"

    def test_a_run_is_audited_once(self, connection: Connection, tmp_path: Path) -> None:
        for run in ("r1", "r1", "r2"):
            self.store(connection, tmp_path, match(), run=run)
        found = audits.entries(connection, AuditFilters())
        assert [(entry.who, entry.what, entry.detail) for entry in found] == [
            ("ana", "replay.added", "run r2"),
            ("ana", "replay.added", "run r1"),
        ]

    def test_an_unnamed_release_is_the_current_one(self, connection: Connection, tmp_path: Path) -> None:
        name_release(connection, "orders", "v1", NOON)
        self.store(connection, tmp_path, match(), replace(match(), release="v2"))
        assert set(connection.execute("SELECT release FROM pairs").fetchall()) == {("v1",), ("v2",)}
        assert {row.name: bool(row.is_current) for row in load_releases(connection)} == {"v1": True, "v2": False}

    def test_the_first_release_of_a_route_becomes_current(self, connection: Connection, tmp_path: Path) -> None:
        self.store(connection, tmp_path, replace(match(), release="v2"))
        assert [(row.name, bool(row.is_current)) for row in load_releases(connection)] == [("v2", True)]

    def test_noise_is_not_taken_from_a_replay(self, connection: Connection, tmp_path: Path) -> None:
        self.store(connection, tmp_path, replace(match(), baseline=()))
        assert connection.execute("SELECT count(*) FROM baselines").fetchone() == (0,)

    def test_if_the_lines_cannot_be_written_the_transaction_fails(self, connection: Connection, tmp_path: Path) -> None:
        (tmp_path / "shadow-diffs.jsonl").mkdir()
        with pytest.raises(OSError, match="directory"), undone(connection):
            self.store(connection, tmp_path, replayed())
        assert connection.execute("SELECT count(*) FROM pairs").fetchone() == (0,)


def test_an_accepted_difference_is_sent_too() -> None:
    finding = replace(accepted(seen()), id=replayed().id)
    (found,) = decoded([on_the_wire(finding)], NOON)
    assert [difference.path for difference in found.accepted] == ["$.price"]
