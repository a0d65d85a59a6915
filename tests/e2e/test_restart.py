"""A new program in the place of the running one: what clients, operators and the service manager see of it."""

import asyncio
import fcntl
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from shutil import which

import psutil
import pytest
from aiohttp import ClientError, ClientSession, web

from strangler.state.running import read_restart
from tests.e2e.commands import run
from tests.e2e.serving import LegacyState, Proxy, is_refused, legacy, load_on
from tests.e2e.shadowing import Stage, says, stage
from tests.needs import require
from tests.served import served

StartProxy = Callable[..., Awaitable[Proxy]]

BROKEN = "version: 1\nlisten: 127.0.0.1:0\nstate: state\nupstreams: {}\nroutes: []\n"


async def _endless(request: web.Request) -> web.StreamResponse:
    """An event every 50 ms, without end; elsewhere a plain response."""
    if request.path != "/stream":
        return web.Response(text="hello")
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    try:
        while True:
            await response.write(b"data: tick\n\n")
            await asyncio.sleep(0.05)
    except ConnectionError:
        return response


class QuietProxy(Proxy):
    """One whose log holds no requests."""

    def routes(self, percent: object = 0, workers: int | None = None) -> str:
        return super().routes(percent, workers) + "log: {access: false}\n"


@pytest.fixture
async def upstream() -> AsyncIterator[LegacyState]:
    async with served(_endless) as port:
        yield LegacyState(port)


@pytest.fixture
async def start(tmp_path: Path, upstream: LegacyState) -> AsyncIterator[StartProxy]:
    started: list[Proxy] = []

    async def start_one(workers: int = 1, *command: str) -> Proxy:
        proxy = QuietProxy(tmp_path, upstream.port, workers)
        started.append(proxy)
        await proxy.start(*command)
        return proxy

    yield start_one
    for proxy in started:
        await proxy.stop()


