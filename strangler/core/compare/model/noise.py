"""Noise: what differs between two responses of legacy says nothing about the candidate.

Counting and thresholds follow Diffy: a difference is real if it is clearly more frequent between the arms (raw) than
between legacy and legacy (noise). Shares are compared, not counts, since only some of the requests have a baseline.
"""

from dataclasses import dataclass
from fractions import Fraction

from strangler.core.compare.model.values import Kind, Where

RELATIVE_THRESHOLD = Fraction(20, 100)
ABSOLUTE_THRESHOLD = Fraction(3, 10_000)


@dataclass(frozen=True, slots=True)
class NoiseKey:
    route: str
    in_: Where
    path: str | None
    kind: Kind


@dataclass(frozen=True, slots=True)
class NoiseCount:
    """How often one difference was seen, of how many comparable pairs. `shape`: the form of its values, if known."""

    key: NoiseKey
    raw: int
    raw_pairs: int
    noise: int
    noise_pairs: int
    shape: str | None

    @property
    def is_noise(self) -> bool:
        """Return True if it was seen in a baseline, and not more often between the arms by both thresholds."""
        if not self.noise:
            return False
        raw, noise = _share(self.raw, self.raw_pairs), _share(self.noise, self.noise_pairs)
        return not (raw - noise > ABSOLUTE_THRESHOLD and raw - noise > RELATIVE_THRESHOLD * (raw + noise))


def _share(count: int, pairs: int) -> Fraction:
    return Fraction(count, pairs) if pairs else Fraction(0)
