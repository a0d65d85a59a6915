"""The resets of evidence: when that of a route was last set aside, so that no node adds what came before.

A reset and the batches of all nodes take turns. A batch that comes after it leaves out what was asked for before it,
whatever its node knows of the reset.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from strangler.store.connection import Connection
from strangler.store.evidence.findings import Finding
from strangler.store.evidence.stored_releases import Release

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS resets (route TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID;
"""

Resets = Mapping[str, float]
"""By route: the Unix time at which its evidence was last set aside."""


def note_reset(connection: Connection, route: str, at: float) -> None:
    """Note that the evidence of a route was set aside."""
    connection.execute(
        "INSERT INTO resets VALUES (?, ?) ON CONFLICT (route) DO UPDATE SET at = excluded.at", (route, at)
    )


def load_resets(connection: Connection) -> dict[str, float]:
    """Return the last reset of each route that had one."""
    return dict(connection.execute("SELECT route, at FROM resets").fetchall())


def since_resets(findings: Sequence[Finding], resets: Resets) -> list[Finding]:
    """Return the findings whose requests came after the resets of their routes."""
    return [finding for finding in findings if finding.at >= resets.get(finding.route, 0.0)]


def releases_since(rows: Iterable[Release], resets: Resets) -> list[Release]:
    """Return the rows of releases as they are after the resets. A release that was seen only before them has none,
    unless it is the current one."""
    return [
        row if row.first_seen >= at else _begun(row, at)
        for row in rows
        if (at := resets.get(row.route, 0.0)) <= row.last_seen or row.is_current
    ]


def _begun(row: Release, at: float) -> Release:
    since = max(row.since, at) if row.is_current else 0.0
    return replace(row, first_seen=at, last_seen=max(row.last_seen, at), since=since)
