"""A finding: all that is kept of one comparison, redacted."""

from dataclasses import dataclass, field

from strangler.core.source import LIVE, Source

_PART_BYTES = 500
"""The size of a finding, and of each difference in it, without its texts."""


@dataclass(frozen=True, slots=True)
class StoredDifference:
    """One difference of a comparison in the form that may be kept. `legacy` and `candidate` are JSON."""

    id: str
    place: str
    path: str | None
    kind: str
    severity: str
    legacy: str = field(repr=False)
    candidate: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Noisy:
    """One difference between two responses of legacy. `shape`: that of its values, or empty."""

    place: str
    path: str
    kind: str
    shape: str


@dataclass(frozen=True, slots=True)
class Finding:
    """All that is kept of one comparison."""

    id: str
    at: float  # Unix time of the request
    route: str
    endpoint: str  # `GET /api/orders/{}`
    outcome: str
    reason: str
    differences: tuple[StoredDifference, ...] = ()
    line: bytes | None = field(default=None, repr=False)  # of shadow-diffs.jsonl
    sample: bytes | None = field(default=None, repr=False)
    latency: tuple[float, float] | None = None  # seconds of legacy and of the candidate
    baseline: tuple[Noisy, ...] | None = None  # None: legacy was not asked twice
    release: str = ""  # of the candidate that was compared; empty: unnamed
    accepted: tuple[StoredDifference, ...] = ()  # differences that a rule accepted
    is_timeable: bool = False  # both arms could have been timed for this request: see `shadow.baseline`
    is_partial: bool = False  # more may differ than is listed: the comparison was cut, or found too much
    source: Source = LIVE

    @property
    def size(self) -> int:
        """The approximate bytes of memory."""
        differences = (*self.differences, *self.accepted)
        texts = (
            len(difference.legacy) + len(difference.candidate) + len(difference.path or "")
            for difference in differences
        )
        parts = len(differences) + len(self.baseline or ())
        return len(self.line or b"") + len(self.sample or b"") + sum(texts) + _PART_BYTES * (1 + parts)
