"""A candidate that is three times as slow as legacy is told: event, status, metric, dashboard, command."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp.test_utils import TestClient, TestServer

from strangler.cli._tables import notices
from strangler.control.admin import application
from strangler.control.app import ControlApp
from strangler.control.events.shadow_events import EvidenceEvents
from strangler.core.slowness import MIN_PAIRS, WINDOW_S
from tests.control.control import control_of
from tests.store.evidence.pairs import match

ROUTES = """\
version: 1
admin: {listen: 127.0.0.1:0}
state: state
upstreams:
  legacy: {url: http://127.0.0.1:8000}
  orders: {url: http://127.0.0.1:8001}
routes:
  - name: orders
    match: {prefix: /api/orders}
    candidate: orders
    shadow: {percent: 10}
"""


def evidence_of(state: ControlApp) -> EvidenceEvents:
    return EvidenceEvents(state.events.publisher, state.events.comparisons, state.slow)


def compare(state: ControlApp, ratio: float, at: float, count: int = MIN_PAIRS, **more: Any) -> None:
    """As if so many pairs had been timed."""
    evidence = evidence_of(state)
    for _ in range(count):
        evidence.publish_comparison(replace(match(at=at), latency=(0.02, 0.02 * ratio), **more))


async def events(state: ControlApp) -> list[tuple[str, Any]]:
    await state.events.publisher.write()
    return [
        (entry.event.type, entry.event.data)
        for entry in await state.read_events(0, 0.0, 100)
        if entry.event.type.startswith("candidate.")
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "routes.yaml").write_text(ROUTES)
    return tmp_path


async def test_it_is_told_everywhere_and_taken_back(folder: Path) -> None:
    now = time.time()
    async with control_of(folder, {}) as state:
        compare(state, 3.5, now)
        await state.slow.look(now)
        ((kind, data),) = await events(state)
        assert kind == "candidate.slow"
        endpoint = data["endpoint"]
        assert data == {
            "route": "orders",
            "endpoint": endpoint,
            "ratio": 3.5,
            "legacy_ms": 20.0,
            "candidate_ms": 70.0,
            "pairs": MIN_PAIRS,
        }
        assert msgspec.to_builtins(state.status().slow) == {"orders": [data]}
        assert (await state.numbers()).gauges["strangler_candidate_slow", ("orders",)] == 1.0
        words = f"{endpoint} takes 3.5 times as long as at legacy (70 ms, 20 ms)"
        async with TestClient(TestServer(application(state), host="127.0.0.1")) as client:
            for page in ("/", "/routes/orders"):
                assert words in await (await client.get(page)).text()
        assert any(words in line.replace("\\[", "[") for line in notices(state.status()))

        compare(state, 1.0, now + 60, 500)
        await state.slow.look(now + 60)
        assert [kind for kind, _ in await events(state)] == ["candidate.slow", "candidate.slow_over"]
        assert state.status().slow == {}
        assert (await state.numbers()).gauges["strangler_candidate_slow", ("orders",)] == 0.0


async def test_a_restart_does_not_tell_it_anew(folder: Path) -> None:
    now = time.time()
    async with control_of(folder, {}) as state:
        compare(state, 3.5, now)
        await state.slow.look(now)
        assert len(await events(state)) == 1
    async with control_of(folder, {}) as state:
        await state.slow.restore()
        assert list(state.status().slow) == ["orders"]
        compare(state, 3.5, now + 60)
        await state.slow.look(now + 60)
        assert len(await events(state)) == 1
        await state.slow.look(now + 60 + WINDOW_S + 1)
        kind, data = (await events(state))[-1]
        assert (kind, data["ratio"], data["pairs"]) == ("candidate.slow_over", None, 0)


async def test_what_is_not_timed_is_not_judged(folder: Path) -> None:
    now = time.time()
    async with control_of(folder, {}) as state:
        evidence = evidence_of(state)
        for _ in range(100):
            evidence.publish_comparison(match(at=now))
        compare(state, 9.0, now, MIN_PAIRS - 1)
        compare(state, 9.0, now, route="gone")
        await state.slow.look(now)
        assert await events(state) == []


async def test_a_new_release_is_judged_by_its_own_times(folder: Path) -> None:
    now = time.time()
    async with control_of(folder, {}) as state:
        compare(state, 9.0, now)
        evidence_of(state).publish_release_change("orders", "1", "2", now)
        await state.slow.look(now)
        assert await events(state) == []