async def strangler(folder: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and all output of a command."""
    return await run(folder, *arguments, COLUMNS="120")


async def restart(proxy: Proxy) -> int:
    """Restart, which must succeed; the pid that serves then."""
    status, output = await strangler(proxy.folder, "restart")
    assert status == 0, output + "".join(json.dumps(line) + "\n" for line in proxy.log)
    return serving_pid(proxy)


def serving_pid(proxy: Proxy) -> int:
    pid: int = json.loads((proxy.folder / "state" / "running.json").read_text())["pid"]
    return pid


def address_of(proxy: Proxy) -> str:
    """A free port of its own in the file, so that it is the same after a start from nothing."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"127.0.0.1:{free.getsockname()[1]}"


async def admin_never_refuses(proxy: Proxy, stop: asyncio.Event) -> list[str]:
    """Ask the admin listener all the time; what went wrong."""
    faults = []
    while not stop.is_set():
        try:
            status, _ = await proxy.ask("/readyz")
            if status != 200:
                faults.append(f"status {status}")
        except OSError as error:
            faults.append(repr(error))
        await asyncio.sleep(0.02)
    return faults


async def settled(proxy: Proxy) -> float:
    """The number of requests counted, once no worker is leaving and it stays the same for longer than others take to
    report."""

    async def has_no_leaver() -> bool:
        return "leaving" not in (await proxy.status())["pid"]  # the key stands there while there are some

    await proxy.until(has_no_leaver)
    before = -1.0
    while (now := await proxy.requests()) != before:
        before = now
        await asyncio.sleep(1.5)
    return now


async def test_three_restarts_under_load_cost_no_request_and_counters_go_on(start: StartProxy) -> None:
    proxy = await start(workers=2)
    stop = asyncio.Event()
    asking = asyncio.create_task(admin_never_refuses(proxy, stop))
    async with load_on(proxy) as load:
        pids = [proxy.pid]
        for _ in range(3):
            pids.append(await restart(proxy))
            assert (await proxy.status())["pid"]["supervisor"] == pids[-1]
        await asyncio.sleep(0.3)
    stop.set()
    assert load.faults == []
    assert set(load.statuses) == {200}
    assert len(set(pids)) == 4
    assert [fault for fault in await asking if "status" not in fault] == []

    assert await settled(proxy) == len(load.statuses)
    await proxy.until(lambda: not any(psutil.pid_exists(pid) for pid in pids[1:-1]))


async def test_an_event_stream_goes_on_beside_the_new_program_until_drain_ends_it(start: StartProxy) -> None:
    proxy = await start()
    async with ClientSession() as client, client.get(f"http://127.0.0.1:{proxy.port}/stream") as stream:
        await stream.content.readline()
        await restart(proxy)
        loop = asyncio.get_running_loop()
        served_at = loop.time()
        assert await proxy.get() == 200
        assert await stream.content.readline() != b""
        assert (await proxy.status())["pid"]["leaving"] != []
        with suppress(ClientError):  # it is cut where drain ends it
            while await stream.content.readline():
                pass
        assert 2.0 < loop.time() - served_at < 12.0
    await proxy.wait_for_log("worker.drain_expired")


async def test_changed_addresses_are_served_and_the_former_ones_refused(start: StartProxy) -> None:
    proxy = await start()
    old_port, old_admin = proxy.port, proxy.admin
    listen, admin = address_of(proxy), address_of(proxy)
    text = proxy.routes().replace(
        "listen: 127.0.0.1:0\nadmin: {listen: 127.0.0.1:0", f"listen: {listen}\nadmin: {{listen: {admin}"
    )
    proxy.edit(text)
    async with load_on(proxy) as load:
        await asyncio.sleep(0.2)
        await restart(proxy)
        await asyncio.sleep(0.3)
    assert (proxy.port, proxy.admin) == (int(listen.split(":")[1]), f"http://{admin}")
    assert load.faults == []
    assert set(load.statuses) == {200}
    await proxy.until(lambda: is_refused(old_port) and is_refused(int(old_admin.rpartition(":")[2])))


async def goes_on(proxy: Proxy, pid: int) -> None:
    """The proxy serves as before the restart that failed."""
    assert serving_pid(proxy) == pid
    await proxy.until(proxy.is_ready)
    assert await proxy.get() == 200
    assert (await proxy.status())["pid"]["supervisor"] == pid


async def test_a_broken_file_leaves_the_old_program_and_the_reason_is_said(start: StartProxy) -> None:
    proxy = await start()
    proxy.edit(BROKEN)
    status, output = await strangler(proxy.folder, "restart")
    assert status == 1
    assert "legacy" in output
    assert "goes on" in output
    assert "legacy" in (await proxy.wait_for_log("supervisor.restart_failed"))[0]["reason"]
    await goes_on(proxy, proxy.pid)
    proxy.edit(proxy.routes())
    assert await restart(proxy) != proxy.pid


@pytest.mark.parametrize("module", ["strangler.cli.serve", "strangler.worker.main", "strangler.control.admin"])
async def test_a_program_that_cannot_be_imported_leaves_the_old_one(
    start: StartProxy, tmp_path: Path, module: str
) -> None:
    """The new version lacks something that this part of it needs."""
    (tmp_path / "run.py").write_text(
        "import os, sys\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        f"os.environ['PYTHONPATH'] = os.pathsep.join([{str(tmp_path)!r}, os.environ['PYTHONPATH']])\n"
        "from strangler.cli import main\n"
        "main()\n"
    )
    proxy = await start(1, sys.executable, "run.py", "serve")
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.modules[{module!r}] = None\n")
    status, output = await strangler(tmp_path, "restart")
    assert status == 1
    assert "goes on" in output
    await goes_on(proxy, proxy.pid)
    (tmp_path / "sitecustomize.py").unlink()
    assert await restart(proxy) != proxy.pid


async def killed_while_it_starts(proxy: Proxy, pid: int, delay_s: float) -> None:
    """Have `pid` start a successor, and kill that, if it does not serve by then."""
    before = read_restart(proxy.folder / "state")
    starts = len(proxy.events("supervisor.restarting"))
    os.kill(pid, signal.SIGUSR2)
    await proxy.until(lambda: len(proxy.events("supervisor.restarting")) > starts)
    await asyncio.sleep(delay_s)
    for child in psutil.Process(pid).children():
        if "serve" in child.cmdline() and serving_pid(proxy) == pid:
            child.kill()
    await proxy.until(lambda: read_restart(proxy.folder / "state") != before)


async def test_a_new_program_killed_at_any_moment_of_its_start_leaves_the_old_one(start: StartProxy) -> None:
    proxy = await start()
    async with load_on(proxy) as load:
        for delay_s in (0.0, 0.3, 0.6, 0.9, 1.2):
            pid = serving_pid(proxy)
            await killed_while_it_starts(proxy, pid, delay_s)
            if serving_pid(proxy) == pid:  # else it was faster: from then on it is the proxy
                await goes_on(proxy, pid)
        await asyncio.sleep(0.3)
    assert load.faults == []
    assert set(load.statuses) == {200}


async def test_a_new_program_that_does_not_get_ready_in_time_leaves_the_old_one(
    start: StartProxy, tmp_path: Path
) -> None:
    (tmp_path / "run.py").write_text(
        "import os, sys, time\n"
        "import strangler.supervisor.handover as handover\n"
        "handover.MAX_START_S = 1.5\n"
        "if os.path.exists('hang'): time.sleep(60)\n"
        "from strangler.cli import main\n"
        "main()\n"
    )
    proxy = await start(1, sys.executable, "run.py", "serve")
    (tmp_path / "hang").touch()
    status, output = await strangler(tmp_path, "restart")
    assert status == 1
    assert "did not get ready within" in output
    await goes_on(proxy, proxy.pid)


async def test_the_first_process_stays_and_stands_for_its_successors(start: StartProxy) -> None:
    """A container ends with its process 1."""
    proxy = await start()
    for _ in range(2):
        pid = await restart(proxy)
    await proxy.until(lambda: len(proxy.events("supervisor.ended")) == 2)
    proxy.signal(signal.SIGHUP)
    line = (await proxy.wait_for_log("supervisor.reload_asked"))[0]
    assert line["pid"] == pid
    proxy.signal(signal.SIGUSR1)
    proxy.signal(signal.SIGUSR2)
    await proxy.until(lambda: serving_pid(proxy) != pid)
    last = psutil.Process(serving_pid(proxy))
    proxy.signal(signal.SIGTERM)
    assert await proxy.ended() == 0
    assert not last.is_running()


async def test_a_second_sigterm_ends_the_old_program_at_once_too(start: StartProxy) -> None:
    proxy = await start()
    async with ClientSession() as client, client.get(f"http://127.0.0.1:{proxy.port}/stream") as stream:
        await stream.content.readline()
        serving = psutil.Process(await restart(proxy))
        proxy.signal(signal.SIGTERM)
        await proxy.until(lambda: proxy.events("supervisor.draining"))
        proxy.signal(signal.SIGTERM)
        async with asyncio.timeout(4):  # limits.drain is 5 s
            await proxy.ended()
        assert not serving.is_running()


async def test_the_proxy_ends_with_the_first_process_and_with_the_one_that_serves(start: StartProxy) -> None:
    proxy = await start()
    serving = psutil.Process(await restart(proxy))
    serving.kill()
    assert await proxy.ended() == 1
    (proxy.folder / "state" / "running.json").unlink()
    await proxy.start()
    serving = psutil.Process(await restart(proxy))
    proxy.signal(signal.SIGKILL)
    await proxy.ended()
    await asyncio.to_thread(serving.wait, 20)


async def test_a_start_beside_a_draining_proxy_waits_and_says_so(start: StartProxy, tmp_path: Path) -> None:
    proxy = await start()
    port = proxy.port
    async with ClientSession() as client, client.get(f"http://127.0.0.1:{port}/stream") as stream:
        await stream.content.readline()
        proxy.edit(proxy.routes().replace("listen: 127.0.0.1:0\n", f"listen: 127.0.0.1:{port}\n", 1))
        first = proxy.pid
        proxy.signal(signal.SIGTERM)
        await proxy.start(ready=False)
        (line,) = await proxy.wait_for_log("supervisor.waits")
        assert line["holder"] == first
    await proxy.until(lambda: serving_pid_or_none(proxy) == proxy.pid)
    await proxy.until(proxy.is_ready)
    assert proxy.port == port
    assert await proxy.get() == 200


def serving_pid_or_none(proxy: Proxy) -> int | None:
    try:
        return serving_pid(proxy)
    except FileNotFoundError:
        return None


async def test_a_websocket_does_not_hold_up_the_new_program(tmp_path: Path) -> None:
    async with legacy() as echo:
        proxy = QuietProxy(tmp_path, echo.port)
        await proxy.start()
        try:
            async with ClientSession() as client, client.ws_connect(f"http://127.0.0.1:{proxy.port}/ws") as websocket:
                await websocket.send_str("before")
                assert (await websocket.receive()).data == "before"
                await restart(proxy)
                assert await proxy.get() == 200
                assert (await websocket.receive()).data == 1001  # as on SIGTERM: the proxy goes away
        finally:
            await proxy.stop()


async def test_evidence_and_the_kill_switch_go_on(tmp_path: Path) -> None:
    async with stage(tmp_path, says({"id": 7}), says({"id": 8}), shadow=", recheck: 0, baseline: 0") as on:
        proxy = on.proxy
        for _ in range(2):
            count = await compared(on)
            before = serving_pid(proxy)
            assert await restart(proxy) != before
            assert pairs(on) >= count
        assert (await proxy.ask("/api/kill-switch", "POST", {"on": True, "reason": "test"}))[0] == 200
        await restart(proxy)
        assert (await proxy.status())["kill_switch"]["on"] is True
        assert not proxy.events("store.failed")


def pairs(on: Stage) -> int:
    """Compared pairs in the store."""
    if not (on.state / "strangler.db").exists():
        return 0
    return int(on.rows("SELECT coalesce(sum(count), 0) FROM pairs")[0][0])


async def compared(on: Stage) -> int:
    """Ask until one more pair is there, and return how many there are: a new worker hears of room for a capture only
    once its control is up."""
    before = pairs(on)
    async with asyncio.timeout(60):
        while pairs(on) <= before:
            assert await on.proxy.get("/api/orders/7") == 200
            await asyncio.sleep(0.2)
    return pairs(on)


def is_served_by_another(proxy: Proxy, pid: int) -> bool:
    return serving_pid(proxy) != pid


async def test_as_process_one_it_stays_and_reaps(start: StartProxy) -> None:
    can = os.geteuid() == 0 and which("unshare") is not None
    require("" if can else "root, who may make a pid namespace, and unshare")
    serve = (sys.executable, "-m", "strangler", "serve")
    proxy = await start(1, "unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--mount", *serve)
    (process,) = psutil.Process(proxy.pid).children()
    for _ in range(2):
        before = serving_pid(proxy)
        process.send_signal(signal.SIGUSR2)
        await proxy.until(partial(is_served_by_another, proxy, before))
    await proxy.until(lambda: len(proxy.events("supervisor.ended")) == 2)
    await proxy.until(lambda: [child.status() for child in process.children()] == ["sleeping"])  # nothing dead is left
    assert await proxy.get() == 200
    process.send_signal(signal.SIGTERM)
    assert await proxy.ended() == 0


async def test_without_a_proxy_restart_says_so(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    status, output = await strangler(tmp_path, "restart", "--state", "state")
    assert status == 1
    assert "no proxy runs on the state folder state" in output


async def test_a_proxy_of_a_version_that_knows_no_restart_is_not_signalled(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        running = {"pid": os.getpid(), "listen": "127.0.0.1:1", "admin": "127.0.0.1:2"}
        (tmp_path / "running.json").write_text(json.dumps(running))
        status, output = await strangler(tmp_path, "restart", "--state", str(tmp_path))
    assert status == 1
    assert "stop it and start it" in output
