# Compiled with mypyc: see docs/hot-path.md.
"""The parts of a worker that all its requests share."""

import asyncio
from collections.abc import Callable
from random import random

from strangler.core.routing.snapshot import Snapshot
from strangler.worker.access_log import AccessLog
from strangler.worker.captures import Captures
from strangler.worker.control_link import NO_LINK, ControlLink
from strangler.worker.ledger import Ledger
from strangler.worker.ledger_names import LedgerNames, names_for
from strangler.worker.peers import Peers
from strangler.worker.policies import Policies
from strangler.worker.request_metrics import RequestMetrics
from strangler.worker.rollout_counts import RolloutCounting
from strangler.worker.telemetry import Telemetry
from strangler.worker.upstream_events import UpstreamEvents
from strangler.worker.upstreams import Upstreams


class WorkerContext:
    """Builds the parts, each from those before it, and gives them new settings. A function takes the part it needs."""

    __slots__ = (
        "access_log", "captures", "ledger", "metrics", "peers", "policies", "rollouts", "telemetry", "upstreams",
    )  # fmt: skip

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        snapshot: Snapshot,
        metrics: RequestMetrics,
        access_log: AccessLog,
        captures: Captures,
        link: ControlLink = NO_LINK,
        index: int = 0,
        draw: Callable[[], float] = random,
    ) -> None:
        """`index` is the number of this worker, from 0. `draw` decides which calls the ledger counts under flood."""
        self.metrics = metrics
        self.access_log = access_log
        self.captures = captures
        self.policies = Policies(snapshot)
        self.upstreams = Upstreams(loop, UpstreamEvents(self.policies, link), index)
        self.peers = Peers(self.policies, self.upstreams, link)
        self.ledger = Ledger(link, draw)
        self.rollouts = RolloutCounting(link)
        self.telemetry = Telemetry(metrics, access_log, link, self.ledger, self.rollouts)
        self.adopt(snapshot, names_for(snapshot.settings))

    def adopt(self, snapshot: Snapshot, names: LedgerNames | None) -> None:
        """Adopt new settings, for all requests that begin from now on. `names` are those of the settings' ledger."""
        self.policies.adopt(snapshot)
        self.upstreams.adopt(snapshot.settings)
        self.access_log.adopt(snapshot.settings.log)
        self.ledger.adopt(names)
