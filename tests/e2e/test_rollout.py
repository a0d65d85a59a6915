"""A rollout of a real proxy: it climbs by what callers do, whichever process is killed, and comes down at once."""

import asyncio
import os
import signal
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession, web

from tests.e2e.commands import run
from tests.e2e.serving import LegacyState, Proxy, legacy
from tests.served import served

ROUTES = """\
version: 1
listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0}}
workers: {workers}
state: state
limits: {{drain: 5s}}
upstreams:
  legacy: {{url: "http://127.0.0.1:{legacy}"}}
  orders: {{url: "http://127.0.0.1:{orders}", breaker: {{consecutive: 3, cooldown: 30s}}}}
routes:
  - name: orders
    match: {{prefix: /api/orders}}
    candidate: orders
    split: {{sticky: ["header:x-user-id"]}}
    rollout:
      steps: [10, 30, 60, 100]
      hold: 1s
      look: 500ms
      evidence: {{requests: 20, callers: {callers}}}
      errors: {{ratio: 1.5, floor: 40%}}
      latency: null
      gate: never
"""
CALLERS = 80


class Callers:
    """Callers that call again and again, and remember which arm has served them."""

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        self.arms: dict[int, list[str]] = {caller: [] for caller in range(CALLERS)}
        self.faults = 0

    async def call(self, caller: int, client: ClientSession) -> str | None:
        url = f"http://127.0.0.1:{self.proxy.port}/api/orders/{caller}"
        try:
            async with client.get(url, headers={"X-User-Id": f"user-{caller}"}) as response:
                assert response.status == 200
                arm = await response.text()
        except (ClientError, OSError):  # the worker was killed
            self.faults += 1
            return None
        self.arms[caller].append(arm)
        return arm

    async def call_all(self) -> dict[int, str | None]:
        async with ClientSession() as client:
            return {caller: await self.call(caller, client) for caller in range(CALLERS)}

    @asynccontextmanager
    async def calling(self) -> AsyncIterator[None]:
        async def forever() -> None:
            while True:
                await self.call_all()
                await asyncio.sleep(0.02)

        task = asyncio.create_task(forever())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @property
    def moved_back(self) -> list[int]:
        """The callers that the candidate had served before legacy did."""
        return [
            caller
            for caller, arms in self.arms.items()
            if any(before == "candidate" and after == "legacy" for before, after in pairwise(arms))
        ]


class Rolling:
    """A proxy with a rollout, and its callers. The file may not be written."""

    def __init__(self, proxy: Proxy, end_candidate: Callable[[], Awaitable[None]]) -> None:
        self.proxy = proxy
        self.callers = Callers(proxy)
        self.end_candidate = end_candidate
        self.content = proxy.file.read_bytes()

    async def command(self, command: str) -> None:
        status, found = await self.proxy.ask(f"/api/rollouts/orders/{command}", "POST", {"who": "ana"})
        assert status == 200, found

    async def status(self) -> dict[str, Any]:
        """Return the rollout; nothing while control is away."""
        try:
            status, found = await self.proxy.ask("/api/rollouts/orders")
        except (OSError, ClientError):
            return {}
        return found if status == 200 else {}

    async def at(self, percent: float) -> None:
        await self.proxy.until(lambda: self._is_at(percent))

    async def settled(self) -> None:
        """Wait until all workers have the percents in force."""

        async def is_settled() -> bool:
            generation = (await self.proxy.status())["config"]["generation"]
            return await self.proxy.has_generation(generation)

        await self.proxy.until(is_settled)

    async def begun(self) -> dict[int, str | None]:
        """Start the rollout; return the arm of each caller once all workers have the first step."""
        await self.command("start")
        await self.at(10)
        await self.settled()
        return await self.callers.call_all()

    async def _is_at(self, percent: float) -> bool:
        found: float = (await self.status()).get("percent", -1.0)
        return found >= percent

    async def is_state(self, state: str) -> bool:
        return (await self.status()).get("state") == state

    def pid_of(self, role: str) -> int:
        return next(child.pid for child in self.proxy.children() if role in " ".join(child.cmdline()))

    async def events(self) -> list[tuple[str, float, float]]:
        _, found = await self.proxy.ask("/api/events?limit=1000")
        return [
            (each["type"], each["data"]["from"], each["data"]["to"])
            for each in (stored["event"] for stored in found["events"])
            if each["type"].startswith("rollout.")
        ]

    async def has_event(self, event: tuple[str, float, float]) -> bool:
        return event in await self.events()

    def check_file(self) -> None:
        assert self.proxy.file.read_bytes() == self.content


@asynccontextmanager
async def rolling(folder: Path, upstream: LegacyState, callers: int = 4, workers: int = 2) -> AsyncIterator[Rolling]:
    async def candidate(request: web.Request) -> web.Response:
        return web.Response(text="candidate")

    async with AsyncExitStack() as stack, AsyncExitStack() as of_candidate:
        port = await of_candidate.enter_async_context(served(candidate))
        proxy = Proxy(folder, upstream.port)
        proxy.file.write_text(ROUTES.format(legacy=upstream.port, orders=port, callers=callers, workers=workers))
        proxy.file.chmod(stat.S_IRUSR)
        stack.push_async_callback(proxy.stop)
        await proxy.start()
        yield Rolling(proxy, of_candidate.aclose)


