"""The changes of the stored ledger by number, so that a node that only reads it need not load it all again.

Each save of a leader has a number, one higher than that of the save before, whichever node leads. `ledger_changes` has
for each endpoint the numbers of the saves that last wrote its row, and its counts as a whole; an endpoint without a row
is gone. A store that one node has alone has none of this.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from strangler.core.collector import collector_paused
from strangler.core.ledger.rows import EndpointRow
from strangler.core.ledger.template_tree import TemplateTreeState
from strangler.ledger.ledger_state import LedgerState
from strangler.store.connection import Connection
from strangler.store.stored_ledger import Unsaved, add_counts, decoded_row, load, load_tree, state_of

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS ledger_changes (
    endpoint TEXT PRIMARY KEY, number INTEGER NOT NULL, past INTEGER NOT NULL
) WITHOUT ROWID;
"""
FORGET_EVERY: Final = 300
"""The saves after which endpoints that are gone are forgotten."""
REMEMBERED: Final = 600
"""The saves for which they are remembered: a node that has read none for so long loads all."""
_SAVES: Final = "saves"


class Saves(msgspec.Struct, frozen=True):
    """The facts about all saves so far: the number of the last one, the revision of the tree that is stored, and the
    number up to which endpoints that are gone are forgotten."""

    number: int = 0
    revision: int = -1
    forgotten: int = 0


@dataclass(frozen=True, slots=True)
class LedgerChanges:
    """The parts of the ledger that differ from what a node has."""

    rows: Mapping[str, EndpointRow]
    rewritten: frozenset[str]
    """The rows that have all of their counts; others have some days, in place of the same days before."""
    gone: tuple[str, ...]
    rest: LedgerState
    """The rest of the ledger, without rows and tree."""
    tree: TemplateTreeState | None
    """None: the names of endpoints have not changed."""


def read_saves(connection: Connection) -> Saves:
    """Return the facts about the saves so far."""
    row = connection.execute("SELECT content FROM ledger_meta WHERE name = ?", (_SAVES,)).fetchone()
    return Saves() if row is None else msgspec.json.decode(row[0], type=Saves)


def lock_saves(connection: Connection) -> Saves:
    """Return the facts about the saves so far. Nothing else saves the ledger until this transaction has ended."""
    row = connection.execute(
        """INSERT INTO ledger_meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET content = ledger_meta.content
        RETURNING content""",
        (_SAVES, msgspec.json.encode(Saves())),
    ).fetchone()
    return msgspec.json.decode(row[0], type=Saves)


def note_save(connection: Connection, unsaved: Unsaved, saves: Saves) -> Saves:
    """Note a save in its transaction, after that of `saves`, and return the facts after it."""
    number, forgotten = saves.number + 1, saves.forgotten
    rewritten = {name for name, _ in unsaved.past}
    names = {name for name, _ in unsaved.rows}.union(unsaved.gone)
    connection.executemany(
        """INSERT INTO ledger_changes VALUES (?, ?, ?) ON CONFLICT (endpoint) DO UPDATE SET number = excluded.number,
        past = CASE WHEN excluded.past = 0 THEN ledger_changes.past ELSE excluded.past END""",
        [(name, number, number if name in rewritten else 0) for name in sorted(names)],
    )
    if number % FORGET_EVERY == 0:
        forgotten = max(0, number - REMEMBERED)
        connection.execute(
            """DELETE FROM ledger_changes WHERE number <= ?
            AND NOT EXISTS (SELECT 1 FROM ledger_rows WHERE ledger_rows.endpoint = ledger_changes.endpoint)""",
            (forgotten,),
        )
    after = Saves(number, saves.revision if unsaved.revision is None else unsaved.revision, forgotten)
    connection.execute(
        "INSERT INTO ledger_meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET content = excluded.content",
        (_SAVES, msgspec.json.encode(after)),
    )
    return after


def load_changes(connection: Connection, since: Saves | None) -> tuple[Saves, LedgerState | LedgerChanges | None]:
    """Return the facts about the saves, and what has changed after `since`: None if nothing has, the whole ledger where
    there is no telling. What another node saves meanwhile is changed after the facts that are returned."""
    saves = read_saves(connection)
    if since is None or saves.number < since.number or since.number < saves.forgotten:
        return saves, load(connection)
    if saves.number == since.number:
        return saves, None
    with collector_paused():
        return saves, _load_changes(connection, since, saves)


def _load_changes(connection: Connection, since: Saves, saves: Saves) -> LedgerChanges:
    rows: dict[str, EndpointRow] = {}
    gone: list[str] = []
    rewritten: set[str] = set()
    found = connection.execute(
        """SELECT c.endpoint, c.past, r.content FROM ledger_changes c LEFT JOIN ledger_rows r ON r.endpoint = c.endpoint
        WHERE c.number > ?""",
        (since.number,),
    )
    for name, past, content in found:
        row = None if content is None else decoded_row(name, content)
        if row is None:
            gone.append(name)
            continue
        rows[name] = row
        if past > since.number:
            rewritten.add(name)
    add_counts(
        rows,
        connection.execute(
            """SELECT p.endpoint, p.content FROM ledger_changes c JOIN ledger_past p ON p.endpoint = c.endpoint
            WHERE c.past > ?""",
            (since.number,),
        ),
        connection.execute(
            """SELECT d.endpoint, d.day, d.content FROM ledger_changes c JOIN ledger_days d ON d.endpoint = c.endpoint
            WHERE c.number > ?""",
            (since.number,),
        ),
    )
    meta = dict(connection.execute("SELECT name, content FROM ledger_meta WHERE name <> 'tree'"))
    tree = load_tree(connection) if saves.revision != since.revision else None
    return LedgerChanges(rows, frozenset(rewritten), tuple(gone), state_of(meta), tree)


def apply_changes(state: LedgerState, changes: LedgerChanges) -> None:
    """Bring a copy of the ledger, which nothing else changes, up to date."""
    rows = state.rows.rows
    for name in changes.gone:
        rows.pop(name, None)
    for name, row in changes.rows.items():
        former = rows.get(name)
        if former is not None and name not in changes.rewritten:
            former.history.replace_days(row.history.days)
            row.history = former.history
        rows[name] = row
    rest = changes.rest
    state.rows.left_out, state.sampled = rest.left_out, rest.sampled
    state.watch, state.names, state.imports, state.hours = rest.watch, rest.names, rest.imports, rest.hours
    if changes.tree is not None:
        state.tree = changes.tree
