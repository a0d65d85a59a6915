"""Processes that die, drain, reload and start: what clients and operators see of it."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path

import psutil
import pytest
from aiohttp import ClientSession, WSMsgType

from strangler.supervisor import CONTROL_NICENESS
from tests.e2e.serving import LegacyState, Proxy, is_refused, legacy, load_on

StartProxy = Callable[..., Awaitable[Proxy]]


@pytest.fixture
async def upstream() -> AsyncIterator[LegacyState]:
    async with legacy() as state:
        yield state


@pytest.fixture
async def start(tmp_path: Path, upstream: LegacyState) -> AsyncIterator[StartProxy]:
    started: list[Proxy] = []

    async def start_one(workers: int = 1, token: str | None = None) -> Proxy:
        proxy = Proxy(tmp_path, upstream.port, workers, token)
        started.append(proxy)
        await proxy.start()
        return proxy

    yield start_one
    for proxy in started:
        await proxy.stop()


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


async def has_counted(proxy: Proxy, requests: int) -> bool:
    return await proxy.requests() == requests


# Death and replacement


async def test_a_killed_worker_is_replaced_and_no_connection_is_refused(start: StartProxy) -> None:
    proxy = await start(workers=1)
    [before] = (await proxy.status())["pid"]["workers"]
    kill(before)
    assert await asyncio.gather(*(proxy.get() for _ in range(20))) == [200] * 20
    await proxy.until(proxy.is_ready)
    status = await proxy.status()
    assert status["pid"]["workers"] != [before]
    assert status["workers"][0]["restarts"] == 1
    assert (await proxy.wait_for_log("worker.died"))[0]["how"] == "killed by SIGKILL"


async def test_numbers_are_summed_over_workers_and_never_go_back_when_one_dies(start: StartProxy) -> None:
    proxy = await start(workers=2)
    for _ in range(40):
        await proxy.get()
    await proxy.until(lambda: has_counted(proxy, 40))
    kill((await proxy.status())["pid"]["workers"][0])
    await proxy.until(lambda: proxy.events("worker.died"))
    assert await proxy.requests() == 40
    for _ in range(10):
        await proxy.get()
        assert await proxy.requests() >= 40
    await proxy.until(lambda: has_counted(proxy, 50))


async def test_control_killed_under_load_costs_no_request_and_its_numbers_go_on(start: StartProxy) -> None:
    proxy = await start(workers=2)
    async with load_on(proxy) as load:
        await asyncio.sleep(0.5)
        for _ in range(2):
            before = (await proxy.status())["pid"]["control"]
            kill(before)
            await proxy.until(proxy.is_ready)
            assert (await proxy.status())["pid"]["control"] != before
        await asyncio.sleep(0.3)
    assert load.faults == []
    assert set(load.statuses) == {200}
    await proxy.until(lambda: has_counted(proxy, len(load.statuses)))


async def test_control_and_all_its_threads_give_way_to_workers(start: StartProxy) -> None:
    proxy = await start(workers=1)
    for _ in range(2):
        pid = (await proxy.status())["pid"]
        ours = os.getpriority(os.PRIO_PROCESS, pid["workers"][0])
        threads = [int(thread.name) for thread in Path(f"/proc/{pid['control']}/task").iterdir()]
        assert len(threads) > 1
        assert {os.getpriority(os.PRIO_PROCESS, thread) for thread in threads} == {min(19, ours + CONTROL_NICENESS)}
        kill(pid["control"])
        await proxy.until(proxy.is_ready)


async def test_what_dead_workers_counted_outlives_control(start: StartProxy) -> None:
    proxy = await start(workers=1)
    for _ in range(10):
        await proxy.get()
    await asyncio.sleep(1.5)  # reported, and saved
    status = await proxy.status()
    kill(status["pid"]["control"])
    kill(status["pid"]["workers"][0])
    await proxy.until(lambda: len(proxy.events("control.ready")) > 1)
    await proxy.until(proxy.is_ready)
    assert await proxy.requests() == 10


async def test_a_killed_supervisor_leaves_nothing_behind_and_the_port_is_free_for_the_next(
    start: StartProxy,
) -> None:
    proxy = await start(workers=2)
    proxy.file.write_text(proxy.routes().replace("listen: 127.0.0.1:0\n", f"listen: 127.0.0.1:{proxy.port}\n"))
    children = proxy.children()
    port = proxy.port
    proxy.signal(signal.SIGKILL)
    await proxy.ended()
    (proxy.folder / "state" / "running.json").unlink()
    await proxy.start()
    assert proxy.port == port
    assert await proxy.get() == 200
    _, alive = psutil.wait_procs(children, timeout=5)
    assert alive == []


async def test_a_program_that_dies_at_once_is_started_ever_more_rarely(start: StartProxy, tmp_path: Path) -> None:
    (tmp_path / "crash.py").write_text(
        "import os, sys\n"
        "from pathlib import Path\n"
        "from strangler.config.load import load\n"
        "from strangler.supervisor import Commands, run\n"
        "from strangler.ipc.messages import encode_settings\n"
        "from strangler.unnamed_files import unnamed_file\n"
        "settings = unnamed_file(encode_settings(load(Path('routes.yaml'), os.environ).settings))\n"
        "sys.exit(run(Path('routes.yaml'), settings, Commands(worker=(sys.executable, '-c', 'raise SystemExit(3)'))))\n"
    )
    proxy = Proxy(tmp_path, 1)
    try:
        await proxy.start(sys.executable, "crash.py", ready=False)
        await proxy.until(lambda: len(proxy.events("worker.crash_loop")) >= 2)
        lines = proxy.events("worker.died") + proxy.events("worker.crash_loop")
        assert [line["restart_in_s"] for line in lines[:3]] == [0.0, 0.5, 1.0]
        assert {line["how"] for line in lines} == {"exit code 3"}
        status, readiness = await proxy.ask("/readyz")
        assert status == 503
        assert readiness["checks"]["workers"] is False
    finally:
        await proxy.stop()


# Draining


async def test_sigterm_fails_readiness_finishes_what_is_under_way_and_takes_nothing_new(
    start: StartProxy, upstream: LegacyState
) -> None:
    proxy = await start(workers=2)
    port, children = proxy.port, proxy.children()
    slow = asyncio.create_task(proxy.get("/slow"))
    await upstream.started.wait()
    proxy.signal(signal.SIGTERM)

    async def is_draining() -> bool:
        status, readiness = await proxy.ask("/readyz")
        return status == 503 and not readiness["checks"]["not_draining"]

    await proxy.until(is_draining)
    await proxy.until(lambda: is_refused(port))
    assert not slow.done()
    assert await slow == 200
    assert await proxy.ended() == 0
    assert not any(child.is_running() for child in children)
    assert [line["how"] for line in proxy.events("worker.ended")] == ["exit code 0"] * 2
    assert [line["how"] for line in proxy.events("control.ended")] == ["exit code 0"]


async def test_draining_closes_websockets_with_1001(start: StartProxy) -> None:
    proxy = await start()
    async with ClientSession() as client, client.ws_connect(f"http://127.0.0.1:{proxy.port}/ws") as websocket:
        await websocket.send_str("hello")
        assert await websocket.receive_str() == "hello"
        proxy.signal(signal.SIGTERM)
        message = await websocket.receive(timeout=10)
        assert (message.type, message.data) == (WSMsgType.CLOSE, 1001)
    assert await proxy.ended() == 0


async def test_a_second_signal_ends_at_once(start: StartProxy, upstream: LegacyState) -> None:
    proxy = await start()
    children = proxy.children()
    slow = asyncio.create_task(proxy.get("/slow"))
    await upstream.started.wait()
    proxy.signal(signal.SIGTERM)
    await proxy.until(lambda: proxy.events("supervisor.draining"))
    proxy.signal(signal.SIGINT)
    assert await proxy.ended() == 128 + signal.SIGINT
    assert not any(child.is_running() for child in children)
    with pytest.raises((OSError, IndexError)):
        await slow


async def test_the_counts_of_a_drained_proxy_hold_its_last_requests(start: StartProxy) -> None:
    proxy = await start(workers=2)
    for _ in range(5):
        await proxy.get()
    proxy.edit(proxy.routes(workers=1))

    async def one_is_left() -> bool:
        return len((await proxy.status())["workers"]) == 1

    await proxy.until(one_is_left)
    await proxy.until(lambda: has_counted(proxy, 5))


# Reload


async def in_place(proxy: Proxy, text: str) -> None:
    proxy.file.write_text(text)


async def by_rename(proxy: Proxy, text: str) -> None:
    proxy.edit(text)


async def by_removal(proxy: Proxy, text: str) -> None:
    proxy.file.unlink()
    await asyncio.sleep(0.2)
    proxy.file.write_text(text)


async def in_pieces(proxy: Proxy, text: str) -> None:
    with proxy.file.open("w", buffering=1) as file:
        for line in text.splitlines(keepends=True):
            file.write(line)
            await asyncio.sleep(0.005)


async def by_signal(proxy: Proxy, text: str) -> None:
    proxy.file.write_text(text)
    proxy.signal(signal.SIGHUP)


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(in_place, id="in place"),
        pytest.param(by_rename, id="by a rename"),
        pytest.param(by_removal, id="removed first"),
        pytest.param(in_pieces, id="in pieces"),
        pytest.param(by_signal, id="with SIGHUP"),
    ],
)
async def test_an_edit_is_in_force_in_every_worker_soon(
    start: StartProxy, write: Callable[[Proxy, str], Awaitable[None]]
) -> None:
    proxy = await start(workers=2)
    async with load_on(proxy, clients=2) as load:
        await write(proxy, proxy.routes(percent=100))
        await proxy.until(lambda: proxy.events("routes.reloaded"))
        # The file's change and a signal may each be a reload: the last one counts.
        await proxy.until(lambda: proxy.has_generation(proxy.events("routes.reloaded")[-1]["generation"]))
    assert (load.faults, set(load.statuses)) == ([], {200})
    assert (await proxy.status())["routes"][0]["percent"] == 100
    assert proxy.events("routes.rejected") == []


async def test_a_configmap_swap_is_noticed(tmp_path: Path, upstream: LegacyState) -> None:
    """Kubernetes makes a new folder, and renames a link `..data` to it over the old one."""
    proxy = Proxy(tmp_path, upstream.port)
    for name, percent in (("..1", 0), ("..2", 50), ("..3", 75)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "routes.yaml").write_text(proxy.routes(percent))
    (tmp_path / "..data").symlink_to("..1")
    proxy.file.symlink_to("..data/routes.yaml")
    try:
        await proxy.start()
        for generation, name in ((2, "..2"), (3, "..3")):
            (tmp_path / "..data_tmp").symlink_to(name)
            (tmp_path / "..data_tmp").replace(tmp_path / "..data")
            await proxy.until(partial(proxy.has_generation, generation))
        assert (await proxy.status())["routes"][0]["percent"] == 75
    finally:
        await proxy.stop()


async def test_sighup_alone_is_a_new_generation(start: StartProxy) -> None:
    proxy = await start()
    proxy.signal(signal.SIGHUP)
    await proxy.until(lambda: proxy.has_generation(2))


async def test_a_bad_file_changes_nothing_and_is_told_everywhere_until_it_is_good(start: StartProxy) -> None:
    proxy = await start()
    successful = "strangler_config_last_reload_successful"
    assert await proxy.metric(successful) == 1
    proxy.edit(proxy.routes(percent=120))
    await proxy.until(lambda: proxy.events("routes.rejected"))
    status, readiness = await proxy.ask("/readyz")
    assert (status, readiness["generation"]) == (200, 1)
    [problem] = readiness["problems"]
    assert "split.percent is 120" in problem
    assert problem.startswith("routes.yaml:")
    assert (await proxy.status())["config"]["problems"] == [problem]
    assert [line["problem"] for line in await proxy.wait_for_log("routes.problem")] == [problem]
    assert await proxy.metric(successful) == 0
    assert await proxy.get() == 200

    proxy.edit(proxy.routes())
    await proxy.until(lambda: proxy.events("routes.restored"))
    assert await proxy.metric(successful) == 1
    assert (await proxy.status())["config"] | {"since": ""} == {
        "generation": 1,
        "since": "",
        "problems": [],
        "warnings": [],
        "needs_restart": [],
    }


async def test_a_worker_that_starts_after_a_bad_edit_gets_the_last_good_settings(start: StartProxy) -> None:
    proxy = await start()
    proxy.edit(proxy.routes(percent=100))
    await proxy.until(lambda: proxy.has_generation(2))
    proxy.edit("nonsense")
    await proxy.until(lambda: proxy.events("routes.rejected"))
    status = await proxy.status()
    kill(status["pid"]["control"])
    kill(status["pid"]["workers"][0])
    await proxy.until(lambda: len(proxy.events("worker.ready")) == 2)
    assert proxy.events("worker.ready")[-1]["generation"] == 2
    await proxy.until(proxy.is_ready)
    await proxy.until(lambda: len(proxy.events("routes.rejected")) == 2)
    assert (await proxy.status())["config"]["problems"]
    assert (await proxy.status())["routes"][0]["percent"] == 100


async def test_the_number_of_workers_follows_the_file(start: StartProxy) -> None:
    proxy = await start(workers=1)
    async with load_on(proxy, clients=2) as load:
        for workers in (3, 1, 2):
            proxy.edit(proxy.routes(workers=workers))

            async def has(workers: int = workers) -> bool:
                found = (await proxy.status())["workers"]
                return len(found) == workers and all(worker["is_connected"] for worker in found)

            await proxy.until(has)
    assert (load.faults, set(load.statuses)) == ([], {200})


async def test_no_two_workers_share_an_index_after_one_was_replaced(start: StartProxy) -> None:
    proxy = await start(workers=2)

    async def indexes() -> list[int]:
        return sorted(worker["index"] for worker in (await proxy.status())["workers"])

    before = (await proxy.status())["pid"]["workers"]
    os.kill(next(event["child_pid"] for event in proxy.events("worker.started") if event["index"] == 0), signal.SIGTERM)

    async def is_replaced() -> bool:
        now = (await proxy.status())["pid"]["workers"]
        return len(now) == 2 and now != before and await proxy.is_ready()

    await proxy.until(is_replaced)
    for workers in (1, 2):
        proxy.edit(proxy.routes(workers=workers))

        async def has(workers: int = workers) -> bool:
            return await indexes() == list(range(workers))

        await proxy.until(has)


async def test_a_key_that_needs_a_restart_is_named(start: StartProxy) -> None:
    proxy = await start()
    proxy.edit(proxy.routes().replace("listen: 127.0.0.1:0\n", "listen: 127.0.0.1:1\n"))
    await proxy.until(lambda: proxy.events("routes.needs_restart"))
    assert (await proxy.status())["config"]["needs_restart"] == ["listen"]
    assert await proxy.get() == 200


async def test_many_reloads_under_load_lose_no_request_and_leak_nothing(start: StartProxy) -> None:
    proxy = await start()
    proxy.signal(signal.SIGHUP)
    await proxy.until(lambda: proxy.has_generation(2))
    before = [child.num_fds() for child in proxy.children()]
    async with load_on(proxy, clients=2) as load:
        for generation in range(3, 43):
            proxy.file.write_text(proxy.routes(percent=generation))
            proxy.signal(signal.SIGHUP)
            await proxy.until(partial(at_least, proxy, generation))
    assert (load.faults, set(load.statuses)) == ([], {200})
    await asyncio.sleep(0.2)
    after = [child.num_fds() for child in proxy.children()]
    assert all(new <= old + 4 for old, new in zip(before, after, strict=True)), (before, after)


async def at_least(proxy: Proxy, generation: int) -> bool:
    return bool((await proxy.status())["config"]["generation"] >= generation)


# Starting


async def serve(folder: Path) -> tuple[int, str]:
    """Exit status and standard error of a `strangler serve` that cannot start."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "strangler",
        "serve",
        cwd=folder,
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    async with asyncio.timeout(15):
        _, error = await process.communicate()
    return process.returncode or 0, error.decode()


