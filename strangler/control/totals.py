"""The metrics of all workers added up, so that no counter goes back when a worker dies or control is replaced.

Each worker instance reports values since its own start; the total adds the last reports of living and dead ones. A
histogram is a vector like a counter: its buckets, and its sum at the end.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from strangler.ipc.messages import Labels, Report
from strangler.ipc.metrics import BOUNDS_S, FAMILIES
from strangler.store.stored_metrics import Batch, Row

Key = tuple[str, Labels]
Vector = tuple[float, ...]

RETIRED = ""
"""The instance that stands for all dead ones."""

_LENGTHS = {"counter": 1, "histogram": len(BOUNDS_S) + 2}


@dataclass(slots=True)
class TotalsState:
    """Values by instance and their totals. The cost of `take` depends on what changed, not on all there is."""

    _totals: dict[Key, Vector] = field(default_factory=dict)
    _by_instance: dict[str, dict[Key, Vector]] = field(default_factory=dict)
    _gauges: dict[str, dict[Key, float]] = field(default_factory=dict)
    _unsaved: set[tuple[str, Key]] = field(default_factory=set)
    _gone: set[str] = field(default_factory=set)

    def restore(self, rows: Iterable[Row]) -> None:
        """Take over the stored rows."""
        for row in rows:
            self._set(row.instance, row.key, row.vector)
        self._unsaved.clear()

    def take(self, instance: str, report: Report) -> None:
        """Add a worker's report. Values with an unknown name or shape, and those that go back, are ignored."""
        for cell in report.counters:
            self._set(instance, (cell.name, cell.labels), (cell.value,))
        for histogram in report.histograms:
            self._set(instance, (histogram.name, histogram.labels), (*histogram.buckets, histogram.sum))
        gauges = self._gauges.setdefault(instance, {})
        for cell in report.gauges:
            if _is_known("gauge", (cell.name, cell.labels)):
                gauges[cell.name, cell.labels] = cell.value

    def silence(self, instance: str) -> None:
        """Forget the gauges of an instance, which are no longer current."""
        self._gauges.pop(instance, None)

    def retire(self, instance: str) -> None:
        """Retire a dead instance: its counts stay in the totals, and no longer need rows of their own."""
        self.silence(instance)
        for key, vector in self._by_instance.pop(instance, {}).items():
            self._unsaved.discard((instance, key))
            retired = self._by_instance.setdefault(RETIRED, {})
            retired[key] = _sum(retired.get(key), vector)
            self._unsaved.add((RETIRED, key))
        self._gone.add(instance)

    @property
    def instances(self) -> frozenset[str]:
        """The instances that are not retired."""
        return frozenset(self._by_instance) - {RETIRED}

    def values(self) -> dict[Key, Vector]:
        """Return a copy of all totals: counters `(value,)`, histograms `(*buckets, sum)`."""
        return dict(self._totals)

    def gauges(self) -> dict[Key, float]:
        """Return one figure for each gauge, over all connected workers."""
        merged: dict[Key, float] = {}
        for gauges in self._gauges.values():
            for key, value in gauges.items():
                is_max = FAMILIES[key[0]].merge == "max"
                before = merged.get(key, 0.0)
                merged[key] = max(before, value) if is_max else before + value
        return merged

    def counter(self, name: str, *labels: str) -> float:
        """Return one total; 0 if nothing was counted."""
        return self._totals.get((name, labels), (0.0,))[0]

    def unsaved(self) -> Batch:
        """Return the changes since the last call."""
        rows = [Row(instance, key, self._by_instance[instance][key]) for instance, key in self._unsaved]
        batch = Batch(rows, frozenset(self._gone))
        self._unsaved.clear()
        self._gone.clear()
        return batch

    def mark_all_unsaved(self) -> None:
        """Put all rows into the next batch, since the store has lost them."""
        self._unsaved = {(instance, key) for instance, values in self._by_instance.items() for key in values}

    def not_saved(self, batch: Batch) -> None:
        """Put a batch that could not be stored into the next one."""
        self._gone |= batch.gone
        self._unsaved |= {
            (row.instance, row.key) for row in batch.rows if row.key in self._by_instance.get(row.instance, {})
        }

    def _set(self, instance: str, key: Key, vector: Vector) -> None:
        values = self._by_instance.setdefault(instance, {})
        before = values.get(key)
        if not _is_known_vector(key, vector) or (before is not None and _goes_back(before, vector)):
            return
        values[key] = vector
        gained = vector if before is None else tuple(new - old for new, old in zip(vector, before, strict=True))
        self._totals[key] = _sum(self._totals.get(key), gained)
        self._unsaved.add((instance, key))


def _is_known(kind: str, key: Key) -> bool:
    family = FAMILIES.get(key[0])
    return family is not None and family.kind == kind and len(family.labels) == len(key[1])


def _is_known_vector(key: Key, vector: Vector) -> bool:
    return any(_is_known(kind, key) and len(vector) == length for kind, length in _LENGTHS.items())


def _goes_back(before: Vector, after: Vector) -> bool:
    return any(new < old for new, old in zip(after, before, strict=True))


def _sum(left: Vector | None, right: Vector) -> Vector:
    return right if left is None else tuple(map(float.__add__, map(float, left), map(float, right)))
