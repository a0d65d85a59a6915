"""Control as it is put together: each part hears of what concerns it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from strangler.control.app import ControlApp
from strangler.ipc.messages import BreakerChanged, Hello
from strangler.state import kill_switch
from tests.control.control import control_of, take
from tests.store.evidence.pairs import match

ROUTES = """\
version: 1
state: state
upstreams: {legacy: {url: "http://127.0.0.1:8000"}, orders: {url: "http://127.0.0.1:8001"}}
routes:
  - name: orders
    match: {prefix: /api/orders}
    candidate: orders
    split: {percent: 5}
    shadow: {percent: 10}
"""
REQUESTS = ("strangler_requests_total", ("orders", "candidate", "orders", "2xx"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "routes.yaml").write_text(ROUTES)
    return tmp_path


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(8):
        while not condition():  # noqa: ASYNC110 - the parts have no event for all of this
            await asyncio.sleep(0.01)


@asynccontextmanager
async def running(app: ControlApp) -> AsyncIterator[None]:
    """With all that runs as long as the process."""
    tasks = [asyncio.create_task(part.run()) for part in app.running]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def kinds(app: ControlApp) -> list[str]:
    await app.events.publisher.write()
    return [entry.event.type for entry in await app.read_events(0, 0.0, 100)]


async def test_every_part_follows_new_settings(folder: Path) -> None:
    async with control_of(folder, {}) as app, running(app):
        before, table = app.links.settings, app.shadow.table
        await until(lambda: app.reload.texts)
        assert list(table.routes) == ["orders"]
        renamed = ROUTES.replace("name: orders", "name: sales").replace("percent: 5}", "percent: 25}")
        (app.launch.config).write_text(renamed)
        await until(lambda: app.links.generation == 2)
        assert app.links.settings != before, "workers get them"
        assert list(table.routes) == ["sales"], "shadows are those of the new routes"
        assert list(app.slow.gauges()) == [("strangler_candidate_slow", ("sales",))]
        assert [route.name for route in app.status().routes] == ["sales"]
        assert {"routes.reloaded", "route.shifted"} <= set(await kinds(app))


async def test_a_file_that_is_rejected_is_an_event_and_changes_nothing(folder: Path) -> None:
    async with control_of(folder, {}) as app, running(app):
        await until(lambda: app.reload.texts)
        app.launch.config.write_text(ROUTES.replace("percent: 5}", "percent: 500}"))
        await until(lambda: app.reload.in_force.problems)
        assert (app.links.generation, list(app.shadow.table.routes)) == (1, ["orders"])
        assert await kinds(app) == ["routes.rejected"]
        assert (await app.readiness()).is_rejected


async def test_the_kill_switch_is_on_disk_with_the_workers_and_an_event(folder: Path) -> None:
    async with control_of(folder, {}) as app:
        state = await app.turn_kill_switch(True, "nonsense", "ana")
        assert kill_switch.read(app.launch.folder) == app.links.kill_switch == state
        assert await app.turn_kill_switch(True, "", "ana") == state, "it stands so already"
        assert await kinds(app) == ["kill_switch"]
        rows = await app.store.call(
            lambda connection: connection.execute("SELECT who, what, detail FROM audit").fetchall()
        )
        assert rows == [("ana", "kill-switch", "on")]
    async with control_of(folder, {}) as app:
        assert app.kill_switch == state


async def test_what_workers_say_reaches_the_part_that_it_is_for(folder: Path) -> None:
    async with control_of(folder, {}) as app:
        hello = Hello(0, "a", 4711, 1)
        connection = app.server.accept()
        app.server.joined(connection, hello)
        app.server.heard(connection, hello, BreakerChanged("orders", "closed", "open", "5 in a row"))
        assert app.links.breaker_reasons == {"orders": "5 in a row"}
        assert await kinds(app) == ["breaker.opened"]


async def test_what_was_counted_and_found_is_there_after_a_restart(folder: Path) -> None:
    async with control_of(folder, {}) as app:
        take(app, {REQUESTS: (7.0,)})
        app.shadow.writer.add(match(at=time.time()))
    async with control_of(folder, {}) as app:
        name, labels = REQUESTS
        assert app.links.totals.counter(name, *labels) == 7
        assert app.links.totals.counter("strangler_shadow_comparisons_total", "orders", "match") == 1
        rows = await app.store.call(lambda connection: connection.execute("SELECT sum(count) FROM pairs").fetchone())
        assert rows == (1,)


async def test_a_proxy_that_drains_is_not_ready(folder: Path) -> None:
    async with control_of(folder, {}) as app:
        app.processes.is_draining = True
        found = await app.readiness()
        assert (found.ready, found.checks.not_draining) == (False, False)


async def test_all_parts_are_closed_though_one_fails_at_that(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail() -> None:
        raise OSError("gone")

    async def serve() -> None:
        async with control_of(folder, {}) as app:
            take(app, {REQUESTS: (7.0,)})
            monkeypatch.setattr(type(app.shadow.runner), "close", lambda _: fail())

    with pytest.raises(OSError, match="gone"):
        await serve()
    monkeypatch.undo()
    async with control_of(folder, {}) as app:
        name, labels = REQUESTS
        assert app.links.totals.counter(name, *labels) == 7
