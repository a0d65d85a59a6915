"""Rollouts in the store: the position of each group of routes, and its last moves.

A row that cannot be read, as that of a newer version, is never overwritten unseen: its group is paused at the percent
that is still known, and control says so in its log.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from strangler.core.rollout.caller_tally import REGISTERS
from strangler.core.rollout.evidence import StepCounts
from strangler.core.rollout.judgement import LookRecord
from strangler.core.rollout.position import Position
from strangler.core.time_buckets import BOUNDS_S
from strangler.store.connection import Connection

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS rollout_positions (name TEXT PRIMARY KEY, content BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rollout_moves (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, at REAL NOT NULL, content BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS rollout_moves_by_name ON rollout_moves (name, id);
"""
MAX_MOVES: Final = 200
"""The last moves of a group that are kept."""
_VERSION: Final = 1


class StoredMove(msgspec.Struct, frozen=True):
    """A move of a rollout, or a command."""

    at: float
    from_percent: float
    to_percent: float
    what: str
    why: str
    who: str = ""
    look: LookRecord | None = None
    """The look that it was decided by, if one was."""


class FleetNotes(msgspec.Struct, frozen=True):
    """The notes that the leader of a fleet leaves with a position, for the other nodes and for the next leader."""

    steps: tuple[float, ...] = ()
    """The steps of the plan that it was last moved by."""
    upstreams: tuple[str, ...] = ()
    """The upstreams of the candidates that its evidence is of."""
    held: str = ""
    """Why nothing climbs now."""
    gate: tuple[str, ...] = ()
    """Why the gate does not hold."""


class StoredPosition(msgspec.Struct, frozen=True):
    """A position, and legacy's last times where shadows time both arms: seconds, the newest last."""

    position: Position
    legacy_times: list[float] = []
    p95_s: float | None = None
    """Legacy's percentile by which pairs are counted since the evidence began; None: it is not known yet."""
    version: int = _VERSION
    fleet: FleetNotes | None = None
    """None: the store is that of one node."""


class _Known(msgspec.Struct, frozen=True):
    """The parts that are read of a row that is otherwise not understood."""

    percent: float = 0.0
    moves: int = 0


class _Unread(msgspec.Struct, frozen=True):
    position: _Known = _Known()


@dataclass(frozen=True, slots=True)
class StoredRollout:
    """The rows of a group. `kept`: None if its row cannot be read; `percent` and `moves` are still known."""

    kept: StoredPosition | None
    percent: float
    moves: int
    history: tuple[StoredMove, ...]
    problem: str | None = None
    """Why its row cannot be read."""
    unread_moves: tuple[str, ...] = ()
    """For each move that cannot be read, why: the history is without them."""


def load(connection: Connection) -> dict[str, StoredRollout]:
    """Return the stored rollouts by group. Raises DatabaseError."""
    moves: dict[str, list[StoredMove]] = {}
    unread: dict[str, list[str]] = {}
    for name, content in connection.execute("SELECT name, content FROM rollout_moves ORDER BY id"):
        try:
            moves.setdefault(name, []).append(msgspec.json.decode(content, type=StoredMove))
        except (msgspec.DecodeError, ValueError, TypeError, RecursionError) as error:
            unread.setdefault(name, []).append(str(error))
    return {
        name: replace(row, history=tuple(moves.get(name, ())), unread_moves=tuple(unread.get(name, ())))
        for name, row in load_positions(connection).items()
    }


def load_positions(connection: Connection) -> dict[str, StoredRollout]:
    """Return the stored rollouts by group, without their moves. Raises DatabaseError."""
    rows = connection.execute("SELECT name, content FROM rollout_positions").fetchall()
    return {name: _read(content) for name, content in rows}


def _read(content: bytes) -> StoredRollout:
    try:
        kept = msgspec.json.decode(content, type=StoredPosition)
        if kept.version > _VERSION:
            raise ValueError(f"it is of version {kept.version}, and this program knows {_VERSION}")
        if not _has_our_buckets(kept.position):
            raise ValueError("its times are counted by other buckets")
    except (msgspec.DecodeError, ValueError, TypeError, RecursionError) as error:
        known = _known(content)
        return StoredRollout(None, known.percent, known.moves, (), str(error))
    return StoredRollout(kept, kept.position.percent, kept.position.moves, ())


def _has_our_buckets(position: Position) -> bool:
    return len(position.reference.buckets) in {0, len(BOUNDS_S) + 1} and are_our_counts(position.counts)


def are_our_counts(counts: StepCounts) -> bool:
    """Return whether counts can be added to those of this version."""
    kept = [counts.legacy.buckets, counts.candidate.buckets]
    kept += [caller.counts.buckets for caller in counts.callers.busiest.values()]
    return {len(buckets) for buckets in kept} <= {0, len(BOUNDS_S) + 1} and len(counts.callers.registers) == REGISTERS


def _known(content: bytes) -> _Known:
    try:
        return msgspec.json.decode(content, type=_Unread).position
    except (msgspec.DecodeError, ValueError, TypeError, RecursionError):
        return _Known()


def save(
    connection: Connection,
    positions: Mapping[str, StoredPosition],
    moves: Iterable[tuple[str, StoredMove]],
    gone: Sequence[str] = (),
) -> None:
    """Write positions and add moves; forget the groups that are `gone`."""
    names = [(name,) for name in gone]
    connection.executemany("DELETE FROM rollout_positions WHERE name = ?", names)
    connection.executemany("DELETE FROM rollout_moves WHERE name = ?", names)
    rows = [(name, msgspec.json.encode(kept)) for name, kept in sorted(positions.items())]
    connection.executemany(
        "INSERT INTO rollout_positions VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET content = excluded.content", rows
    )
    added = [(name, move.at, msgspec.json.encode(move)) for name, move in moves]
    connection.executemany("INSERT INTO rollout_moves (name, at, content) VALUES (?, ?, ?)", added)
    connection.executemany(
        """DELETE FROM rollout_moves WHERE name = ? AND id <= (
            SELECT id FROM rollout_moves WHERE name = ? ORDER BY id DESC LIMIT 1 OFFSET ?
        )""",
        [(name, name, MAX_MOVES) for name in sorted({name for name, _, _ in added})],
    )
