"""Records as Envoy sends them, and an intake whose counts can be read."""

from collections.abc import Mapping
from typing import Any

from strangler.core.routing.snapshot import Snapshot
from strangler.core.settings import Settings
from strangler.engine.intake.counting import RecordCounting
from strangler.ipc.messages import LedgerBatch, RolloutBatch, ToControl
from strangler.ipc.metrics import Metrics
from strangler.logs import LogWriter
from strangler.worker.access_log import AccessLog
from strangler.worker.ledger import Ledger
from strangler.worker.ledger_names import names_for
from strangler.worker.request_metrics import RequestMetrics
from strangler.worker.rollout_counts import RolloutCounting
from strangler.worker.telemetry import Telemetry

PLAIN: Mapping[str, Any] = {
    "arm": "legacy", "br": 0, "bs": 6, "cd": "via_upstream", "cl": "up/legacy:reads", "d": 1500, "dm": 2, "f": "-",
    "gen": None, "h": "shop.example", "id": "r-1", "ip": "192.0.2.7", "m": "GET", "n": 1, "p": "/a?b=1", "r": None,
    "reason": "no_route", "rf": None, "route": None, "s": 200, "sh": None, "t": "1796094901.500000", "ua": "curl/8",
    "up": "legacy", "v": "HTTP/1.1",
}  # fmt: skip
"""A GET that legacy has served because no route takes it."""

CANDIDATE: Mapping[str, Any] = {
    **PLAIN, "route": "orders", "reason": "percent", "cl": "arms/orders/0a1b2c", "arm": "candidate", "up": "orders",
    "p": "/api/orders/7", "gen": 1,
}  # fmt: skip
"""A GET that the candidate has served by its share."""

FALLBACK: Mapping[str, Any] = {**CANDIDATE, "arm": "legacy", "up": "legacy", "n": 2}
"""The same after the candidate failed."""

FAILED_ATTEMPT: Mapping[str, Any] = {
    "id": "r-1", "route": "orders", "up": "orders", "arm": "candidate", "s": 0, "f": "UF", "r": None,
}  # fmt: skip
"""The attempt before that: the candidate refused the connection."""


class TakingLink:
    """A link that keeps what it is given."""

    is_connected = True

    def __init__(self) -> None:
        self.sent: list[ToControl] = []

    def offer(self, message: ToControl) -> bool:
        self.sent.append(message)
        return True


class KeptLines(LogWriter):
    """A writer that keeps the lines."""

    def __init__(self) -> None:
        self.dropped = 0
        self.lines: list[bytes] = []

    def write_lines(self, lines: list[bytes]) -> bool:
        self.lines += lines
        return True


class Counted:
    """A record counting with all that it counts into."""

    def __init__(self, settings: Settings, generation: int = 1) -> None:
        self.numbers, self.link, self.writer = Metrics(), TakingLink(), KeptLines()
        self.access_log = AccessLog(self.writer, "envoy", 1)
        self.access_log.adopt(settings.log)
        self.ledger, self.rollouts = Ledger(self.link, lambda: 0.5), RolloutCounting(self.link)
        self.ledger.adopt(names_for(settings))
        metrics = RequestMetrics(self.numbers)
        telemetry = Telemetry(metrics, self.access_log, self.link, self.ledger, self.rollouts)
        snapshot = Snapshot(settings, generation)
        self.counting = RecordCounting(telemetry, metrics, self.numbers, snapshot)

    def request(self, record: Mapping[str, Any], now: float = 0.0) -> None:
        self.counting.count("request", dict(record), now)

    def attempt(self, record: Mapping[str, Any], now: float = 0.0) -> None:
        self.counting.count("attempt", dict(record), now)

    def figures(self, name: str) -> dict[tuple[str, ...], float]:
        """The cells of a metric that are not 0, by their labels."""
        found: dict[tuple[str, ...], float] = {}
        for report in self.numbers.report_all():
            found |= {cell.labels: cell.value for cell in report.counters if cell.name == name}
        return found

    def lines(self) -> list[bytes]:
        self.access_log.flush()
        return self.writer.lines

    def ledger_batches(self) -> list[LedgerBatch]:
        return self.ledger.finish(0.0, 0.0)

    def rollout_batches(self) -> list[RolloutBatch]:
        return self.rollouts.finish()
