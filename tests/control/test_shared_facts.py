"""The facts that control keeps for later workers, and those that it passes on."""

from dataclasses import replace
from typing import Any

import pytest

from strangler.control.shared_facts import SharedState
from strangler.core.resilience.write_fence import FenceMark
from strangler.core.settings import HealthSettings, TlsSettings, UpstreamSettings
from strangler.ipc.messages import BreakerOpened, EndpointHealth, FenceMarks, Shared
from tests.factories import breaker, upstream, url

HEALTH = HealthSettings(path="/healthz", interval_s=10.0, timeout_s=1.0, fall=3, rise=1)
BREAKER = breaker()
ORDERS = upstream("orders", "http://a:80", "http://b:80", breaker=BREAKER, health=HEALTH)


def shared(orders: UpstreamSettings | None = ORDERS, generation: int = 3) -> SharedState:
    made = SharedState()
    made.adopt({"orders": orders} if orders else {}, generation)
    return made


def opened(until: float = 110.0, generation: int = 3, upstream: str = "orders") -> BreakerOpened:
    return BreakerOpened(upstream, generation, until, 1, "5 failures in a row, the last: connect")


def unwell(host: str = "a", address: str = "192.0.2.1", is_healthy: bool = False) -> EndpointHealth:
    return EndpointHealth("orders", url(f"http://{host}:80"), address, is_healthy, "3 checks failed")


def test_an_opening_is_passed_on_and_kept_until_it_is_over() -> None:
    state = shared()
    assert state.learn(opened(), 100.0) == opened()
    assert list(state.everything(109.0)) == [opened()]
    assert list(state.everything(110.0)) == []


def test_a_later_end_replaces_an_earlier_one_and_never_the_other_way() -> None:
    state = shared()
    state.learn(opened(110.0), 100.0)
    assert state.learn(opened(110.0), 100.0) is None
    assert state.learn(opened(105.0), 100.0) is None
    assert state.learn(opened(120.0), 100.0) == opened(120.0)
    assert list(state.everything(100.0)) == [opened(120.0)]


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(opened(until=100.0), id="it is over"),
        pytest.param(opened(upstream="gone"), id="no such upstream"),
        pytest.param(FenceMarks([]), id="no marks"),
        pytest.param(FenceMarks([FenceMark("orders", b"8 bytes.", 100.0)]), id="a fence that is over"),
        pytest.param(unwell(is_healthy=True), id="healthy is what all are taken for"),
        pytest.param(unwell(host="elsewhere"), id="a URL that is not checked"),
    ],
)
def test_what_is_no_news_is_not_passed_on(message: Shared) -> None:
    state = shared()
    assert state.learn(message, 100.0) is None
    assert list(state.everything(100.0)) == []


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"breaker": replace(BREAKER, consecutive=9)}, id="breaker"),
        pytest.param({"urls": (url("http://c:80"),)}, id="urls"),
        pytest.param({"tls": TlsSettings(ca=None, verify=False)}, id="tls"),
    ],
)
def test_a_reload_that_makes_it_another_upstream_drops_its_opening(changes: dict[str, Any]) -> None:
    state = shared()
    state.learn(opened(), 100.0)
    state.adopt({"orders": replace(ORDERS, **changes)}, 4)
    assert list(state.everything(100.0)) == []
    assert state.learn(opened(generation=3), 100.0) is None, "a worker that has not reloaded yet"
    assert state.learn(opened(generation=4), 100.0) == opened(generation=4)


def test_a_reload_that_leaves_it_as_it_was_keeps_its_opening() -> None:
    state = shared()
    state.learn(opened(), 100.0)
    state.adopt({"orders": replace(ORDERS, host="upstream"), "other": upstream("other")}, 4)
    assert list(state.everything(100.0)) == [opened()]
    assert state.learn(opened(120.0, generation=3), 100.0) is not None


def test_an_upstream_that_is_gone_is_forgotten() -> None:
    state = shared()
    for message in (opened(), unwell()):
        assert state.learn(message, 100.0) is not None
    state.adopt({}, 4)
    assert list(state.everything(100.0)) == []


def test_only_marks_that_are_news_are_passed_on_and_all_are_kept() -> None:
    state = shared()
    ana, bob = FenceMark("orders", b"ana.....", 160.0), FenceMark("orders", b"bob.....", 160.0)
    assert state.learn(FenceMarks([ana]), 100.0) == FenceMarks([ana])
    assert state.learn(FenceMarks([ana, bob]), 100.0) == FenceMarks([bob])
    assert list(state.everything(100.0)) == [FenceMarks([ana, bob])]


def test_what_an_earlier_control_found_unwell_is_believed_until_checks_know_better() -> None:
    state = shared()
    assert state.learn(unwell(), 100.0) == unwell()
    assert state.learn(unwell(), 100.0) is None
    state.set_health(unwell(is_healthy=True))
    assert state.learn(unwell(), 100.0) is None
    assert list(state.everything(100.0)) == [unwell(is_healthy=True)]


@pytest.mark.parametrize("health", [None, HEALTH], ids=["no longer checked", "another URL"])
def test_health_is_forgotten_with_its_checks(health: HealthSettings | None) -> None:
    state = shared()
    state.set_health(unwell())
    state.adopt({"orders": replace(ORDERS, urls=(url("http://b:80"),), health=health)}, 4)
    assert list(state.everything(100.0)) == []
