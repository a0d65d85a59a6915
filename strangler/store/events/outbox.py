"""Events in the store, with the position of each sink and the events that a sink refused.

events        the newest `MAX_KEPT` of the last `KEPT_S`, in the order of writing
event_sinks   by sink: the last settled event, delivered or not
event_dead    the events that a sink refused for good, the newest `MAX_DEAD` of each

An event that is deleted before a sink has taken it counts as lost for that sink: the backlog is bounded by what is
kept.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from strangler.core.documents import DeadLetter, EventDocument, StoredEvent
from strangler.store.connection import Connection
from strangler.store.events.event import Event, Kind, encode
from strangler.store.topics import Topic, announce
from strangler.store.upsert import replaced

MAX_KEPT: Final = 10_000
KEPT_S: Final = 30 * 86400.0
MAX_DEAD: Final = 1000

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, at REAL NOT NULL, run TEXT NOT NULL,
    type TEXT NOT NULL, subject TEXT NOT NULL, body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS event_sinks (
    sink TEXT PRIMARY KEY, position INTEGER NOT NULL, delivered INTEGER NOT NULL DEFAULT 0,
    lost INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS event_dead (
    sink TEXT NOT NULL, seq INTEGER NOT NULL, died REAL NOT NULL, reason TEXT NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (sink, seq)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Stored:
    """An event as a sink gets it."""

    seq: int
    id: str
    at: float
    key: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Standing:
    """The standing of a sink: events that wait, were delivered, were refused for good, or were deleted unsent."""

    backlog: int
    delivered: int
    dead: int
    lost: int
    last_dead: str | None  # why the last one was refused


def insert(connection: Connection, events: Iterable[Event], run: str, source: str) -> None:
    """Store events; an event that is there already stays as it is. It is the last step of its transaction.

    The topic comes first: its row is locked until the transaction ends, so that events become visible in the order of
    their `seq`, and no sink passes over one that is committed late. Whoever locked a row of evidence after that could
    wait for a transaction that has that row, and waits for the topic.
    """
    rows = [(event.id, event.at, run, event.kind.value, event.subject, encode(event, source)) for event in events]
    if not rows:
        return
    announce(connection, Topic.EVENTS)
    connection.executemany(
        """INSERT INTO events (id, at, run, type, subject, body) VALUES (?, ?, ?, ?, ?, ?)
        ON CONFLICT (id) DO NOTHING""",
        rows,
    )


def register(connection: Connection, sinks: Iterable[str]) -> None:
    """Set the known sinks. A new sink starts with the next event; the position of a removed sink is deleted."""
    wanted = set(sinks)
    add_sinks(connection, wanted)
    known = {row[0] for row in connection.execute("SELECT sink FROM event_sinks")}
    for sink in sorted(known - wanted):
        connection.execute("DELETE FROM event_sinks WHERE sink = ?", (sink,))


def add_sinks(connection: Connection, sinks: Iterable[str]) -> None:
    """Make sinks known, each of which starts with the next event; those that are known stay as they are."""
    for sink in sorted(sinks):
        connection.execute(
            """INSERT INTO event_sinks (sink, position) VALUES (?, (SELECT coalesce(max(seq), 0) FROM events))
            ON CONFLICT (sink) DO NOTHING""",
            (sink,),
        )


def pending(connection: Connection, sink: str, most: int) -> list[Stored]:
    """Return the next events for a sink, oldest first."""
    rows = connection.execute(
        """
        SELECT seq, id, at, subject, body FROM events
        WHERE seq > (SELECT position FROM event_sinks WHERE sink = ?) ORDER BY seq LIMIT ?
        """,
        (sink, most),
    )
    return [Stored(*row) for row in rows]


def settle(connection: Connection, sink: str, done: Sequence[Stored], dead: Mapping[int, str], now: float) -> None:
    """Record that a sink has settled these events. `dead`: by `seq`, why it refused some for good."""
    connection.execute(
        """UPDATE event_sinks SET position = CASE WHEN position < ? THEN ? ELSE position END, delivered = delivered + ?
        WHERE sink = ?""",
        (done[-1].seq, done[-1].seq, len(done) - len(dead), sink),
    )
    connection.executemany(
        f"""INSERT INTO event_dead VALUES (?, ?, ?, ?, ?)
        ON CONFLICT (sink, seq) DO UPDATE SET {replaced("died", "reason", "body")}""",  # noqa: S608 - our own words
        [(sink, delivery.seq, now, dead[delivery.seq], delivery.body) for delivery in done if delivery.seq in dead],
    )
    connection.execute(
        """
        DELETE FROM event_dead WHERE sink = ? AND seq NOT IN (
            SELECT seq FROM event_dead WHERE sink = ? ORDER BY seq DESC LIMIT ?)
        """,
        (sink, sink, MAX_DEAD),
    )


def prune(connection: Connection, now: float, max_kept: int = MAX_KEPT) -> None:
    """Delete events that are too old or too many; for a sink that had not taken them, they count as lost."""
    cut = max(
        connection.execute(
            """
            SELECT coalesce((SELECT seq FROM events ORDER BY seq DESC LIMIT 1 OFFSET ?), 0),
                coalesce((SELECT max(seq) FROM events WHERE at < ?), 0)
            """,
            (max_kept, now - KEPT_S),
        ).fetchone()
    )
    connection.execute(
        """UPDATE event_sinks SET position = ?,
            lost = lost + (SELECT count(*) FROM events WHERE seq > position AND seq <= ?)
        WHERE position < ?""",
        (cut, cut, cut),
    )
    connection.execute("DELETE FROM events WHERE seq <= ?", (cut,))


def standings(connection: Connection) -> dict[str, Standing]:
    """Return the standing of each sink."""
    rows = connection.execute(
        """
        SELECT sink, (SELECT count(*) FROM events WHERE seq > position), delivered,
            (SELECT count(*) FROM event_dead AS dead WHERE dead.sink = one.sink), lost,
            (SELECT reason FROM event_dead AS dead WHERE dead.sink = one.sink ORDER BY seq DESC LIMIT 1)
        FROM event_sinks AS one
        """
    )
    return {sink: Standing(*standing) for sink, *standing in rows}


def open_breakers(connection: Connection, run: str) -> set[str]:
    """Return the upstreams whose last breaker event in this run of the supervisor is an opening."""
    rows = connection.execute(
        """SELECT subject, type FROM events WHERE seq IN (
            SELECT max(seq) FROM events WHERE run = ? AND type IN (?, ?) GROUP BY subject)""",
        (run, Kind.BREAKER_OPENED.value, Kind.BREAKER_CLOSED.value),
    )
    return {subject for subject, kind in rows if kind == Kind.BREAKER_OPENED}


def read(connection: Connection, after: int, since: float, most: int) -> list[StoredEvent]:
    """Return events after a `seq` and since a Unix time, oldest first."""
    rows = connection.execute(
        "SELECT seq, body FROM events WHERE seq > ? AND at >= ? ORDER BY seq LIMIT ?", (after, since, most)
    )
    return [StoredEvent(seq, msgspec.json.decode(body, type=EventDocument)) for seq, body in rows]


def dead_letters(connection: Connection, most: int) -> list[DeadLetter]:
    """Return the events that sinks refused for good, newest first."""
    rows = connection.execute(
        "SELECT sink, seq, died, reason, body FROM event_dead ORDER BY died DESC, seq DESC LIMIT ?", (most,)
    )
    return [
        DeadLetter(sink, seq, died, reason, msgspec.json.decode(body, type=EventDocument))
        for sink, seq, died, reason, body in rows
    ]