async def test_a_bad_file_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "routes.yaml").write_text("version: 1\nlisen: 1\n")
    status, error = await serve(tmp_path)
    assert status == 2
    assert "routes.yaml:2:1" in error
    assert "upstreams" in error


async def test_a_second_proxy_on_the_same_state_folder_does_not_start(start: StartProxy) -> None:
    proxy = await start()
    status, error = await serve(proxy.folder)
    assert status == 1
    assert f"another proxy (pid {proxy.pid}) uses the folder" in error


async def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        routes = Proxy(tmp_path, 1).routes().replace("listen: 127.0.0.1:0\n", f"listen: 127.0.0.1:{port}\n")
        (tmp_path / "routes.yaml").write_text(routes)
        status, error = await serve(tmp_path)
    assert status == 1
    assert f"listen: 127.0.0.1:{port} is taken by another program" in error
    assert "Traceback" not in error


async def test_modules_in_the_working_directory_are_not_taken_for_ours(tmp_path: Path) -> None:
    (tmp_path / "structlog.py").write_text("raise SystemExit('not this one')\n")
    (tmp_path / "uvloop.py").write_text("raise SystemExit('nor this one')\n")
    proxy = Proxy(tmp_path, 1)
    proxy.file.write_text(proxy.routes())
    try:
        await proxy.start(sys.executable, "-P", "-m", "strangler", "serve", "-c", str(proxy.file), ready=False)
        await proxy.until(lambda: proxy.events("worker.ready"))
    finally:
        await proxy.stop()


