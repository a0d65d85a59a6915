"""Second looks: which differences get one, and what they imply for the others.

A second look costs the shadow's arm a request. The first looks at a difference show whether it stays or was a lag;
after them only an occasional pair gets one, and their result stands for the rest.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from hashlib import blake2b

from strangler.core.compare.model.values import Comparison, Difference, Outcome, Reason, Severity, Where, not_comparable

MAX_RECHECKS = 30
"""The looks at one difference of one release, at both arms together, before they become random."""

ONE_IN = 100
"""After that, one pair in this many gets a look, on average."""

MIN_CONFIRMED = 0.95
"""The share of looks that must have found a difference again; below it, the difference counts as a lag."""

MAX_DIFFERENCES = 2000
"""The most differences of one release with a count of their own; the others share one count per severity."""

MAX_RELEASES = 4
"""The most releases whose looks are kept: a rolling deploy has two at a time, and a rollback returns to an earlier."""

Key = bytes
"""The name of a difference of an endpoint, eight bytes."""


def key_of(endpoint: str, difference: Difference) -> Key:
    """Return the name of a difference. Each pair of statuses has its own, but all 5xx count as one status."""
    parts = [endpoint, difference.in_.value, difference.path or "", difference.kind.value]
    if difference.in_ is Where.STATUS:
        parts += map(_status_text, (difference.legacy, difference.candidate))
    return blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).digest()


def _status_text(status: object) -> str:
    return "5xx" if isinstance(status, int) and status >= 500 else str(status)


@dataclass(slots=True)
class _Count:
    """The looks at one difference."""

    begun: int = 0
    open: int = 0
    """The looks whose response is awaited."""
    ended: int = 0
    confirmed: int = 0


@dataclass(frozen=True, slots=True)
class PendingRecheck:
    """One second look, or the decision against it. Give it back by `RecheckState.end`."""

    release: str
    keys: tuple[Key, ...]
    is_wanted: bool


@dataclass(slots=True)
class RecheckState:
    """The looks of one route at one arm."""

    limit: int = MAX_RECHECKS
    _counts: dict[str, dict[Key, _Count]] = field(default_factory=dict)

    def begin(self, release: str, endpoint: str, differences: Iterable[Difference], draw: float) -> PendingRecheck:
        """Decide whether a pair that differs gets a look, and note it. `draw` is a random number from 0 to 1."""
        counts = self._counts_of(release)
        keys = tuple(_known(counts, key_of(endpoint, difference), difference.severity) for difference in differences)
        concerned = [counts.setdefault(key, _Count()) for key in dict.fromkeys(keys)]
        is_wanted = any(count.begun < self.limit for count in concerned) or draw * ONE_IN < 1
        if is_wanted:
            for count in concerned:
                count.begun += 1
                count.open += 1
        return PendingRecheck(release, keys, is_wanted)

    def end(self, recheck: PendingRecheck, found_again: Collection[Key] | None) -> None:
        """Note which differences a look has found again; None if it failed."""
        for key in dict.fromkeys(recheck.keys):
            count = self._of(recheck.release, key)
            count.open = max(0, count.open - 1)
            if found_again is not None:
                count.ended += 1
                count.confirmed += key in found_again

    def is_settled(self, recheck: PendingRecheck) -> bool:
        """Return True once no look under way could change the judgement of these differences by much."""
        counts = [self._of(recheck.release, key) for key in recheck.keys]
        return all(not count.open or count.ended >= self.limit for count in counts)

    def judged(self, recheck: PendingRecheck, first: Comparison) -> Comparison:
        """Return what a pair without a second look counts as, by the looks so far."""
        kept = tuple(
            difference
            for key, difference in zip(recheck.keys, first.differences, strict=True)
            if self._is_real(recheck.release, key)
        )
        if not kept:
            return not_comparable(Reason.LAG)
        return replace(first, outcome=Outcome.MISMATCH, severity=kept[0].severity, differences=kept)

    def _is_real(self, release: str, key: Key) -> bool:
        count = self._of(release, key)
        return count.confirmed >= MIN_CONFIRMED * count.ended

    def _counts_of(self, release: str) -> dict[Key, _Count]:
        counts = self._counts.get(release)
        if counts is None:
            if len(self._counts) >= MAX_RELEASES:
                del self._counts[next(iter(self._counts))]
            counts = self._counts[release] = {}
        return counts

    def _of(self, release: str, key: Key) -> _Count:
        """Return the count of a difference; an empty one if its release was dropped."""
        return self._counts.get(release, {}).get(key) or _Count()


def _known(counts: Collection[Key], key: Key, severity: Severity) -> Key:
    """Return the key itself, or the shared key of its severity if there are too many differences."""
    return key if key in counts or len(counts) < MAX_DIFFERENCES else severity.value.encode()


def found_again(recheck: PendingRecheck, first: Comparison, both: Comparison) -> frozenset[Key]:
    """Return the keys of the first look's differences that are still there in `both`, the outcome of the two looks."""
    shared = {difference.key for difference in both.differences}
    return frozenset(
        key for key, difference in zip(recheck.keys, first.differences, strict=True) if difference.key in shared
    )
