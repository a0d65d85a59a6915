"""Findings of replays: their form for the admin listener, and their way into the store of a state folder."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec

from strangler.core.compare import Reason
from strangler.core.documents import (
    ComparedDifference,
    ComparisonLine,
    ReplayedDifference,
    ReplayedPair,
    SampleDocument,
)
from strangler.core.source import REPLAY
from strangler.store.connection import Connection
from strangler.store.evidence.audits import write_audit
from strangler.store.evidence.carry_over import id_at
from strangler.store.evidence.findings import Finding, StoredDifference
from strangler.store.evidence.index import IndexState
from strangler.store.evidence.journal import Journal
from strangler.store.evidence.releases_state import ReleasesState
from strangler.store.evidence.retention import drop_evidence
from strangler.store.evidence.stored_releases import load_releases, save_releases
from strangler.store.evidence.turn import take_turn
from strangler.store.evidence.writing import store_findings
from strangler.times import rfc3339

REPLAY_ADDED: Final = "replay.added"
"""The name in the audit of a replay whose findings were added."""
MAX_AHEAD_S: Final = 60.0
"""The longest time that a finding may lie ahead of the clock."""
_MAX_VALUE_BYTES: Final = 8 * 1024
_MAX_LINE_BYTES: Final = 1024 * 1024
_MAX_SAMPLE_BYTES: Final = 1024 * 1024
_REASONS: Final = frozenset({"", *Reason})


class ReplayedError(ValueError):
    """A finding cannot be stored; the message names its place and the way out."""


# To the admin listener


def encoded(finding: Finding) -> ReplayedPair:
    """Return the form of a finding that a request has."""
    line = None if finding.line is None else msgspec.json.decode(finding.line, type=ComparisonLine)
    sample = None if finding.sample is None else msgspec.json.decode(finding.sample, type=SampleDocument)
    return ReplayedPair(
        id=finding.id,
        at=finding.at,
        route=finding.route,
        endpoint=finding.endpoint,
        outcome=finding.outcome,  # type: ignore[arg-type]  # decoding checks it
        reason=finding.reason,
        differences=[_encoded(difference) for difference in finding.differences],
        accepted=[_encoded(difference) for difference in finding.accepted],
        line=None if line is None else msgspec.structs.replace(line, differences=[]),
        sample=None if sample is None else sample.answers,
        latency=finding.latency,
        release=finding.release,
        is_timeable=finding.is_timeable,
        is_partial=finding.is_partial,
    )


def _encoded(difference: StoredDifference) -> ReplayedDifference:
    return ReplayedDifference(
        in_=difference.place,  # type: ignore[arg-type]  # decoding checks these three
        path=difference.path,
        kind=difference.kind,  # type: ignore[arg-type]
        severity=difference.severity,  # type: ignore[arg-type]
        legacy=msgspec.Raw(difference.legacy.encode()),
        candidate=msgspec.Raw(difference.candidate.encode()),
    )


# From a request


def decoded(pairs: Sequence[ReplayedPair], now: float) -> list[Finding]:
    """Return the findings of a request; `now`: Unix time. Raises ReplayedError.

    Ids of differences, and all that a line says of its finding, are made anew: nothing depends on the sender.
    """
    return [_finding(pair, f"findings[{place}]", now) for place, pair in enumerate(pairs)]


def _finding(pair: ReplayedPair, place: str, now: float) -> Finding:
    if pair.at > now + MAX_AHEAD_S:
        raise ReplayedError(f"{place}.at is {pair.at - now:.6g} s ahead of this clock; set the clock of the sender")
    if pair.reason not in _REASONS:
        raise ReplayedError(f"{place}.reason is unknown; it is empty, or one of {', '.join(Reason)}")
    differences = tuple(_differences(pair, pair.differences, f"{place}.differences"))
    finding = Finding(
        id=pair.id,
        at=pair.at,
        route=pair.route,
        endpoint=pair.endpoint,
        outcome=pair.outcome,
        reason=pair.reason,
        differences=differences,
        latency=pair.latency,
        release=pair.release,
        accepted=tuple(_differences(pair, pair.accepted, f"{place}.accepted")),
        is_timeable=pair.is_timeable,
        is_partial=pair.is_partial,
        source=REPLAY,
    )
    if pair.line is None:
        if pair.sample is not None:
            raise ReplayedError(f"{place}.sample has no line; send `line` with it")
        return finding
    line = _bounded(_line(pair.line, finding), _MAX_LINE_BYTES, f"{place}.line")
    sample = None
    if pair.sample is not None and differences:
        responses = _bounded(pair.sample, _MAX_SAMPLE_BYTES, f"{place}.sample")
        sample = b'{"comparison":%b,"answers":%b}' % (line, responses)
    return replace(finding, line=line + b"\n", sample=sample)


def _differences(
    pair: ReplayedPair, differences: Iterable[ReplayedDifference], place: str
) -> Iterable[StoredDifference]:
    for number, difference in enumerate(differences):
        here = f"{place}[{number}]"
        if difference.in_ == "status" and not _are_statuses(difference.legacy, difference.candidate):
            raise ReplayedError(f"{here} is a status, whose values are whole numbers or null")
        if difference.in_ == "header" and not difference.path:
            raise ReplayedError(f"{here} is a header without a name; write it as `path`")
        stored = StoredDifference(
            id="",
            place=difference.in_,
            path=difference.path,
            kind=difference.kind,
            severity=difference.severity,
            legacy=_bounded(difference.legacy, _MAX_VALUE_BYTES, f"{here}.legacy").decode(),
            candidate=_bounded(difference.candidate, _MAX_VALUE_BYTES, f"{here}.candidate").decode(),
        )
        yield replace(stored, id=id_at(pair.route, pair.endpoint, stored))


def _are_statuses(*values: object) -> bool:
    return all(value is None or type(value) is int for value in values)


def _bounded(value: Any, most: int, place: str) -> bytes:
    content = msgspec.json.encode(value)
    if len(content) > most:
        raise ReplayedError(f"{place} has {len(content):,} bytes; {most:,} are possible")
    return content


def _line(line: ComparisonLine, finding: Finding) -> ComparisonLine:
    first = finding.differences[0] if finding.differences else None
    return msgspec.structs.replace(
        line,
        time=rfc3339(finding.at),
        event="shadow.diff",
        id=finding.id,
        route=finding.route,
        release=finding.release or None,
        source=REPLAY,
        method=finding.endpoint.partition(" ")[0],
        outcome=finding.outcome,
        reason=finding.reason or None,
        severity=first.severity if first else None,
        signature=first.id if first else None,
        differences=[_compared(difference) for difference in finding.differences],
    )


def _compared(difference: StoredDifference) -> ComparedDifference:
    return ComparedDifference(
        in_=difference.place,
        path=difference.path,
        kind=difference.kind,
        severity=difference.severity,
        legacy=msgspec.Raw(difference.legacy.encode()),
        candidate=msgspec.Raw(difference.candidate.encode()),
    )


# Into the store


def unknown_routes(findings: Iterable[Finding | ReplayedPair], known: Iterable[str]) -> list[str]:
    """Return the names of routes that findings have, but routes.yaml does not."""
    return sorted({finding.route for finding in findings} - set(known))


def of_release(finding: Finding, releases: ReleasesState, now: float) -> Finding:
    """Return a finding as that of a replay, under the release that it belongs to, and without noise."""
    release = releases.see_replayed(finding.route, finding.release, now)
    return replace(finding, source=REPLAY, release=release, baseline=None)


def audit_replay(connection: Connection, run: str, actor: str, now: float) -> None:
    """Record in the audit that findings of a replay are added: once, however many requests they come in."""
    detail = f"run {run}"
    known = connection.execute(
        "SELECT 1 FROM audit WHERE what = ? AND detail = ? ORDER BY id DESC LIMIT 1", (REPLAY_ADDED, detail)
    )
    if known.fetchone() is None:
        write_audit(connection, now, actor, REPLAY_ADDED, "", "", detail)


def store_replayed(
    connection: Connection, folder: Path, findings: Sequence[Finding], run: str, actor: str, now: float
) -> int:
    """Add the findings of a replay to the store of a state folder that no proxy runs on. Return how many are stored.

    The tables are those of this version. Endpoints keep the names that they have; the next proxy renames them. To be
    called in a transaction. Raises OSError if the lines cannot be written.
    """
    take_turn(connection)
    index, releases = IndexState(), ReleasesState()
    index.load(connection)
    releases.restore(load_releases(connection))
    added = [of_release(finding, releases, now) for finding in findings]
    rows, evicted = releases.unsaved()
    drop_evidence(connection, evicted)
    save_releases(connection, rows)
    store_findings(connection, index, added, now)
    audit_replay(connection, run, actor, now)
    Journal(folder).append(finding.line for finding in added if finding.line is not None)
    return len(added)
