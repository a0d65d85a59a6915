"""An upstream in trouble, as clients and operators see it: real processes, real load, several workers."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.serving import Proxy
from tests.http1.scripted import Script, ScriptedUpstream, in_turn, read_request, responding, send

ROUTES = """\
version: 1
listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0}}
workers: {workers}
state: state
limits: {{drain: 5s}}
upstreams:
  legacy: {{url: "http://127.0.0.1:{legacy}"}}
  orders:
    urls: [{urls}]
    breaker: {{consecutive: 5, cooldown: 500ms, max_cooldown: 500ms, trials: 2}}
    retry: {retry}
    {more}
routes:
  - name: orders
    match: {{prefix: /api/orders}}
    candidate: orders
    split: {{percent: 100, sticky: ["header:X-User-Id"]}}
    fallback: {{when: [connect, reset, open, full, 503], fence: 60s}}
"""

Start = Callable[..., Awaitable[Proxy]]


def respond(status: int, body: bytes) -> Script:
    return responding(send(b"HTTP/1.1 %d Told\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)))


@pytest.fixture
async def legacy() -> AsyncIterator[ScriptedUpstream]:
    async with ScriptedUpstream(respond(200, b"legacy")) as made:
        yield made


@pytest.fixture
async def start(tmp_path: Path, legacy: ScriptedUpstream) -> AsyncIterator[Start]:
    started: list[Proxy] = []

    async def start_one(*ports: int, workers: int = 1, retry: str = "false", more: str = "") -> Proxy:
        urls = ", ".join(f'"http://127.0.0.1:{port}"' for port in ports)
        proxy = Proxy(tmp_path, legacy.port, workers)
        proxy.file.write_text(ROUTES.format(workers=workers, legacy=legacy.port, urls=urls, retry=retry, more=more))
        started.append(proxy)
        await proxy.start()
        await proxy.until(lambda: has_workers(proxy, workers))
        return proxy

    yield start_one
    for proxy in started:
        await proxy.stop()


async def has_workers(proxy: Proxy, count: int) -> bool:
    workers = (await proxy.status())["workers"]
    return len(workers) == count and all(worker["is_connected"] for worker in workers)


class Visitor:
    """One client connection; requests go one after another. All of its requests are served by one worker."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._is_over = False

    async def ask(
        self, method: str = "GET", user: str = "ana", path: str = "/api/orders/7", body: bytes = b""
    ) -> tuple[int, bytes]:
        """Status and body of the answer."""
        await self.send(method, user, path, body)
        async with asyncio.timeout(10):
            head = await self._reader.readuntil(b"\r\n\r\n")
            self._is_over = b"\r\nConnection: close\r\n" in head
            size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            return int(head.split(b" ", 2)[1]), await self._reader.readexactly(size)

    async def send(self, method: str, user: str, path: str, body: bytes) -> None:
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        head = f"{method} {path} HTTP/1.1\r\nHost: shop\r\nX-User-Id: {user}\r\n{length}\r\n"
        self._writer.write(head.encode() + body)

    @property
    def is_over(self) -> bool:
        """The proxy has said that it closes the connection, or has closed it."""
        return self._is_over or self._reader.at_eof()

    async def close(self) -> None:
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()