# The admin listener


async def test_with_a_token_only_the_probes_are_free(start: StartProxy) -> None:
    proxy = await start(token="s3cret-token-of-the-test")
    for path in ("/metrics", "/api/status", "/api/explain?url=/", "/api/kill-switch", "/nothing-here"):
        assert (await proxy.ask(path, token=False))[0] == 401
        assert (await proxy.ask(path))[0] in (200, 404)
    assert (await proxy.ask("/healthz", token=False))[0] == 200
    status, readiness = await proxy.ask("/readyz", token=False)
    assert status == 200
    assert "problems" not in readiness
    assert (await proxy.ask("/readyz"))[1]["problems"] == []


async def test_a_listener_that_has_not_moved_yet_keeps_its_token(start: StartProxy) -> None:
    proxy = await start(token="s3cret-token-of-the-test")
    moved = proxy.routes().replace("admin: {listen: 127.0.0.1:0", "admin: {listen: 127.0.0.1:1")
    proxy.edit(moved.replace(f', token: "{proxy.token}"', ""))
    await proxy.until(lambda: proxy.events("routes.needs_restart"))
    assert (await proxy.ask("/api/status", token=False))[0] == 401
    assert (await proxy.ask("/api/status"))[0] == 200


async def test_without_a_token_a_foreign_name_is_refused(start: StartProxy) -> None:
    proxy = await start()
    assert (await proxy.ask("/api/status", headers={"Host": "rebound.example"}))[0] == 403
    assert (await proxy.ask("/healthz", headers={"Host": "rebound.example"}))[0] == 200


