"""All metrics of the proxy at one moment, as `/metrics` exposes them."""

import time
from collections.abc import Mapping
from typing import TypeVar

from strangler.control.events.certificates import CertificateWatch
from strangler.control.events.slow import SlowWatch
from strangler.control.exposition import ExposedMetrics
from strangler.control.fleet.fleet_parts import FleetParts
from strangler.control.ledger_keeper import LedgerKeeper
from strangler.control.links import LinksState
from strangler.control.own_metrics import OwnMetrics
from strangler.control.readiness import LegacyProbe
from strangler.control.reload import InForce, ReloadState
from strangler.control.rollout.views import RolloutViews
from strangler.control.shadow.route_status import stopped_gauges
from strangler.control.shadow.route_table import ShadowRouteTable
from strangler.control.totals import Key
from strangler.control.visible_metrics import VisibleMetrics
from strangler.core.settings import Settings
from strangler.store.store import Store

_V = TypeVar("_V")


class MetricsFilter:
    """Leaves out metrics of what routes.yaml no longer names."""

    def __init__(self, settings: Settings) -> None:
        self._visible = VisibleMetrics()
        self._visible.adopt(settings, time.monotonic())

    def adopt(self, in_force: InForce) -> None:
        """Expose what these settings name from now on."""
        self._visible.adopt(in_force.settings, time.monotonic())

    def visible(self, values: Mapping[Key, _V]) -> dict[Key, _V]:
        """Return the metrics that are exposed."""
        return self._visible.visible(values, time.monotonic())


class MetricsSource:
    """Collects the metrics from the parts that know them."""

    def __init__(
        self,
        reload: ReloadState,
        links: LinksState,
        own: OwnMetrics,
        store: Store,
        probe: LegacyProbe,
        only: MetricsFilter,
        table: ShadowRouteTable,
        slow: SlowWatch,
        certificates: CertificateWatch,
        ledger: LedgerKeeper,
        rollouts: RolloutViews,
        fleet: FleetParts,
    ) -> None:
        self._reload = reload
        self._links = links
        self._own = own
        self._store = store
        self._probe = probe
        self._only = only
        self._table = table
        self._slow = slow
        self._certificates = certificates
        self._ledger = ledger
        self._rollouts = rollouts
        self._fleet = fleet

    async def collect(self) -> ExposedMetrics:
        """Return all metrics as they are now."""
        is_legacy_reachable = await self._probe.is_reachable(self._reload.in_force.settings)
        self._own.report()
        totals = self._links.totals
        gauges = (
            self._only.visible(totals.gauges())
            | stopped_gauges(self._table)
            | self._slow.gauges()
            | self._certificates.gauges()
            | self._ledger.gauges()
            | self._rollouts.gauges()
            | self._kill_switch_gauges()
        )
        return ExposedMetrics(self._only.visible(totals.values()), gauges, self._of_control(is_legacy_reachable))

    def _kill_switch_gauges(self) -> dict[Key, float]:
        """Return `strangler_kill_switch_route` of each route that the kill switch is on for by itself."""
        return {("strangler_kill_switch_route", (name,)): 1.0 for name in self._links.kill_switch.routes}

    def _of_control(self, is_legacy_reachable: bool) -> dict[str, float]:
        in_force = self._reload.in_force
        return {
            "strangler_config_last_reload_successful": float(not in_force.problems),
            "strangler_config_generation": float(in_force.generation),
            "strangler_legacy_reachable": float(is_legacy_reachable),
            "strangler_workers": float(len(self._links.workers)),
            "strangler_kill_switch": float(self._links.kill_switch.on),
            "strangler_store_working": float(self._store.problem is None),
            "strangler_store_up": float(self._store.problem is None and self._fleet.problem() is None),
            "strangler_leader": float(self._fleet.leadership.holds),
            "strangler_nodes": float(self._fleet.nodes.present),
            "strangler_store_log_bytes": float(self._store.log_bytes),
        }
