"""How far a live recording is: counted over all its connections, and drawn on a terminal."""

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Self

from rich.live import Live
from rich.text import Text

from strangler.cli._terminal import console as terminal
from strangler.config.quantities import duration_text
from strangler.core.documents import RecordingProgress
from strangler.recordings.recorded import Header, RecordedPair
from strangler.recordings.summary import CountsState, RecordingSummary


class LiveSummary(RecordingSummary, frozen=True, kw_only=True):
    """The account of a recording of a running proxy."""

    seconds: float
    dropped: dict[str, int]
    """Requests that the proxy lost, by reason."""
    gaps: int
    """How often the connection broke."""
    gap_s: float
    """The seconds without a connection."""


@dataclass(slots=True)
class LiveCountsState:
    """The counts of a recording while it goes on."""

    for_s: float
    began: float = field(default_factory=time.monotonic)
    counts: CountsState = field(default_factory=CountsState)
    bytes: int = 0
    gaps: int = 0
    gap_s: float = 0.0
    _dropped: Counter[str] = field(default_factory=Counter)
    _dropped_before: Counter[str] = field(default_factory=Counter)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    @property
    def left_s(self) -> float:
        return self.for_s - self.seconds

    @property
    def dropped(self) -> Counter[str]:
        return self._dropped_before + self._dropped

    def count(self, pair: RecordedPair, size: int) -> None:
        self.counts.count(pair)
        self.bytes += size

    def adopt(self, progress: RecordingProgress) -> None:
        """Adopt what the proxy says of this connection."""
        self._dropped = Counter(progress.dropped)

    def begin_gap(self) -> None:
        """Note that the connection broke."""
        self.gaps += 1
        self._dropped_before, self._dropped = self.dropped, Counter()

    def summary(self, file: str, header: Header) -> LiveSummary:
        found = self.counts.summary(file, header)
        return LiveSummary(
            **{name: getattr(found, name) for name in found.__struct_fields__},
            seconds=round(self.seconds, 1),
            dropped=dict(sorted(self.dropped.items())),
            gaps=self.gaps,
            gap_s=round(self.gap_s, 1),
        )

    def line(self) -> str:
        """Return `12s of 1h: 1,204 pairs, 5.2 MiB; 12 dropped (credit 12)`."""
        dropped = f"; {dropped_text(self.dropped)}" if self.dropped else ""
        size = f"{self.bytes / (1 << 20):,.1f} MiB"
        return f"{self.seconds:,.0f}s of {duration_text(self.for_s)}: {self.counts.pairs:,} pairs, {size}{dropped}"


def dropped_text(dropped: Counter[str] | dict[str, int]) -> str:
    """Return `12 dropped (credit 9, link 3)`."""
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(dropped.items()))
    return f"{sum(dropped.values()):,} dropped ({reasons})"


class ProgressLine:
    """A line on standard error that is drawn again and again; nothing where that is no terminal."""

    def __init__(self) -> None:
        console = terminal(stderr=True)
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def draw(self, line: str) -> None:
        if self._live is not None:
            self._live.update(Text(f"{line}  Ctrl-C ends"), refresh=True)