@pytest.mark.parametrize(("needs", "expected"), [("false", 200), ("true", 503)], ids=["degraded", "needs legacy"])
async def test_legacy_that_cannot_be_reached_is_degraded_and_not_ready_if_that_is_wanted(
    tmp_path: Path, needs: str, expected: int
) -> None:
    async with legacy() as upstream:
        proxy = Proxy(tmp_path, upstream.port)
        proxy.file.write_text(proxy.routes().replace("127.0.0.1:0}", f"127.0.0.1:0, ready_needs_legacy: {needs}}}"))
        await proxy.start()
        assert (await proxy.ask("/readyz"))[1]["degraded"] is False
        assert await proxy.metric("strangler_legacy_reachable") == 1
    try:

        async def is_degraded() -> bool:
            return bool((await proxy.ask("/readyz"))[1]["degraded"])

        await proxy.until(is_degraded)
        status, readiness = await proxy.ask("/readyz")
        assert (status, readiness["ready"]) == (expected, expected == 200)
        assert readiness["checks"] == {"workers": True, "legacy": False, "not_draining": True}
        assert (await proxy.ask("/healthz"))[0] == 200
        assert await proxy.metric("strangler_legacy_reachable") == 0
    finally:
        await proxy.stop()


async def test_a_legacy_that_takes_no_connection_and_refuses_none_does_not_hold_up_a_probe(tmp_path: Path) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):  # its queue has room for no other one
            proxy = Proxy(tmp_path, port)
            try:
                await proxy.start()
                for _ in range(5):
                    begun = asyncio.get_running_loop().time()
                    status, readiness = await proxy.ask("/readyz")
                    assert asyncio.get_running_loop().time() - begun < 0.8
                    assert (status, readiness["degraded"]) == (200, True)
            finally:
                await proxy.stop()


