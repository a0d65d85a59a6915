"""The ledger in the store. A save writes what has changed since the last one, a load reads it all.

ledger_rows    one row for each endpoint, without its counts
ledger_past    the counts of an endpoint, by day and month, as they were when the row was last written as a whole
ledger_days    its counts of a day that have changed since then, in place of those
ledger_meta    what there is once: the tree of words, the times that were watched, names, digests, numbers of batches
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

import msgspec
import structlog

from strangler.core.collector import collector_paused
from strangler.core.ledger.counts import Counts, History, compacted
from strangler.core.ledger.rows import CallerCounts, EndpointRow
from strangler.core.ledger.states import WatchState
from strangler.core.ledger.template_tree import TemplateTreeState
from strangler.core.time_buckets import BOUNDS_S
from strangler.ledger.ledger_state import GivenNames, LastBatch, LedgerState
from strangler.store.connection import Connection

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS ledger_rows (endpoint TEXT PRIMARY KEY, content BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS ledger_past (endpoint TEXT PRIMARY KEY, content BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS ledger_days (
    endpoint TEXT NOT NULL, day TEXT NOT NULL, content BLOB NOT NULL, PRIMARY KEY (endpoint, day)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ledger_meta (name TEXT PRIMARY KEY, content BLOB NOT NULL) WITHOUT ROWID;
"""
_TREE: Final = "tree"
_WATCH: Final = "watch"

log = structlog.get_logger()

_T = TypeVar("_T")


class _Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """A row without its counts."""

    method: str
    template: str
    source: str
    known_since: float
    example: str = ""
    owner: str | None = None
    is_ignored: bool = False
    route: str = ""
    callers: dict[str, CallerCounts] = {}
    legacy_buckets: list[int] = []
    candidate_buckets: list[int] = []
    first_seen: float | None = None
    last_seen: float | None = None
    last_legacy: float | None = None
    last_served: float | None = None
    probes: int = 0


_FIELDS: Final = _Row.__struct_fields__


class _Numbers(msgspec.Struct, frozen=True):
    """The small facts that change with each batch."""

    batches: dict[str, LastBatch] = {}
    sampled: int = 0
    left_out: int = 0


class _Hours(msgspec.Struct, frozen=True):
    """The calls of all endpoints together by hour."""

    hours: dict[str, tuple[int, int]] = {}


_DayNumbers = tuple[int, int, int, int, int, int, int, int, int]
"""The fields of `Counts`, in their order."""


class _Day(msgspec.Struct, frozen=True):
    """The counts of an endpoint on one day."""

    counts: _DayNumbers


class _Past(msgspec.Struct, frozen=True):
    """The counts of an endpoint by day and month. There are very many of them, so names are left out."""

    days: dict[str, _DayNumbers]
    months: dict[str, _DayNumbers]


class _Given(msgspec.Struct, frozen=True):
    """The facts that an operator gave."""

    listed: list[str] = []
    folded: list[str] = []
    imports: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Unsaved:
    """The changes to save, encoded: the state may change while the store writes them."""

    changed: dict[str, set[str]]
    dropped: set[str]
    gone: list[str]
    rows: list[tuple[str, bytes]]
    past: list[tuple[str, bytes]]
    days: list[tuple[str, str, bytes]]
    meta: dict[str, bytes] = field(default_factory=dict)
    is_first: bool = False
    """Whether the store has nothing of this ledger yet."""
    revision: int | None = None
    """The revision of the tree, if that is among the changes."""

    @property
    def is_empty(self) -> bool:
        return not self.gone and not self.rows and not self.meta


def collect_unsaved(state: LedgerState, *, with_slow: bool = False) -> Unsaved:
    """Return what has changed since the last save, and regard it as saved. `put_back` undoes that.

    The tree is large, and each call changes it; the time that was watched changes each second. Both are saved only
    `with_slow`, and the tree whenever a template has changed, the time when an import has added to it.
    """
    ledger = state.rows
    changed, ledger.changed = ledger.changed, {}
    dropped, ledger.dropped = ledger.dropped, set()
    rows: list[tuple[str, bytes]] = []
    past: list[tuple[str, bytes]] = []
    days: list[tuple[str, str, bytes]] = []
    for name, periods in changed.items():
        row = ledger.rows.get(name)
        if row is None:
            continue
        rows.append((name, _encoded(row)))
        if name in dropped or name not in state.stored:
            past.append((name, _encoded_history(row.history)))
        else:
            found = row.history.days
            days += [(name, day, msgspec.json.encode(_Day(_numbers_of(found[day])))) for day in periods if day in found]
    meta = {name: content for name, content in _meta(state).items() if state.meta.get(name) != content}
    if with_slow or state.has_imported_watch or _WATCH not in state.meta:
        meta[_WATCH] = msgspec.json.encode(state.watch)
        state.has_imported_watch = False
    tree = state.tree.revision, state.tree.root.calls
    is_tree_changed = tree != state.stored_tree if with_slow else tree[0] != state.stored_tree[0]
    if is_tree_changed or _TREE not in state.meta:
        meta[_TREE] = msgspec.json.encode(state.tree)
        state.stored_tree = tree
    revision = tree[0] if _TREE in meta else None
    return Unsaved(changed, dropped, sorted(dropped & state.stored), rows, past, days, meta, not state.meta, revision)


