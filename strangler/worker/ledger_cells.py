# Compiled with mypyc: see docs/hot-path.md.
"""Finished calls as the ledger counts them first: those that are alike to the byte share a cell.

A call costs one lookup. Templates and names are made later, between requests (`ledger_sums`). Cells are bounded,
whatever the calls: of those that are too many, some are drawn by chance, and each stands for several.
"""

import re
from bisect import bisect_left
from collections.abc import Callable

from strangler.core.fault import Fault
from strangler.ipc.metrics import BOUNDS_S
from strangler.worker.call import Call
from strangler.worker.ledger_names import LedgerNames

MAX_PATH_BYTES = 1024
"""The bytes that are kept of a path."""
MAX_CALLER_BYTES = 512
"""The bytes that are kept of the field that names the caller."""
MAX_EXACT_CELLS = 2000
"""The waiting cells up to which each call is counted."""
MANY_CELLS = 3000
MAX_CELLS = 4000
"""The most waiting cells: with the longest paths, 8 MB. Beyond them are only cells of `…`, a few for each route."""
FEW_WEIGHT = 8
MANY_WEIGHT = 64
"""The number of calls that a drawn one stands for, up to `MANY_CELLS` and beyond."""
MAX_SHAPES = 8192
"""The shapes of paths that are remembered: 0.5 MB."""
SHAPES_S = 60.0
"""How long a shape is remembered. So an endpoint is counted once a minute at least, however many others there are."""

CellKey = tuple[bytes, bytes, str, str, int, bytes, tuple[bytes, ...]]
"""The path, method, route, arm, status, value of the field that names the caller, and values that split the path."""

_CLIENT_GONE = Fault.CLIENT_GONE
_VALUES = re.compile(rb"(?<![\w-])(?=[\w-]{8})[A-Za-z_-]*+\d[A-Za-z_-]*+\d[\w-]*+|\d{3,}")
"""The parts of a path that are values rather than words, as far as a glance tells."""
_NO_VALUES: tuple[bytes, ...] = ()


class Cell:
    """Calls that are alike. Most cells have one call, or calls of one bucket, so a histogram is made only if needed."""

    __slots__ = ("bucket", "calls", "key", "names", "others")

    names: LedgerNames
    """The names that were in force when the calls came."""
    bucket: int
    """The bucket of the first call's time."""
    calls: int
    """The calls in that bucket."""
    others: dict[int, int] | None
    """The calls in other buckets."""

    def __init__(self, key: CellKey, names: LedgerNames, bucket: int, calls: int) -> None:
        self.key = key
        self.names = names
        self.bucket = bucket
        self.calls = calls
        self.others = None

    def add(self, bucket: int, calls: int) -> None:
        """Count calls whose times are in a bucket."""
        if bucket == self.bucket:
            self.calls += calls
            return
        if self.others is None:
            self.others = {}
        self.others[bucket] = self.others.get(bucket, 0) + calls


class LedgerCells:
    """Counts calls into cells, and hands the cells on, a few at a time."""

    __slots__ = ("_cells", "_draw", "_leaving", "_names", "_shapes", "_shapes_until", "estimated")

    estimated: int
    """The calls since the last batch that were not counted one by one, but drawn by chance."""

    def __init__(self, draw: Callable[[], float]) -> None:
        """`draw` returns a random number from 0 to 1, without 1."""
        self._draw = draw
        self._names: LedgerNames | None = None
        self._cells: dict[CellKey, Cell] = {}
        self._leaving: list[Cell] = []
        """Cells that take no more calls."""
        self._shapes: set[int] = set()
        self._shapes_until = 0.0
        self.estimated = 0

    def adopt(self, names: LedgerNames | None) -> None:
        """Count by other names from now on; None: not at all, and what has been counted is dropped."""
        self._leaving += self._cells.values()
        self._cells.clear()
        self._names = names
        if names is None:
            self._leaving.clear()
            self._shapes.clear()
            self.estimated = 0

    @property
    def waiting(self) -> int:
        """The number of cells that have not been handed on."""
        return len(self._cells) + len(self._leaving)

    def count(self, call: Call, route: str, duration_s: float) -> None:
        """Count a call that is over, or an endless one that begins, if an arm was asked, or `retire` has refused it.

        What the proxy itself refuses, or redirects to https, is no call of an endpoint.
        """
        names = self._names
        if names is None:
            return
        if not route and (not call.arm or call.plan.refusal is not None):
            return
        fields = call.fields
        path = call.path
        if len(path) > MAX_PATH_BYTES:
            path = path[:MAX_PATH_BYTES]
        caller = fields.get(names.callers_field, b"")
        if len(caller) > MAX_CALLER_BYTES:
            caller = caller[:MAX_CALLER_BYTES]
        status = call.status
        if call.end is _CLIENT_GONE and not call.has_response:
            status = 0
        values = names.values_of(call) if names.by else _NO_VALUES
        self.count_key((path, call.method, route, call.arm, status, caller, values), duration_s)

    def count_key(self, key: CellKey, duration_s: float) -> None:
        """Count a call with that key."""
        bucket = bisect_left(BOUNDS_S, duration_s)
        cell = self._cells.get(key)
        if cell is None:
            self._begin(key, bucket)
        else:
            cell.add(bucket, 1)

    def _begin(self, key: CellKey, bucket: int) -> None:
        """Count a call that has no cell: in a new one, unless there are too many and chance is against it."""
        names = self._names
        if names is None:
            return
        waiting = len(self._cells) + len(self._leaving)
        if waiting < MAX_EXACT_CELLS or (waiting < MAX_CELLS and self._is_new_shape(key)):
            self._cells[key] = Cell(key, names, bucket, 1)
            return
        self.estimated += 1
        weight = FEW_WEIGHT if waiting < MANY_CELLS else MANY_WEIGHT
        if self._draw() * weight >= 1.0:
            return
        if waiting >= MAX_CELLS:
            _, method, route, arm, status, _, _ = key
            key = (b"", method, route, arm, status, b"", _NO_VALUES)
        cell = self._cells.get(key)
        if cell is None:
            self._cells[key] = Cell(key, names, bucket, weight)
        else:
            cell.add(bucket, weight)

    def _is_new_shape(self, key: CellKey) -> bool:
        """Return True, once a minute, for calls that differ in more than values: perhaps a new endpoint."""
        path, method, _, arm, _, _, values = key
        shape = hash((_VALUES.sub(b"0", path), method, arm, values))
        if shape in self._shapes:
            return False
        if len(self._shapes) >= MAX_SHAPES:
            self._shapes.clear()
        self._shapes.add(shape)
        return True

    def take(self, most: int, now: float) -> list[Cell]:
        """Return cells that are to be summed up, at most so many. `now` is on the monotonic clock."""
        if now >= self._shapes_until:
            self._shapes_until = now + SHAPES_S
            self._shapes.clear()
        leaving = self._leaving
        if not leaving and self._cells:
            leaving = self._leaving = list(self._cells.values())
            self._cells = {}
        taken = leaving[-most:]
        del leaving[-most:]
        return taken