async def test_explain_over_http_tells_what_would_happen(start: StartProxy) -> None:
    proxy = await start()
    status, by_query = await proxy.ask("/api/explain?method=GET&url=/api/orders/7&header=X-User-Id:%209")
    assert status == 200
    assert (by_query["route"], by_query["arm"], by_query["reason"]) == ("orders", "legacy", "percent")
    body = {"method": "GET", "url": "/api/orders/7", "headers": [["X-User-Id", "9"]]}
    assert await proxy.ask("/api/explain", "POST", body) == (200, by_query)
    assert (await proxy.ask("/api/explain?url=nonsense"))[0] == 400
    assert (await proxy.ask("/api/explain"))[0] == 400
    assert (await proxy.ask("/api/explain", "POST", {"method": 1}))[0] == 400


async def test_the_kill_switch_holds_in_every_worker_and_over_restarts(start: StartProxy) -> None:
    proxy = await start(workers=2)
    proxy.edit(proxy.routes(percent=100))
    await proxy.until(lambda: proxy.has_generation(2))

    async def served(arm: str, times: int) -> None:
        before = await proxy.metric("strangler_requests_total", arm=arm)
        for _ in range(times):
            await proxy.get("/api/orders/7")

        async def counted() -> bool:
            return await proxy.metric("strangler_requests_total", arm=arm) == before + times

        await proxy.until(counted)

    await served("candidate", 10)
    assert (await proxy.ask("/api/kill-switch", "POST", {"on": True, "reason": "test"}))[0] == 200
    await served("legacy", 10)
    assert (await proxy.status())["kill_switch"]["reason"] == "test"
    assert await proxy.metric("strangler_kill_switch") == 1
    proxy.signal(signal.SIGTERM)
    assert await proxy.ended() == 0
    await proxy.start()
    await served("legacy", 10)
    assert (await proxy.ask("/api/kill-switch", "POST", {"on": False, "reason": ""}))[1]["on"] is False
    await served("candidate", 10)


