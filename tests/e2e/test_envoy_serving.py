"""`engine: envoy` from outside: what is served, what is killed, and what a wrong edit does."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.e2e.behind_envoy import EnvoyProxy
from tests.e2e.commands import run
from tests.e2e.serving import LegacyState, is_refused, legacy, load_on
from tests.engine.envoys import real_envoy, script, taken_port


@pytest.fixture
async def monolith() -> AsyncIterator[LegacyState]:
    async with legacy() as state:
        yield state


@pytest.fixture
async def proxy(tmp_path: Path, monolith: LegacyState) -> AsyncIterator[EnvoyProxy]:
    real_envoy()
    proxy = EnvoyProxy(tmp_path, monolith.port)
    yield proxy
    await proxy.stop()
    assert proxy.envoys == []


async def test_an_edit_under_load_loses_nothing_and_the_status_names_envoy(proxy: EnvoyProxy) -> None:
    await proxy.start()
    async with load_on(proxy) as load:
        for generation, percent in enumerate((25, 100, 0), start=2):
            proxy.edit(proxy.routes(percent))
            await proxy.until(partial(proxy.has_generation, generation))
    assert load.faults == []
    assert set(load.statuses) == {200}
    engine = (await proxy.status())["engine"]
    assert engine == {"name": "envoy", "version": real_envoy().version, "pid": proxy.envoys[0], "problem": None}
    assert f"Envoy {real_envoy().version}: {proxy.envoys[0]}" in (await run(proxy.folder, "status"))[1]


async def test_a_killed_process_is_replaced_and_requests_go_on(proxy: EnvoyProxy) -> None:
    await proxy.start()
    (envoy,) = proxy.envoys
    async with load_on(proxy) as load:
        proxy.kill(proxy.child("strangler.engine"))
        await proxy.wait_for_log("envoy.adopted")
        proxy.kill(proxy.child("strangler.control"))
        await proxy.count("control.ready", 2)
        await proxy.until(proxy.is_ready)
    assert load.faults == []
    assert set(load.statuses) == {200}
    assert proxy.envoys == [envoy]
    proxy.kill(envoy)
    await proxy.count("envoy.ready", 2)
    await proxy.until(proxy.is_served)
    assert proxy.events("envoy.died")
    assert envoy not in proxy.envoys


async def test_the_kill_switch_is_in_force_when_the_command_has_ended(proxy: EnvoyProxy) -> None:
    await proxy.start()
    proxy.edit(proxy.routes(100))
    await proxy.until(lambda: proxy.has_generation(2))
    assert (await arm(proxy)) == "candidate"
    assert (await run(proxy.folder, "kill-switch", "on", "--reason", "test"))[0] == 0
    await proxy.until(lambda: is_arm(proxy, "legacy"))
    proxy.kill(proxy.envoys[0])  # it is on from the first request
    await proxy.count("envoy.ready", 2)
    await proxy.until(proxy.is_served)
    assert (await arm(proxy)) == "legacy"
    assert (await run(proxy.folder, "kill-switch", "off"))[0] == 0
    await proxy.until(lambda: is_arm(proxy, "candidate"))


PICKY = """
if [ "$2" = validate ] && grep -q forbidden "$4"; then
  printf "critical\tmain\terror initializing configuration '$4': no such thing\n" >&2; exit 1
