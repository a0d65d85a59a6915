"""The difference between two ways to serve a request, and the share of such requests that go elsewhere."""

from enum import StrEnum

from strangler.core.moves.serving import Serving


class Kind(StrEnum):
    """The kinds of difference: stable names, for `plan --json`."""

    ARM = "arm"
    UPSTREAM = "upstream"
    REFUSAL = "refusal"
    REWRITE = "rewrite"
    SHADOW = "shadow"
    TIMEOUT = "timeout"
    END = "end"


MOVES = frozenset({Kind.ARM, Kind.UPSTREAM, Kind.REFUSAL})
"""The kinds by which a call is served elsewhere."""


def kinds_of(before: Serving, after: Serving) -> tuple[Kind, ...]:
    """Return in which respects two ways to serve a request differ. A route's name alone makes no difference."""
    if before.refused is not None or after.refused is not None:
        return (Kind.REFUSAL,) if before.refused != after.refused else ()
    arm, upstream = _moved_shares(before, after)
    found = {
        Kind.ARM: arm > 0,
        Kind.UPSTREAM: upstream > 0,
        Kind.REWRITE: before.rewrite != after.rewrite and not _begins(before, after),
        Kind.SHADOW: (before.shadow_percent, before.shadow_to) != (after.shadow_percent, after.shadow_to),
        Kind.TIMEOUT: bool(before.timeouts_s) and set(before.timeouts_s) != set(after.timeouts_s),
        Kind.END: before.sunset != after.sunset,
    }
    return tuple(kind for kind, is_found in found.items() if is_found)


def _begins(before: Serving, after: Serving) -> bool:
    """Return True if only one of them sends the candidate anything: its path is no difference, but its own."""
    return _is_used(before) != _is_used(after)


def _is_used(serving: Serving) -> bool:
    return serving.percent > 0 or serving.shadow_percent > 0


def moved_share(before: Serving, after: Serving) -> float:
    """Return the share of such requests that another arm or upstream serves, or that are refused, 0 to 1."""
    if before.refused is not None or after.refused is not None:
        return 0.0 if before.refused == after.refused else 1.0
    return min(1.0, sum(_moved_shares(before, after)))


def _moved_shares(before: Serving, after: Serving) -> tuple[float, float]:
    """Return the share that changes arm, and the share that keeps its arm and gets another upstream.

    Within one group and by the same sticky keys, a percent that rises only adds callers. Otherwise the callers of
    both splits have nothing to do with each other.
    """
    first, second = before.percent / 100, after.percent / 100
    is_same_order = not before.shuffle or not after.shuffle or before.shuffle == after.shuffle
    both = min(first, second) if is_same_order else first * second
    neither = 1 - max(first, second) if is_same_order else (1 - first) * (1 - second)
    is_other = (before.upstream, before.candidate_urls) != (after.upstream, after.candidate_urls)
    upstream = both if is_other else 0.0
    if before.legacy_urls != after.legacy_urls:
        upstream += neither
    return round(1 - both - neither, 9), round(upstream, 9)


def affected_share(before: Serving, after: Serving) -> float:
    """Return the share of such requests for which anything differs, 0 to 1."""
    kinds = kinds_of(before, after)
    if MOVES & set(kinds):
        return moved_share(before, after)
    if kinds == (Kind.SHADOW,):
        if before.shadow_to and after.shadow_to and before.shadow_to != after.shadow_to:
            return max(before.shadow_percent, after.shadow_percent) / 100
        return abs(before.shadow_percent - after.shadow_percent) / 100
    return 1.0 if kinds else 0.0