async def test_a_broken_store_is_told_and_stops_no_request(start: StartProxy, tmp_path: Path) -> None:
    (tmp_path / "state" / "strangler.db").mkdir(parents=True)
    proxy = await start()
    assert await proxy.get() == 200

    async def is_reported() -> bool:
        return "store" in (await proxy.status())["problems"]

    await proxy.until(is_reported)
    await proxy.until(lambda: has_counted(proxy, 1))
    (tmp_path / "state" / "strangler.db").rmdir()
    await proxy.until(lambda: proxy.events("store.recovered"))


async def strangler(folder: Path, *arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "strangler",
        *arguments,
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "120"},
    )
    output, error = await process.communicate()
    return process.returncode or 0, output.decode(), error.decode()


async def test_status_tells_people_and_programs(start: StartProxy) -> None:
    proxy = await start()
    status, output, _ = await strangler(proxy.folder, "status", "--json")
    found = json.loads(output)
    assert status == 0
    assert found["pid"]["supervisor"] == proxy.pid
    assert [upstream["name"] for upstream in found["upstreams"]] == ["legacy", "orders"]
    assert found["upstreams"][0] | {"urls": [], "endpoints": {}} == {
        "name": "legacy",
        "urls": [],
        "endpoints": {},
        "breaker": "closed",
        "breaker_reason": None,
        "in_flight": 0,
        "streams": 0,
        "waiting": 0,
    }
    status, output, _ = await strangler(proxy.folder, "status")
    assert status == 0
    assert "/api/orders/*" in output