Connect = Callable[..., Awaitable[Visitor]]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Connects to a proxy, from any of the many addresses of this machine."""
    visitors: list[Visitor] = []

    async def connect_to(proxy: Proxy, address: str = "127.0.0.1") -> Visitor:
        streams = await asyncio.open_connection("127.0.0.1", proxy.port, local_addr=(address, 0))
        visitors.append(Visitor(*streams))
        return visitors[-1]

    yield connect_to
    for visitor in visitors:
        await visitor.close()


async def one_of_each_worker(proxy: Proxy, connect: Connect, workers: int = 2) -> list[Visitor]:
    """One connection to each worker: the system spreads them as it likes, so make more until each has one."""
    found: dict[str, Visitor] = {}
    for _ in range(50):
        visitors = [await connect(proxy) for _ in range(8)]
        for visitor in visitors:
            path = f"/who/{id(visitor)}"
            await visitor.ask(path=path)
            found.setdefault(await proxy.until(partial(_process_of, proxy, path)), visitor)
        if len(found) == workers:
            return list(found.values())
    raise AssertionError("a worker takes no connections")


def _process_of(proxy: Proxy, path: str) -> str | None:
    return next((line["process"] for line in proxy.events("request") if line["path"] == path), None)


def logged_at(line: dict[str, Any]) -> float:
    return datetime.fromisoformat(line["time"]).timestamp()


def changes(proxy: Proxy) -> list[tuple[str, str, str]]:
    return [(line["process"], line["before"], line["after"]) for line in proxy.events("breaker.changed")]


async def breaker_is(proxy: Proxy, *states: str) -> bool:
    return (await proxy.status())["upstreams"][1]["breaker"] in states


# The story


async def test_a_candidate_dies_under_load_and_comes_back_and_no_client_sees_an_error(
    start: Start, connect: Connect, legacy: ScriptedUpstream
) -> None:
    """closed -> open (legacy answers) -> half open (trials) -> closed, with eight clients that never stop asking."""
    candidate = ScriptedUpstream(respond(200, b"candidate"))
    responses: list[tuple[int, bytes]] = []
    stop = asyncio.Event()

    async def ask(proxy: Proxy) -> None:
        visitor = await connect(proxy)
        while not stop.is_set():
            responses.append(await visitor.ask())
            await asyncio.sleep(0.002)

    def recent(count: int = 40) -> set[tuple[int, bytes]]:
        return set(responses[-count:])

    await candidate.__aenter__()
    proxy = await start(candidate.port)
    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(ask(proxy))
        await proxy.until(lambda: len(responses) > 100)
        assert recent(100) == {(200, b"candidate")}
        await candidate.__aexit__()
        await proxy.until(lambda: ("worker-0", "closed", "open") in changes(proxy))
        await proxy.until(lambda: recent() == {(200, b"legacy")})
        await proxy.until(lambda: breaker_is(proxy, "open"))
        await proxy.until(lambda: ("worker-0", "half_open", "open") in changes(proxy))
        async with ScriptedUpstream(respond(200, b"candidate"), candidate.port):
            await proxy.until(lambda: ("worker-0", "half_open", "closed") in changes(proxy))
            await proxy.until(lambda: recent() == {(200, b"candidate")})
            stop.set()
    assert {status for status, _ in responses} == {200}
    assert await proxy.metric("strangler_fallbacks_total", fault="open") > 0
    reasons = [line["reason"] for line in proxy.events("breaker.changed")]
    assert "5 failures in a row, the last: " in reasons[0]
    assert reasons[-1] == "2 trials succeeded"


# Several workers


async def test_an_opening_is_known_to_all_workers_within_a_second(
    start: Start, connect: Connect, legacy: ScriptedUpstream
) -> None:
    async with ScriptedUpstream(respond(503, b"")) as candidate:
        proxy = await start(candidate.port, workers=2, more="bulkhead: false")
        visitor = (await one_of_each_worker(proxy, connect))[0]
        for _ in range(5):
            assert await visitor.ask() == (200, b"legacy")
        opened = await proxy.until(
            lambda: len(proxy.events("breaker.changed")) >= 2 and proxy.events("breaker.changed")
        )
        first, second = sorted(opened[:2], key=lambda line: line["reason"].startswith("in another worker"))
        assert {first["process"], second["process"]} == {"worker-0", "worker-1"}
        assert first["reason"] == "5 failures in a row, the last: 503"
        assert second["reason"] == f"in another worker: {first['reason']}"
        assert abs(logged_at(second) - logged_at(first)) < 1.0
        await proxy.until(lambda: breaker_is(proxy, "open", "half_open"))
        assert (await proxy.status())["upstreams"][1]["breaker_reason"] == first["reason"]


async def test_a_worker_that_starts_late_is_told_of_openings_and_fences(
    start: Start, connect: Connect, legacy: ScriptedUpstream
) -> None:
    async with ScriptedUpstream(respond(200, b"candidate")) as candidate:
        proxy = await start(candidate.port)
        proxy.edit(proxy.file.read_text().replace("cooldown: 500ms, max_cooldown: 500ms", "cooldown: 1m"))
        await proxy.until(lambda: proxy.has_generation(2))
        visitor = await connect(proxy)
        assert await visitor.ask("POST", body=b"an order") == (200, b"candidate")
        await candidate.renew()
        candidate.script = respond(503, b"")
        for _ in range(5):
            assert await visitor.ask(user="bob") == (200, b"legacy")
        await asyncio.sleep(0.2)  # a fence is told within 50 ms
        [before] = (await proxy.status())["pid"]["workers"]
        await kill(proxy, before)
        count = len(candidate.requests)
        late = await connect(proxy)
        await proxy.until(lambda: len(proxy.events("breaker.changed")) == 2)
        status, body = await late.ask(user="ana")
        assert (status, b"no requests for a while after failures" in body) == (503, True), (
            "legacy is older than what ana wrote"
        )
        assert await late.ask(user="bob") == (200, b"legacy")
        assert len(candidate.requests) == count


def fenced_in(proxy: Proxy) -> set[str]:
    return {line["process"] for line in proxy.events("request") if line.get("no_fallback") == "fence"}


async def test_a_fence_is_shared(start: Start, connect: Connect, legacy: ScriptedUpstream) -> None:
    async with ScriptedUpstream(respond(200, b"candidate")) as candidate:
        proxy = await start(candidate.port, workers=2)
        visitor, other = await one_of_each_worker(proxy, connect)
        assert await visitor.ask("POST", body=b"an order") == (200, b"candidate")
        await candidate.renew()
        candidate.script = respond(503, b"")
        await asyncio.sleep(0.5)
        assert await other.ask(user="bob") == (200, b"legacy")
        assert await other.ask(user="ana") == (503, b"")
        assert await visitor.ask(user="ana") == (503, b"")
        await proxy.until(lambda: fenced_in(proxy) == {"worker-0", "worker-1"})


async def test_a_control_that_is_replaced_knows_what_the_workers_know(
    start: Start, connect: Connect, legacy: ScriptedUpstream
) -> None:
    """An opening, a fence and an endpoint that is unwell outlive the control that passed them on."""
    async with ScriptedUpstream(respond(200, b"candidate")) as candidate:
        proxy = await start(candidate.port, workers=2)
        this_visitor, _ = await one_of_each_worker(proxy, connect)
        assert await this_visitor.ask("POST", body=b"an order") == (200, b"candidate")
        await asyncio.sleep(0.2)
        await kill(proxy, (await proxy.status())["pid"]["control"])
        await proxy.until(lambda: has_workers(proxy, 2))
        for pid in (await proxy.status())["pid"]["workers"]:
            await kill(proxy, pid)
            await proxy.until(lambda: has_workers(proxy, 2))
        await candidate.renew()
        candidate.script = respond(503, b"")
        for visitor in await one_of_each_worker(proxy, connect):
            assert (await visitor.ask(user="ana"))[0] == 503
            assert await visitor.ask(user="bob") == (200, b"legacy")


async def kill(proxy: Proxy, pid: int) -> None:
    """Kill one process and wait until another has taken its place."""
    os.kill(pid, signal.SIGKILL)

    async def is_replaced() -> bool:
        try:
            pids = (await proxy.status())["pid"]
        except OSError:
            return False
        return pid not in (pids.get("control"), *pids["workers"]) and await proxy.is_ready()

    await proxy.until(is_replaced)


# Health


async def test_checks_take_an_endpoint_out_and_bring_it_back(
    start: Start, connect: Connect, legacy: ScriptedUpstream
) -> None:
    async with (
        ScriptedUpstream(respond(200, b"one")) as upstream,
        ScriptedUpstream(respond(200, b"two")) as two,
    ):
        health = "health: {path: /healthz, interval: 200ms, timeout: 10s, fall: 2, rise: 2}"
        proxy = await start(upstream.port, two.port, workers=2, more=health)
        visitors = await one_of_each_worker(proxy, connect)

        async def seen() -> set[bytes]:
            return {(await visitor.ask(user=str(user)))[1] for user in range(20) for visitor in visitors}

        assert await seen() == {b"one", b"two"}
        two.script = respond(503, b"not well")

        async def state(wanted: str) -> bool:
            endpoints = (await proxy.status())["upstreams"][1]["endpoints"]
            return bool(
                endpoints == {f"http://127.0.0.1:{upstream.port}": "in_use", f"http://127.0.0.1:{two.port}": wanted}
            )

        await proxy.until(lambda: state("unhealthy"))
        assert await seen() == {b"one"}
        (change,) = await proxy.wait_for_log("health.changed")
        assert (change["process"], change["healthy"], change["reason"]) == (
            "control",
            False,
            f"2 checks failed, the last: status 503 to Host: 127.0.0.1:{two.port}",
        )
        assert await proxy.metric("strangler_endpoint_state", endpoint=f"http://127.0.0.1:{two.port}") == 2
        await kill(proxy, (await proxy.status())["pid"]["workers"][0])
        late = await one_of_each_worker(proxy, connect)
        assert {(await visitor.ask(user=str(user)))[1] for user in range(20) for visitor in late} == {b"one"}
        two.script = respond(200, b"two")
        await proxy.until(lambda: state("in_use"))


# Kill switch


async def test_the_kill_switch_is_in_force_in_every_worker_within_a_second_and_is_loud_after_a_restart(
    start: Start, connect: Connect, legacy: ScriptedUpstream
) -> None:
    async with ScriptedUpstream(respond(200, b"candidate")) as candidate:
        proxy = await start(candidate.port, workers=2)
        visitors = await one_of_each_worker(proxy, connect)
        proxy.edit("no: valid file")
        await proxy.until(lambda: proxy.events("routes.rejected"))
        begun = time.monotonic()
        status, _ = await proxy.ask("/api/kill-switch", "POST", {"on": True, "reason": "orders answers nonsense"})
        assert status == 200
        for visitor in visitors:
            while await visitor.ask() != (200, b"legacy"):
                assert time.monotonic() - begun < 1.0
        (line,) = await proxy.wait_for_log("kill_switch.on")
        assert (line["level"], line["reason"]) == ("warning", "orders answers nonsense")
        found = (await proxy.status())["kill_switch"]
        assert (found["on"], found["reason"]) == (True, "orders answers nonsense")
        pid = (await proxy.status())["pid"]["control"]
        await kill(proxy, pid)
        await proxy.until(lambda: len(proxy.events("kill_switch.on")) == 2)
        for worker in (await proxy.status())["pid"]["workers"]:
            await kill(proxy, worker)
        for visitor in await one_of_each_worker(proxy, connect):
            assert await visitor.ask() == (200, b"legacy")


# Writes


async def test_a_write_never_runs_on_both_sides(start: Start, connect: Connect, legacy: ScriptedUpstream) -> None:
    """Posts while the candidate is killed and comes back, again and again: each id arrives once at most."""
    ids: list[str] = []
    statuses: dict[str, int] = {}
    candidate = ScriptedUpstream(respond(200, b"candidate"))
    seen: list[bytes] = []
    stop = asyncio.Event()

    async def post(proxy: Proxy, name: int) -> None:
        number = 0
        visitor = await connect(proxy)
        while not stop.is_set():
            number += 1
            ids.append(f"{name}-{number}")
            statuses[ids[-1]] = (await visitor.ask("POST", user=ids[-1], body=b"an order"))[0]
            await asyncio.sleep(0.001)

    await candidate.__aenter__()
    proxy = await start(candidate.port, retry="{attempts: 3, when: [connect, reset, timeout, 503]}")
    async with asyncio.TaskGroup() as group:
        for name in range(4):
            group.create_task(post(proxy, name))
        for _ in range(4):
            await asyncio.sleep(0.3)
            await proxy.until(partial(has_heard, candidate, 5))
            await candidate.__aexit__()
            seen += [request.raw for request in candidate.requests]
            await asyncio.sleep(0.3)
            candidate = ScriptedUpstream(respond(200, b"candidate"), candidate.port)
            await candidate.__aenter__()
        stop.set()
    await candidate.__aexit__()
    seen += [request.raw for request in (*candidate.requests, *legacy.requests)]
    arrived = [raw.partition(b"X-User-Id: ")[2].partition(b"\r\n")[0].decode() for raw in seen]
    assert len(arrived) == len(set(arrived))
    assert set(statuses.values()) <= {200, 502, 503}
    assert all(name in arrived for name, status in statuses.items() if status == 200)


def has_heard(upstream: ScriptedUpstream, requests: int) -> bool:
    return len(upstream.requests) >= requests


# A slow candidate


async def test_a_slow_candidate_at_its_limit_leaves_legacy_alone(
    start: Start, connect: Connect, legacy: ScriptedUpstream
) -> None:
    async def never(connection: Any) -> None:
        await connection.read_request()
        await asyncio.Event().wait()

    async with ScriptedUpstream(never) as candidate:
        proxy = await start(candidate.port, more="bulkhead: {in_flight: 4, waiting: 4, wait: 5s}")
        for _ in range(8):
            await (await connect(proxy)).send("POST", "ana", "/api/orders", b"an order")

        async def is_full() -> bool:
            orders = (await proxy.status())["upstreams"][1]
            return (orders["in_flight"], orders["waiting"]) == (4, 4)

        await proxy.until(is_full)
        visitor = await connect(proxy)
        begun = time.monotonic()
        for _ in range(50):
            assert await visitor.ask(path="/elsewhere") == (200, b"legacy")
        assert time.monotonic() - begun < 5.0, "one of them waited as candidates do"
        assert await visitor.ask() == (200, b"legacy"), "full: legacy answers instead"
        assert await proxy.until(lambda: proxy.metric("strangler_fallbacks_total", fault="full")) == 1


# A flood


async def test_a_flood_of_connections_from_one_address_leaves_others_served(
    start: Start, connect: Connect, legacy: ScriptedUpstream
) -> None:
    proxy = await start(legacy.port)
    proxy.edit(proxy.file.read_text().replace("drain: 5s", "drain: 5s, connections: 50"))
    await proxy.until(lambda: proxy.has_generation(2))
    for _ in range(80):
        await connect(proxy)
    for number in range(2, 12):
        assert await (await connect(proxy, f"127.0.0.{number}")).ask() == (200, b"legacy")
    assert await proxy.until(lambda: proxy.metric("strangler_refused_total", reason="crowded_out")) >= 1
    assert await proxy.metric("strangler_refused_total", reason="connections") >= 30


# Restart


async def test_a_rolling_restart_under_load_loses_nothing(
    start: Start, connect: Connect, legacy: ScriptedUpstream
) -> None:
    """Each worker in turn is told to go, while clients never stop asking on connections that they keep."""
    proxy = await start(legacy.port, workers=2)
    before = (await proxy.status())["pid"]["workers"]
    statuses: list[int] = []
    stop = asyncio.Event()

    async def ask() -> None:
        while not stop.is_set():
            visitor = await connect(proxy)
            while not visitor.is_over and not stop.is_set():
                statuses.append((await visitor.ask())[0])
                await asyncio.sleep(0.005)

    def has_more_than(count: int) -> bool:
        return len(statuses) > count

    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(ask())
        for pid in before:
            await proxy.until(partial(has_more_than, len(statuses) + 50))  # there is load on it
            os.kill(pid, signal.SIGTERM)
            await proxy.until(lambda: has_workers(proxy, 2))
            await proxy.until(partial(is_gone, pid))
        await proxy.until(partial(has_more_than, len(statuses) + 50))
        stop.set()
    assert set(statuses) == {200}
    assert not set(before) & set((await proxy.status())["pid"]["workers"])
    assert not proxy.events("worker.died")


def is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


async def test_the_only_worker_has_a_successor_while_it_finishes_its_last_request(
    start: Start, connect: Connect, legacy: ScriptedUpstream
) -> None:
    proxy = await start(legacy.port)
    [pid] = (await proxy.status())["pid"]["workers"]
    may_end = asyncio.Event()

    async def held(_: Any) -> None:
        await may_end.wait()

    legacy.script = in_turn(read_request(), held, send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlast"))
    slow = asyncio.create_task((await connect(proxy)).ask())
    await proxy.until(lambda: legacy.requests)
    legacy.script = respond(200, b"legacy")
    os.kill(pid, signal.SIGTERM)
    await proxy.until(lambda: proxy.events("worker.leaving"))
    assert await (await connect(proxy)).ask() == (200, b"legacy")
    assert not slow.done()
    may_end.set()
    assert await slow == (200, b"last")
    await proxy.until(partial(is_gone, pid))