def _encoded(row: EndpointRow) -> bytes:
    return msgspec.json.encode(_Row(*(getattr(row, name) for name in _FIELDS)))


def _encoded_history(history: History) -> bytes:
    parts = (history.days, history.months)
    return msgspec.json.encode(_Past(*({name: _numbers_of(each) for name, each in part.items()} for part in parts)))


def _numbers_of(counts: Counts) -> _DayNumbers:
    return (
        counts.legacy,
        counts.candidate,
        counts.probes,
        counts.of_1xx,
        counts.of_2xx,
        counts.of_3xx,
        counts.of_4xx,
        counts.of_5xx,
        counts.of_other,
    )


def _counts(numbers: Mapping[str, _DayNumbers]) -> dict[str, Counts]:
    return {name: Counts(*each) for name, each in numbers.items()}


def _meta(state: LedgerState) -> dict[str, bytes]:
    numbers = _Numbers(state.batches, state.sampled, state.left_out)
    given = _Given(state.names.listed, state.names.folded, state.imports)
    parts = {"numbers": numbers, "given": given, "hours": _Hours(state.hours)}
    return {name: msgspec.json.encode(part) for name, part in parts.items()}


def save(connection: Connection, unsaved: Unsaved) -> bool:
    """Write changes. Return False, and write nothing, if the store has lost what was saved before."""
    if not unsaved.is_first and connection.execute("SELECT 1 FROM ledger_meta LIMIT 1").fetchone() is None:
        return False
    gone = [(name,) for name in unsaved.gone]
    connection.executemany("DELETE FROM ledger_rows WHERE endpoint = ?", gone)
    connection.executemany("DELETE FROM ledger_past WHERE endpoint = ?", gone)
    connection.executemany("DELETE FROM ledger_days WHERE endpoint = ?", gone)
    connection.executemany(
        "INSERT INTO ledger_rows VALUES (?, ?) ON CONFLICT (endpoint) DO UPDATE SET content = excluded.content",
        unsaved.rows,
    )
    connection.executemany(
        "INSERT INTO ledger_past VALUES (?, ?) ON CONFLICT (endpoint) DO UPDATE SET content = excluded.content",
        unsaved.past,
    )
    connection.executemany(
        """INSERT INTO ledger_days VALUES (?, ?, ?)
        ON CONFLICT (endpoint, day) DO UPDATE SET content = excluded.content""",
        unsaved.days,
    )
    connection.executemany(
        "INSERT INTO ledger_meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET content = excluded.content",
        list(unsaved.meta.items()),
    )
    return True


def confirm(state: LedgerState, unsaved: Unsaved) -> None:
    """Note that changes have been saved."""
    state.stored.difference_update(unsaved.gone)
    state.stored.update(name for name, _ in unsaved.rows)
    state.meta.update(unsaved.meta)
    state.meta.update({name: b"" for name in (_TREE, _WATCH) if name in unsaved.meta})  # what they hold is not compared


def put_back(state: LedgerState, unsaved: Unsaved) -> None:
    """Put changes that could not be saved into the next save."""
    for name, periods in unsaved.changed.items():
        if name in state.rows.rows:
            state.rows.changed.setdefault(name, set()).update(periods)
    state.rows.dropped |= unsaved.dropped & state.stored  # what was never stored need not go
    if _TREE in unsaved.meta:
        state.stored_tree = (-1, -1)
    state.has_imported_watch |= _WATCH in unsaved.meta


def put_all_back(state: LedgerState) -> None:
    """Put everything into the next save, since the store has lost it."""
    state.stored.clear()
    state.meta.clear()
    state.rows.dropped.clear()
    state.rows.changed = {name: set() for name in state.rows.rows}