fi
exec {envoy} "$@"
"""
"""Envoy, which refuses one name more."""


async def test_what_envoy_alone_refuses_is_a_problem_like_any_other(proxy: EnvoyProxy, tmp_path: Path) -> None:
    picky = script(tmp_path, PICKY.format(envoy=real_envoy().path), "picky")
    await proxy.start(sys.executable, "-m", "strangler", "serve", "--envoy-binary", str(picky))
    proxy.edit(proxy.routes(100).replace("orders:", "forbidden:").replace("candidate: orders", "candidate: forbidden"))
    (problem,) = await proxy.until(lambda: rejected(proxy))
    assert problem == f"routes.yaml: Envoy {real_envoy().version} refuses it: no such thing"
    assert (await proxy.status())["config"]["generation"] == 1
    assert proxy.events("routes.rejected")
    assert await proxy.get() == 200
    proxy.edit(proxy.routes(25))
    await proxy.until(lambda: proxy.has_generation(2))


async def test_a_download_outlives_the_first_signal(proxy: EnvoyProxy, monolith: LegacyState) -> None:
    await proxy.start()
    slow = asyncio.create_task(proxy.slowly(monolith.started))
    await monolith.started.wait()
    proxy.signal(signal.SIGTERM)
    await proxy.until(lambda: is_refused(proxy.port))
    assert (await slow).endswith(b"legacy")
    assert await proxy.ended() == 0
    assert proxy.envoys == []
    assert list((proxy.folder / "state" / "envoy").glob("[0-9]*")) == []


async def test_the_second_signal_ends_envoy_at_once(proxy: EnvoyProxy, monolith: LegacyState) -> None:
    await proxy.start()
    slow = asyncio.create_task(proxy.slowly(monolith.started))
    await monolith.started.wait()
    proxy.signal(signal.SIGTERM)
    await proxy.wait_for_log("supervisor.draining")
    proxy.signal(signal.SIGTERM)
    await proxy.ended()
    assert proxy.envoys == []
    await asyncio.gather(slow, return_exceptions=True)


async def test_envoy_ends_with_a_killed_supervisor(proxy: EnvoyProxy) -> None:
    await proxy.start()
    proxy.signal(signal.SIGKILL)
    await proxy.ended()
    await proxy.until(lambda: not proxy.envoys)
    await proxy.start()
    assert await proxy.get() == 200


async def test_an_envoy_without_any_of_our_processes_is_adopted_by_the_next_start(proxy: EnvoyProxy) -> None:
    await proxy.start()
    (envoy,) = proxy.envoys
    engine = psutil.Process(proxy.child("strangler.engine"))
    engine.suspend()  # so that it does not see that the supervisor has gone
    proxy.signal(signal.SIGKILL)
    await proxy.ended()
    engine.kill()
    assert await proxy.get() == 200
    await proxy.start()
    assert proxy.envoys == [envoy]
    assert await proxy.get() == 200


async def test_a_port_that_is_taken_is_named(proxy: EnvoyProxy) -> None:
    with taken_port() as taken:
        proxy.file.write_text(proxy.routes().replace(proxy.address, f"127.0.0.1:{taken}"))
        code, output = await run(proxy.folder, "serve")
    assert code == 1
    assert f"listen: 127.0.0.1:{taken} is taken by another program; stop it, or choose another port" in output


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("", "there is no", id="missing"),
        pytest.param("echo 'envoy  version: 0123abc/1.20.0/Clean/RELEASE/BoringSSL'", "1.20.0", id="an old version"),
    ],
)
async def test_an_envoy_that_cannot_be_run_is_named(proxy: EnvoyProxy, tmp_path: Path, text: str, reason: str) -> None:
    proxy.file.write_text(proxy.routes())
    path = script(tmp_path, text, "other") if text else tmp_path / "absent"
    code, output = await run(proxy.folder, "serve", "--envoy-binary", str(path))
    assert code == 1
    assert reason in output
    assert "strangler[envoy]" in output


async def test_a_restart_under_load_loses_nothing_and_keeps_envoy(proxy: EnvoyProxy) -> None:
    await proxy.start()
    (envoy,) = proxy.envoys
    former = proxy.running()["pid"]
    async with load_on(proxy, clients=1) as load:
        code, output = await run(proxy.folder, "restart")
        assert code == 0, output
        await proxy.wait_for_log("envoy.adopted")
        await proxy.until(proxy.is_ready)
        proxy.edit(proxy.routes(100))
        await proxy.until(lambda: generation_above(proxy, 2))
        proxy.edit(proxy.routes(100).replace("drain: 5s", "drain: 4s"))  # a hot restart
        await proxy.count("envoy.ready", 2)
    assert load.faults == []
    assert set(load.statuses) == {200}
    assert proxy.running()["pid"] != former
    assert proxy.envoys[-1] != envoy


async def test_a_failed_restart_leaves_envoy_as_it_was(proxy: EnvoyProxy) -> None:
    await proxy.start()
    (envoy,) = proxy.envoys
    with taken_port() as taken:
        proxy.edit(proxy.routes().replace(proxy.address, f"127.0.0.1:{taken}"))
        code, output = await run(proxy.folder, "restart")
    assert code == 1
    assert f"127.0.0.1:{taken} is taken" in output
    assert await proxy.get() == 200
    assert proxy.envoys == [envoy]


async def test_files_are_written_for_an_envoy_that_somebody_else_runs(proxy: EnvoyProxy, tmp_path: Path) -> None:
    files = tmp_path / "files"
    await proxy.start(
        *(sys.executable, "-m", "strangler", "serve", "--control-only", "--envoy-files", str(files)),
        *("--envoy-binary", real_envoy().path),
    )
    assert "no Envoy responds" in (await proxy.status())["engine"]["problem"]
    command = [real_envoy().path, "-c", str(files / "bootstrap.json"), "--reject-unknown-dynamic-fields"]
    other = await asyncio.create_subprocess_exec(*command, "--use-dynamic-base-id", "-l", "off")
    try:
        await proxy.until(lambda: has_no_problem(proxy))
        assert await proxy.get() == 200
        proxy.edit(proxy.routes(100))
        await proxy.until(lambda: is_arm(proxy, "candidate"))
        assert (await proxy.status())["engine"]["version"] == real_envoy().version
        await proxy.stop()
        assert await proxy.get() == 200
    finally:
        other.kill()
        await other.wait()


async def arm(proxy: EnvoyProxy) -> str:
    """The arm of a response, as its header names it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"GET /api/orders/7 HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n")
    response = (await reader.read()).lower()
    writer.close()
    found = [line.partition(b": ")[2] for line in response.split(b"\r\n") if line.startswith(b"x-strangler-arm:")]
    return found[0].decode() if found else ""


async def is_arm(proxy: EnvoyProxy, expected: str) -> bool:
    return await arm(proxy) == expected


async def rejected(proxy: EnvoyProxy) -> list[str]:
    found: list[str] = (await proxy.status())["config"]["problems"]
    return found


async def generation_above(proxy: EnvoyProxy, generation: int) -> bool:
    workers = (await proxy.status())["workers"]
    return bool(workers) and all(worker["generation"] and worker["generation"] > generation for worker in workers)


async def has_no_problem(proxy: EnvoyProxy) -> bool:
    engine = (await proxy.status())["engine"]
    return engine["version"] is not None and engine["problem"] is None
