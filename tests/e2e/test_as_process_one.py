"""The proxy as process 1 of a container, and what others do to it there; and that each thing is logged once."""

import asyncio
import os
import signal
import sys
from shutil import which

import psutil

from tests.e2e.serving import Proxy
from tests.needs import require

_LEFT_BEHIND = "for number in $(seq 20); do (sleep 0.2; exit 3) & done"


async def test_it_reaps_what_others_leave_behind_and_still_knows_its_own(proxy: Proxy) -> None:
    can = os.geteuid() == 0 and all(which(program) for program in ("unshare", "nsenter"))
    require("" if can else "root, who may make a pid namespace, unshare and nsenter")
    serve = (sys.executable, "-m", "strangler", "serve")
    await proxy.start("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--mount", *serve)
    (supervisor,) = psutil.Process(proxy.pid).children()
    enter = ("nsenter", "--pid", "-t", str(supervisor.pid), "sh", "-c")
    left = await asyncio.create_subprocess_exec(*enter, _LEFT_BEHIND)
    await left.wait()
    await proxy.until(lambda: len(supervisor.children()) > 2)
    await proxy.until(lambda: len(supervisor.children()) == 2)
    (worker,) = (await proxy.status())["pid"]["workers"]
    killed = await asyncio.create_subprocess_exec(*enter, f"kill -9 {worker}")
    await killed.wait()
    assert (await proxy.wait_for_log("worker.died"))[0]["how"] == "killed by SIGKILL"
    await proxy.until(proxy.is_ready)
    supervisor.send_signal(signal.SIGTERM)
    assert await proxy.ended() == 0


async def test_sigusr1_harms_none_of_its_processes(proxy: Proxy) -> None:
    await proxy.start()
    pids = (await proxy.status())["pid"]
    await proxy.wait_for_log("control.ready")
    lines = len(proxy.log)
    for pid in (pids["supervisor"], pids["control"], *pids["workers"]):
        os.kill(pid, signal.SIGUSR1)
    for _ in range(3):
        assert await proxy.get() == 200
    assert (await proxy.status())["pid"] == pids
    assert [line["event"] for line in proxy.log[lines:] if line["event"] != "request"] == []


async def test_each_thing_that_happens_is_logged_once(proxy: Proxy) -> None:
    await proxy.start()
    proxy.edit(proxy.routes(25))
    await proxy.until(lambda: proxy.has_generation(2))
    proxy.edit(proxy.routes("much"))
    await proxy.wait_for_log("routes.problem")
    for on in (True, False):
        assert (await proxy.ask("/api/kill-switch", "POST", {"on": on, "reason": "a test"}))[0] == 200
    await proxy.wait_for_log("kill_switch.off")
    pid = proxy.pid
    proxy.signal(signal.SIGTERM)
    assert await proxy.ended() == 0
    lines = [line for line in proxy.log if line["event"] != "request"]
    assert [line["detail"] for line in lines if line["event"] == "audit"] == ["on", "off"]
    names = [line.get("type", line["event"]) for line in lines if line["event"] != "audit"]
    assert len(names) == len(set(names)), f"of process {pid}: {sorted(names)}"
    assert {
        "supervisor.started", "control.started", "control.ready", "worker.started", "worker.ready", "routes.reloaded",
        "route.shifted", "routes.rejected", "routes.problem", "kill_switch.on", "kill_switch.off",
        "supervisor.draining", "worker.ended", "control.ended", "supervisor.ended",
    } <= set(names)  # fmt: skip