def load(connection: Connection) -> LedgerState:
    """Return the stored ledger; an empty one if there is none. Raises DatabaseError.

    Content that cannot be read is dropped and logged; the rest lives.
    """
    with collector_paused():  # there are hundreds of thousands of objects
        return _load(connection)


def _load(connection: Connection) -> LedgerState:
    meta = dict(connection.execute("SELECT name, content FROM ledger_meta"))
    state = state_of(meta)
    tree = _decoded(meta.get(_TREE), TemplateTreeState, _TREE)
    if tree is None:
        meta.pop(_TREE, None)  # so that the next save writes it
    else:
        state.tree = tree
    state.meta = dict.fromkeys(meta, b"")
    state.stored_tree = state.tree.revision, state.tree.root.calls
    rows = _load_rows(connection, state)
    state.restore(rows.values(), state.left_out)
    return state


def state_of(meta: Mapping[str, object]) -> LedgerState:
    """Return what the contents of `ledger_meta` say, by their names: a ledger without rows, and with an empty tree."""
    numbers = _decoded(meta.get("numbers"), _Numbers, "numbers") or _Numbers()
    given = _decoded(meta.get("given"), _Given, "given") or _Given()
    state = LedgerState(
        watch=_decoded(meta.get(_WATCH), WatchState, _WATCH) or WatchState(),
        names=GivenNames(listed=given.listed, folded=given.folded),
        imports=given.imports,
        batches=numbers.batches,
        sampled=numbers.sampled,
        hours=dict((_decoded(meta.get("hours"), _Hours, "hours") or _Hours()).hours),
    )
    state.rows.left_out = numbers.left_out
    return state


def load_tree(connection: Connection) -> TemplateTreeState | None:
    """Return the stored tree; None if there is none that can be read."""
    row = connection.execute("SELECT content FROM ledger_meta WHERE name = ?", (_TREE,)).fetchone()
    return None if row is None else _decoded(row[0], TemplateTreeState, _TREE)


def _load_rows(connection: Connection, state: LedgerState) -> dict[str, EndpointRow]:
    rows: dict[str, EndpointRow] = {}
    for name, content in connection.execute("SELECT endpoint, content FROM ledger_rows"):
        state.stored.add(name)
        row = decoded_row(name, content)
        if row is None:
            state.rows.dropped.add(name)  # so that the next save deletes it
        else:
            rows[name] = row
    add_counts(
        rows,
        connection.execute("SELECT endpoint, content FROM ledger_past"),
        connection.execute("SELECT endpoint, day, content FROM ledger_days"),
    )
    return rows


def decoded_row(name: str, content: object) -> EndpointRow | None:
    """Return a row without its counts; None if it cannot be read."""
    found = _decoded(content, _Row, name)
    if found is None:
        return None
    row = EndpointRow(**{each: getattr(found, each) for each in _FIELDS})
    _repair(row)
    return row


def add_counts(
    rows: Mapping[str, EndpointRow],
    past: Iterable[tuple[str, object]],
    days: Iterable[tuple[str, str, object]],
) -> None:
    """Give rows their counts: those of `ledger_past`, and those of `ledger_days`, which replace them."""
    for name, content in past:
        if name in rows:
            found = _decoded(content, _Past, name) or _Past({}, {})
            rows[name].history = History(_counts(found.days), _counts(found.months))
    for name, day, content in days:
        counts = _decoded(content, _Day, name) if name in rows else None
        if counts is not None:
            rows[name].history.days[day] = Counts(*counts.counts)


def _repair(row: EndpointRow) -> None:
    """Drop times that were counted by other buckets."""
    for name in ("legacy_buckets", "candidate_buckets"):
        if len(getattr(row, name)) not in (0, len(BOUNDS_S) + 1):
            setattr(row, name, [])


def _decoded(content: object, kind: type[_T], name: str) -> _T | None:
    """Return decoded content; None if there is none, or none that can be read."""
    if content is None:
        return None
    try:
        return msgspec.json.decode(content if isinstance(content, bytes) else str(content), type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        log.error("ledger.unreadable", content=name, reason=str(error), remedy="it is left out, and begins anew")
        return None


def compact(state: LedgerState, endpoints: Collection[str], now: float, keep_s: float) -> None:
    """Sum up earlier days of rows in months, and forget what is older than `keep_s`."""
    for name in endpoints:
        row = state.rows.rows.get(name)
        if row is None:
            continue
        row.history = compacted(row.history, now, keep_s)
        if row.is_spare and row.source == "traffic" and not row.history.days and not row.history.months:
            state.rows.drop(name)  # only probes called it, and long ago
        else:
            state.rows.dropped.add(name)
            state.rows.changed[name] = set()
