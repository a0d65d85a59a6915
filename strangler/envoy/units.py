"""Durations and sizes as Envoy's JSON has them."""

from math import ceil

KIB = 1024


def duration(seconds: float) -> str:
    """Return a duration: `2s`, `0.025s`. A millisecond is the shortest, since less counts as nothing."""
    return f"{max(seconds, 0.001):.3f}".rstrip("0").rstrip(".") + "s"


def limit(seconds: float | None) -> str:
    """Return a time limit, where none is written `0s`."""
    return "0s" if seconds is None else duration(seconds)


def kib(size: int) -> int:
    """Return a size in KiB, rounded up."""
    return max(1, ceil(size / KIB))
