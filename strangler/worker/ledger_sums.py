# Compiled with mypyc: see docs/hot-path.md.
"""The sums of a worker's calls by endpoint, route, arm, status and caller, until they are sent to control."""

from strangler.core.ledger.examples import example_of
from strangler.core.ledger.word_classes import OVERFLOW
from strangler.ipc.messages import LedgerSum
from strangler.ipc.metrics import BOUNDS_S
from strangler.worker.ledger_cells import Cell

MAX_SUMS = 5000
"""The sums with templates and callers of their own: 3 MB. Further calls count under `…`, a few sums for each route."""
MAX_KNOWN = 10_000
"""The endpoints that are remembered as known, so that no further example is made of them."""


class _Sum:
    """Calls that are alike."""

    __slots__ = ("at", "buckets", "calls", "example")

    def __init__(self, example: str) -> None:
        self.at = 0.0
        self.buckets = [0] * (len(BOUNDS_S) + 1)
        self.calls = 0
        self.example = example


_SumKey = tuple[str, str, str, str, int, str]
"""The method, template, route, arm, status and caller."""


class LedgerSums:
    """Adds up calls. While control is away they go on adding up, and what has no room loses its endpoint and caller."""

    __slots__ = ("_known", "_sums")

    def __init__(self) -> None:
        self._sums: dict[_SumKey, _Sum] = {}
        self._known: set[tuple[str, str]] = set()

    @property
    def count(self) -> int:
        """The number of sums."""
        return len(self._sums)

    def add(self, cell: Cell, at: float) -> None:
        """Add the calls of a cell, the last of which came at Unix time `at`."""
        path, raw_method, route, arm, status, raw_caller, values = cell.key
        names = cell.names
        method = raw_method.decode("latin-1")
        template = names.template_of(path, values)
        key = (method, template, route, arm, status, names.caller_of(raw_caller))
        found = self._sums.get(key)
        if found is None:
            found = self._begin(key, path)
        found.at = at
        found.calls += cell.calls
        found.buckets[cell.bucket] += cell.calls
        if cell.others is not None:
            for bucket, calls in cell.others.items():
                found.calls += calls
                found.buckets[bucket] += calls

    def take(self) -> list[LedgerSum]:
        """Return all sums, and begin anew."""
        sums, self._sums = self._sums, {}
        return [
            LedgerSum(method, template, route, arm, status, caller, each.calls, each.at, each.buckets, each.example)
            for (method, template, route, arm, status, caller), each in sums.items()
        ]

    def clear(self) -> None:
        """Drop all sums, and what is known of endpoints."""
        self._sums.clear()
        self._known.clear()

    def _begin(self, key: _SumKey, path: bytes) -> _Sum:
        method, template, route, arm, status, _ = key
        if len(self._sums) < MAX_SUMS:
            found = self._sums[key] = _Sum(self._example(method, template, path))
            return found
        key = (method, OVERFLOW, route, arm, status // 100 * 100, OVERFLOW)
        rest = self._sums.get(key)
        if rest is None:
            rest = self._sums[key] = _Sum("")
        return rest

    def _example(self, method: str, template: str, path: bytes) -> str:
        """Return an example of an endpoint that is new to this worker; empty for a known one."""
        if template == OVERFLOW or (method, template) in self._known:
            return ""
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known.add((method, template))
        return example_of(path)