@pytest.fixture
async def upstream() -> AsyncIterator[LegacyState]:
    async with legacy() as state:
        yield state


async def test_it_climbs_by_its_callers_and_nobody_moves_back_whichever_process_is_killed(
    tmp_path: Path, upstream: LegacyState
) -> None:
    """A single worker: with several, some follow a step some milliseconds after others."""
    async with rolling(tmp_path, upstream, workers=1) as this:
        assert set((await this.callers.call_all()).values()) == {"legacy"}
        await this.command("start")
        async with this.callers.calling():
            await this.at(10)
            os.kill(this.pid_of("control"), signal.SIGKILL)
            await this.at(30)
            os.kill(this.pid_of("worker"), signal.SIGKILL)
            await this.at(60)
            os.kill(this.pid_of("control"), signal.SIGKILL)
            await this.at(100)
            await this.proxy.until(lambda: this.is_state("done"))
        assert set((await this.callers.call_all()).values()) == {"candidate"}
        assert this.callers.moved_back == []
        assert await this.events() == [
            ("rollout.stepped", 0, 10),
            ("rollout.stepped", 10, 30),
            ("rollout.stepped", 30, 60),
            ("rollout.stepped", 60, 100),
            ("rollout.done", 100, 100),
        ], "each step exactly once"
        this.check_file()


async def test_a_restart_of_the_whole_proxy_keeps_every_caller_where_it_is(
    tmp_path: Path, upstream: LegacyState
) -> None:
    async with rolling(tmp_path, upstream, callers=2 * CALLERS) as this:
        before = await this.begun()
        assert set(before.values()) == {"legacy", "candidate"}
        for number in (signal.SIGTERM, signal.SIGKILL):
            this.proxy.signal(number)
            await this.proxy.ended()
            await this.proxy.start()
            assert await this.callers.call_all() == before
        assert (await this.status())["state"] == "running"
        this.check_file()


async def test_a_restart_without_a_gap_takes_no_caller_back_in_the_middle_of_a_climb(
    tmp_path: Path, upstream: LegacyState
) -> None:
    async with rolling(tmp_path, upstream, callers=1) as this:
        steps = ", ".join(str(percent) for percent in range(10, 101, 6))
        plan = this.content.decode().replace("10, 30, 60, 100", steps).replace("hold: 1s", "hold: 0s")
        this.proxy.edit(plan.replace("look: 500ms", "look: 100ms"))
        await this.proxy.until(lambda: this.proxy.has_generation(2))
        await this.command("start")
        async with this.callers.calling():
            await this.at(16)
            status, output = await run(tmp_path, "restart")
            assert status == 0, output
            await this.at((await this.status())["percent"] + 6)
            await this.settled()
        assert this.callers.moved_back == []


async def test_a_worker_that_starts_while_control_is_down_begins_with_the_percent(
    tmp_path: Path, upstream: LegacyState
) -> None:
    async with rolling(tmp_path, upstream, callers=2 * CALLERS) as this:
        before = await this.begun()
        control = this.pid_of("control")
        os.kill(control, signal.SIGSTOP)
        for child in this.proxy.children():
            if "worker" in " ".join(child.cmdline()):
                child.kill()
        await this.proxy.until(lambda: this.proxy.get("/api/orders/1"))
        assert await this.callers.call_all() == before
        os.kill(control, signal.SIGCONT)


async def test_an_open_breaker_sends_everybody_to_legacy_at_once(tmp_path: Path, upstream: LegacyState) -> None:
    async with rolling(tmp_path, upstream, callers=2 * CALLERS) as this:
        await this.command("start")
        await this.at(10)
        await this.end_candidate()
        async with this.callers.calling():
            await this.proxy.until(lambda: this.is_state("paused"))
        found = await this.status()
        assert (found["percent"], found["waits_for"]) == (0, "resume")
        assert "breaker opened" in found["why"]
        await this.proxy.until(lambda: this.has_event(("rollout.failed", 10, 0)))
        await this.settled()
        assert set((await this.callers.call_all()).values()) == {"legacy"}
        this.check_file()


async def test_sighup_and_an_edit_that_changes_nothing_move_nobody(tmp_path: Path, upstream: LegacyState) -> None:
    async with rolling(tmp_path, upstream, callers=2 * CALLERS) as this:
        before = await this.begun()
        generation = (await this.proxy.status())["config"]["generation"]
        this.proxy.signal(signal.SIGHUP)
        await this.proxy.until(lambda: this.proxy.has_generation(generation + 1))
        this.proxy.edit(this.content.decode().replace("hold: 1s", "hold: 2s"))
        await this.proxy.until(lambda: this.proxy.has_generation(generation + 2))
        assert await this.callers.call_all() == before
        assert (await this.status())["state"] == "running"
