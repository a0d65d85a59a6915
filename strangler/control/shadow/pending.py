"""The findings that wait for the store, in bounded numbers."""

from collections.abc import Sequence

from strangler.control.shadow.counters import ShadowCounters
from strangler.store.evidence.findings import Finding

MAX_PENDING = 10_000
MAX_PENDING_BYTES = 32 * 1024 * 1024
"""The most findings that wait while the store cannot be written, including those that it is writing."""


class PendingFindings:
    """Owns the findings that are not stored yet. Findings count until they are written."""

    def __init__(self, counters: ShadowCounters) -> None:
        self._counters = counters
        self._waiting: list[Finding] = []
        self._count = self._bytes = 0
        self._was_full = False

    def add(self, finding: Finding) -> bool:
        """Keep a finding, or count it as dropped if too much waits. Return whether it is kept."""
        size = finding.size
        if self._count >= MAX_PENDING or self._bytes + size > MAX_PENDING_BYTES:
            self._was_full = True
            self._counters.count_dropped(finding.route, "store")
            return False
        self._waiting.append(finding)
        self._count += 1
        self._bytes += size
        self._counters.count_compared(finding.route, finding.outcome)
        return True

    def __len__(self) -> int:
        """The findings that wait or are being written."""
        return self._count

    @property
    def is_half_full(self) -> bool:
        """Whether so much waits that only shadows may add to it."""
        return 2 * self._count >= MAX_PENDING or 2 * self._bytes >= MAX_PENDING_BYTES

    @property
    def has_room(self) -> bool:
        """Whether more may come. After no more fitted in, there is room once half is free again."""
        return not self._was_full and self._count < MAX_PENDING

    def take(self, most: int | None = None) -> list[Finding]:
        """Return waiting findings, to be written. Give them to `let_go` afterwards."""
        findings, self._waiting = self._waiting[:most], [] if most is None else self._waiting[most:]
        return findings

    def let_go(self, findings: Sequence[Finding]) -> None:
        """Stop counting findings that are stored or dropped."""
        self._count -= len(findings)
        self._bytes -= sum(finding.size for finding in findings)
        self._was_full = self._was_full and self.is_half_full

    def drop(self, route: str, before: float) -> None:
        """Drop a route's findings whose requests came before a Unix time: its evidence was set aside."""
        waiting = self.take()
        dropped = [finding for finding in waiting if finding.route == route and finding.at < before]
        self._waiting = [finding for finding in waiting if not (finding.route == route and finding.at < before)]
        self.let_go(dropped)
        self.count_late(dropped)

    def count_late(self, findings: Sequence[Finding]) -> None:
        """Count findings that were dropped since they came before a reset."""
        for finding in findings:
            self._counters.count_dropped(finding.route, "reset")