async def test_status_shows_why_a_file_is_rejected_though_it_cannot_be_read(start: StartProxy) -> None:
    proxy = await start()
    proxy.edit(proxy.routes(percent=120))
    await proxy.until(lambda: proxy.events("routes.rejected"))
    admin = proxy.admin
    status, output, _ = await strangler(proxy.folder, "status", "--admin", admin)
    assert status == 0
    assert "split.percent is 120" in output


async def test_without_a_proxy_status_says_so(start: StartProxy) -> None:
    proxy = await start()
    proxy.signal(signal.SIGTERM)
    await proxy.ended()
    status, output, error = await strangler(proxy.folder, "status")
    assert (status, output) == (1, "")
    assert "no proxy runs" in error


async def test_the_kill_switch_can_be_turned_by_command_with_a_broken_file(start: StartProxy) -> None:
    proxy = await start()
    proxy.edit("nonsense")
    status, output, error = await strangler(
        proxy.folder, "kill-switch", "on", "--reason", "a test", "--admin", proxy.admin
    )
    assert (status, error) == (0, "")
    assert "all traffic goes to legacy" in output
    assert (await proxy.status())["kill_switch"]["reason"] == "a test"


async def test_a_proxy_in_front_that_is_not_trusted_is_told_once_in_a_generation(start: StartProxy) -> None:
    async def ask_through_it() -> None:
        async with (
            ClientSession() as client,
            client.get(f"http://127.0.0.1:{proxy.port}/", headers={"X-Forwarded-Proto": "https"}) as response,
        ):
            assert response.status == 200

    async def are_reported(count: int) -> None:
        for _ in range(3):
            await ask_through_it()
        await proxy.until(lambda: len(proxy.events("client.forwarded_ignored")) >= count)
        await asyncio.sleep(0.6)
        assert len(proxy.events("client.forwarded_ignored")) == count

    proxy = await start()
    await are_reported(1)
    (line,) = proxy.events("client.forwarded_ignored")
    assert (line["level"], line["peer"], line["field"]) == ("warning", "127.0.0.1", "X-Forwarded-Proto: https")
    assert "write `trusted_proxies: [127.0.0.1]` into routes.yaml" in line["remedy"]
    proxy.edit(proxy.routes() + "trusted_proxies: [127.0.0.1]\n")
    await proxy.until(lambda: proxy.has_generation(2))
    await are_reported(1)
    proxy.edit(proxy.routes() + "trusted_proxies: [10.0.0.1]\n")
    await proxy.until(lambda: proxy.has_generation(3))
    await are_reported(2)
    assert "write `trusted_proxies: [10.0.0.1, 127.0.0.1]`" in proxy.events("client.forwarded_ignored")[1]["remedy"]
