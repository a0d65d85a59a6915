"""The states of upstreams by what Envoy's admin listener says."""

import json

from structlog.testing import capture_logs

from strangler.engine.admin_socket import AdminError
from strangler.engine.intake.polling import UpstreamPolling
from strangler.engine.intake.upstream_states import CLUSTERS_TARGET, STATS_TARGET
from strangler.ipc.messages import BreakerChanged
from strangler.ipc.metrics import Metrics
from tests.engine.intake.samples import TakingLink
from tests.factories import settings, upstream


class ScriptedAdmin:
    """An admin listener that says what a test wants."""

    def __init__(self) -> None:
        self.stats: dict[str, int] = {}
        self.hosts: dict[str, list[dict[str, object]]] = {}
        self.targets: list[str] = []
        self.is_away = False

    async def get(self, target: str) -> bytes:
        self.targets.append(target)
        if self.is_away:
            raise AdminError("nobody is there")
        if target == STATS_TARGET:
            values: list[dict[str, object]] = [{"name": name, "value": value} for name, value in self.stats.items()]
            return json.dumps({"stats": [*values, {"histograms": {}}]}).encode()
        assert target == CLUSTERS_TARGET
        statuses = [{"name": name, "host_statuses": hosts} for name, hosts in self.hosts.items()]
        return json.dumps({"cluster_statuses": statuses}).encode()

    def has(self, name: str, **figures: int) -> None:
        for figure, value in {"membership_total": 1, "membership_healthy": 1, **figures}.items():
            self.stats[f"cluster.up/{name}.{figure.replace('__', '.')}"] = value


class Polled:
    def __init__(self) -> None:
        self.numbers, self.link, self.admin = Metrics(), TakingLink(), ScriptedAdmin()
        made = settings([], [upstream("legacy", "http://127.0.0.1:81"), upstream("orders", "http://127.0.0.1:82")])
        self.polling = UpstreamPolling(self.numbers, self.link, made)
        self.polling.follow(self.admin)

    def gauges(self, name: str) -> dict[tuple[str, ...], float]:
        found: dict[tuple[str, ...], float] = {}
        for report in self.numbers.report_all():
            found |= {cell.labels: cell.value for cell in [*report.gauges, *report.counters] if cell.name == name}
        return found


async def test_gauges_are_those_of_a_worker() -> None:
    polled = Polled()
    polled.admin.has("orders", upstream_rq_active=3, upstream_rq_pending_active=2)
    polled.admin.stats["http.clients.downstream_cx_active"] = 7
    await polled.polling.poll()
    assert polled.gauges("strangler_in_flight") == {("orders",): 3}
    assert polled.gauges("strangler_waiting") == {("orders",): 2}
    assert polled.gauges("strangler_connections") == {(): 7}
    assert polled.gauges("strangler_breaker_state") == {("orders",): 0}
    assert polled.admin.targets == [STATS_TARGET], "endpoints are asked for only if one is not in use"


async def test_a_breaker_is_open_while_every_endpoint_is_put_aside() -> None:
    polled = Polled()
    host: dict[str, object] = {"hostname": "127.0.0.1:82", "health_status": {"failed_outlier_check": True}}
    polled.admin.has("orders", outlier_detection__ejections_active=1, membership_healthy=0)
    polled.admin.hosts["up/orders"] = [host]
    await polled.polling.poll()
    await polled.polling.poll()
    assert polled.gauges("strangler_breaker_state") == {("orders",): 2}
    assert polled.gauges("strangler_endpoint_state")["orders", "http://127.0.0.1:82"] == 1
    polled.admin.has("orders")
    polled.admin.stats.pop("cluster.up/orders.outlier_detection.ejections_active")
    await polled.polling.poll()
    assert polled.gauges("strangler_breaker_state") == {("orders",): 0}
    assert polled.gauges("strangler_endpoint_state")["orders", "http://127.0.0.1:82"] == 0
    changes = [
        (each.upstream, each.before, each.after) for each in polled.link.sent if isinstance(each, BreakerChanged)
    ]
    assert changes == [("orders", "closed", "open"), ("orders", "open", "closed")]


async def test_an_endpoint_that_fails_its_checks_is_unhealthy() -> None:
    polled = Polled()
    polled.admin.has("orders", membership_total=2)
    health = {"failed_active_health_check": True}
    address = {"socket_address": {"address": "127.0.0.1", "port_value": 82}}
    polled.admin.hosts["up/orders"] = [{"address": address, "health_status": health}]
    await polled.polling.poll()
    assert polled.gauges("strangler_endpoint_state")["orders", "http://127.0.0.1:82"] == 2
    assert polled.gauges("strangler_breaker_state") == {("orders",): 0}


async def test_legacys_breaker_is_never_open() -> None:
    polled = Polled()
    polled.admin.has("legacy", outlier_detection__ejections_active=1, membership_healthy=0)
    await polled.polling.poll()
    assert polled.gauges("strangler_breaker_state") == {("legacy",): 0}


async def test_lost_records_are_counted_and_logged_once_for_each_envoy() -> None:
    polled = Polled()
    polled.admin.stats["access_logs.fluentd.request.entries_lost"] = 5
    with capture_logs() as logs:
        await polled.polling.poll()
        await polled.polling.poll()
        polled.polling.follow(successor := ScriptedAdmin())
        successor.stats["access_logs.fluentd.request.entries_lost"] = 2
        await polled.polling.poll()
    assert polled.gauges("strangler_records_lost_total") == {("request",): 7}
    assert [each["records"] for each in logs if each["event"] == "envoy.records_lost"] == [5, 2]


async def test_an_admin_that_is_away_is_logged_when_it_begins() -> None:
    polled = Polled()
    polled.admin.is_away = True
    with capture_logs() as logs:
        await polled.polling.poll()
        await polled.polling.poll()
    assert [each["event"] for each in logs] == ["envoy.states_unreadable"]


async def test_nobody_is_asked_while_no_envoy_lives() -> None:
    polled = Polled()
    polled.polling.follow(None)
    await polled.polling.poll()
    assert polled.admin.targets == []
