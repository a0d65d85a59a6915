"""Follows the states of upstreams: gauges, events of breakers, and records that Envoy has dropped."""

import asyncio
from typing import Final, Protocol

import msgspec
import structlog

from strangler.core.settings import Settings
from strangler.engine.admin_socket import AdminError
from strangler.engine.intake.upstream_states import (
    CLUSTERS_TARGET,
    STATS_TARGET,
    EnvoyFigures,
    breaker_states,
    endpoint_labels,
    parse_clusters,
    parse_stats,
)
from strangler.ipc.messages import BreakerChanged
from strangler.ipc.metrics import Metrics
from strangler.worker.control_link import ControlLink

EVERY_S: Final = 1.0
_UNREADABLE: Final = (AdminError, msgspec.DecodeError, KeyError, TypeError, AttributeError)
_OPEN_REASON: Final = "Envoy has put every endpoint aside after failures"
_CLOSED_REASON: Final = "Envoy uses an endpoint again"

log = structlog.get_logger()


class Admin(Protocol):
    """Envoy's admin listener."""

    async def get(self, target: str) -> bytes: ...


class UpstreamPolling:
    """Reads the admin listener of the Envoy in force each second. `follow` names another one, or none."""

    def __init__(self, numbers: Metrics, link: ControlLink, settings: Settings) -> None:
        self.settings = settings
        self._numbers = numbers
        self._link = link
        self._admin: Admin | None = None
        self._is_open: dict[str, bool] = {}
        self._measured: set[tuple[str, str]] = set()
        self._lost: dict[str, int] = {}
        self._has_failed = False

    def follow(self, admin: Admin | None) -> None:
        """Read another Envoy from now on, whose counts begin at 0."""
        if admin is not self._admin:
            self._admin = admin
            self._lost = {}

    async def run(self) -> None:
        """Read each second, until cancelled."""
        while True:
            await self.poll()
            await asyncio.sleep(EVERY_S)

    async def poll(self) -> None:
        """Read once. A failure is logged when it begins; what was read last stays."""
        admin = self._admin
        if admin is None:
            return
        try:
            figures = parse_stats(await admin.get(STATS_TARGET))
            endpoints = parse_clusters(await admin.get(CLUSTERS_TARGET)) if figures.has_bad_endpoints else []
        except _UNREADABLE as error:
            if not self._has_failed:
                log.warning("envoy.states_unreadable", reason=str(error) or repr(error))
            self._has_failed = True
            return
        self._has_failed = False
        if admin is not self._admin:
            return  # another Envoy has taken over meanwhile
        self._measure(figures)
        self._measure_endpoints(endpoint_labels(self.settings, endpoints))
        self._note_breakers(breaker_states(figures))
        self._note_lost(figures)

    def _measure(self, figures: EnvoyFigures) -> None:
        self._numbers.gauge("strangler_connections").set(figures.connections)
        for name, each in figures.upstreams.items():
            self._numbers.gauge("strangler_in_flight", name).set(each.in_flight)
            self._numbers.gauge("strangler_waiting", name).set(each.waiting)

    def _measure_endpoints(self, bad: dict[tuple[str, str], int]) -> None:
        known = {(name, str(url)): 0 for name, each in self.settings.upstreams.items() for url in each.urls}
        for key, figure in (known | bad).items():
            self._numbers.gauge("strangler_endpoint_state", *key).set(figure)
        for gone in self._measured - known.keys() - bad.keys():
            self._numbers.gauge("strangler_endpoint_state", *gone).set(0)
        self._measured = known.keys() | bad.keys()

    def _note_breakers(self, is_open: dict[str, bool]) -> None:
        for gone in self._is_open.keys() - is_open.keys():
            self._numbers.gauge("strangler_breaker_state", gone).set(0)
        for name, now_open in is_open.items():
            self._numbers.gauge("strangler_breaker_state", name).set(2 if now_open else 0)
            if now_open == self._is_open.get(name, False):
                continue
            before, after = ("closed", "open") if now_open else ("open", "closed")
            reason = _OPEN_REASON if now_open else _CLOSED_REASON
            log.warning("breaker.changed", upstream=name, before=before, after=after, reason=reason)
            self._link.offer(BreakerChanged(name, before, after, reason))
        self._is_open = is_open

    def _note_lost(self, figures: EnvoyFigures) -> None:
        """Count the records that Envoy has dropped, because this process did not read them in time."""
        for kind, total in figures.lost.items():
            more = total - self._lost.get(kind, 0)
            self._lost[kind] = total
            if more <= 0:
                continue
            self._numbers.counter("strangler_records_lost_total", kind).inc(more)
            log.warning(
                "envoy.records_lost",
                kind=kind,
                records=more,
                effect="these requests were served, but are in no metric, access line, ledger or rollout",
            )
