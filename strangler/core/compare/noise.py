"""Noise: what differs between two answers of legacy itself says nothing about the candidate.

Counting and thresholds follow Diffy: a difference is real if it is seen clearly more often between the arms (raw) than
between legacy and legacy (noise). Shares are compared and not counts, since only a part of the requests has a baseline.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

from strangler.core.compare.shapes import shape_of
from strangler.core.compare.values import Comparison, Difference, Kind, Outcome, Where

RELATIVE_THRESHOLD = Fraction(20, 100)
ABSOLUTE_THRESHOLD = Fraction(3, 10_000)
_MAX_PATHS = 2000
"""Per route; an answer with random keys would fill the memory otherwise."""


@dataclass(frozen=True, slots=True)
class NoiseKey:
    route: str
    in_: Where
    path: str | None
    kind: Kind


@dataclass(slots=True)
class _Tally:
    raw: int = 0
    noise: int = 0
    shapes: Counter[str | None] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class NoiseCount:
    """How often one difference was seen, of how many comparable pairs. `shape`: what its values look like, if known."""

    key: NoiseKey
    raw: int
    raw_pairs: int
    noise: int
    noise_pairs: int
    shape: str | None

    @property
    def is_noise(self) -> bool:
        """True if it was seen in a baseline, and is not seen beyond that by both thresholds."""
        if not self.noise:
            return False
        raw, noise = _share(self.raw, self.raw_pairs), _share(self.noise, self.noise_pairs)
        return not (raw - noise > ABSOLUTE_THRESHOLD and raw - noise > RELATIVE_THRESHOLD * (raw + noise))


def _share(count: int, pairs: int) -> Fraction:
    return Fraction(count, pairs) if pairs else Fraction(0)


class NoiseState:
    """The counters of all routes. Owned by whoever compares."""

    def __init__(self) -> None:
        self._raw_pairs: Counter[str] = Counter()
        self._noise_pairs: Counter[str] = Counter()
        self._tallies: dict[str, dict[NoiseKey, _Tally]] = {}

    def record_pair(self, route: str, comparison: Comparison) -> None:
        """Legacy against the candidate. Pairs that are not comparable do not count."""
        if comparison.outcome is not Outcome.NOT_COMPARABLE:
            self._raw_pairs[route] += 1
            for _, tally in self._met(route, comparison):
                tally.raw += 1

    def record_baseline(self, route: str, comparison: Comparison) -> None:
        """Legacy against itself."""
        if comparison.outcome is not Outcome.NOT_COMPARABLE:
            self._noise_pairs[route] += 1
            for difference, tally in self._met(route, comparison):
                tally.noise += 1
                tally.shapes[shape_of(difference.legacy, difference.candidate)] += 1

    def _met(self, route: str, comparison: Comparison) -> Iterator[tuple[Difference, _Tally]]:
        tallies = self._tallies.setdefault(route, {})
        for difference in comparison.differences:
            key = NoiseKey(route, difference.in_, difference.path, difference.kind)
            if key in tallies or len(tallies) < _MAX_PATHS:
                yield difference, tallies.setdefault(key, _Tally())

    def counts(self, route: str) -> tuple[NoiseCount, ...]:
        """Of one route, most frequent in the baseline first."""
        found = (self._count(key, tally) for key, tally in self._tallies.get(route, {}).items())
        return tuple(sorted(found, key=lambda count: (-count.noise, -count.raw, count.key.path or "")))

    def noisy(self, route: str) -> frozenset[tuple[Where, str | None, Kind]]:
        """Keys (`Difference.key`) of a route's differences that are noise."""
        return frozenset(
            (count.key.in_, count.key.path, count.key.kind) for count in self.counts(route) if count.is_noise
        )

    def _count(self, key: NoiseKey, tally: _Tally) -> NoiseCount:
        pairs = self._raw_pairs[key.route], self._noise_pairs[key.route]
        shape = tally.shapes.most_common(1)[0][0] if tally.shapes else None
        return NoiseCount(key, tally.raw, pairs[0], tally.noise, pairs[1], shape)
