"""The metrics of control itself, added to the totals like those of a worker."""

import asyncio

from strangler.control.totals import TotalsState
from strangler.ipc.metrics import Counter, Gauge, Metrics

REPORT_EVERY_S = 0.05


class OwnMetrics:
    """Counts what happens in control, and reports it to the totals like a worker."""

    def __init__(self, totals: TotalsState, instance: str) -> None:
        self.instance = instance
        """The unique name of this process in the totals."""
        self._totals = totals
        self._numbers = Metrics()

    def counter(self, name: str, *labels: str) -> Counter:
        """Return the counter of that name and labels. Raises like `Metrics.counter`."""
        return self._numbers.counter(name, *labels)

    def gauge(self, name: str, *labels: str) -> Gauge:
        """Return the gauge of that name and labels. Raises like `Metrics.gauge`."""
        return self._numbers.gauge(name, *labels)

    def report(self) -> None:
        """Add what has changed since the last report to the totals."""
        if self._numbers.is_touched:
            self._totals.take(self.instance, self._numbers.report())

    async def run(self) -> None:
        """Report again and again until cancelled."""
        while True:
            await asyncio.sleep(REPORT_EVERY_S)
            self.report()
