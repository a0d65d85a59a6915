"""Strangler under mixed load, with the events of a long life: `python -m benchmarks.soak --minutes 20`.

routes.yaml is edited every second, a worker killed every minute (always the youngest: the others show the effects of a
long life), the candidate goes away and comes back. Prints what each process holds over time, and verdicts at the end:
memory and file descriptors flat, no request lost except those in flight in killed workers, counters equal to those of
the load.
"""

import asyncio
import contextlib
import json
import os
import platform
import re
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import click
import psutil
from aiohttp import ClientError, ClientSession
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.processes import free_port
from benchmarks.soak_load import REMEMBER_S, Load, Upstream

REPORT_S = 0.75
"""How far back requests of a killed worker may be unreported: 0.25 s, and a reserve for a slow machine."""

SETTLE_S = 4.0  # after the load: control's view of the workers is at most about a second old
WARM_UP = 0.25  # the share of the run that slopes leave out
CANDIDATE_UP_S, CANDIDATE_DOWN_S = 12.0, 5.0
_PERCENTS = (0, 25, 50, 100)

_ROUTES = """version: 1
listen: 127.0.0.1:{port}
admin: {{listen: "127.0.0.1:{admin}"}}
workers: {workers}
state: state
log: {{level: info, format: json, access: true}}
upstreams:
  legacy: {{url: "http://127.0.0.1:{legacy}"}}
  candidate: {{url: "http://127.0.0.1:{candidate}", breaker: {{cooldown: 1s}}}}
{extra_upstream}routes:
  - name: api
    match: {{prefix: /api}}
    candidate: candidate
    split: {{percent: {percent}, sticky: ["header:X-User-Id"]}}
    fallback: {{fence: 0s}} # the arms share their data, so a caller that wrote at the candidate may read from legacy
    shadow: {{percent: 10}}
{extra_route}"""


@dataclass(frozen=True, slots=True)
class Sample:
    """One process at one moment. `name` is supervisor, control, or worker with its place by age."""

    at_s: float
    name: str
    pid: int
    own_bytes: int
    fds: int
    threads: int


@dataclass(slots=True)
class SoakState:
    """The state of the run so far."""

    begun: float = field(default_factory=time.monotonic)
    samples: list[Sample] = field(default_factory=list)
    edits: int = 0
    kills: int = 0
    killed_ports: set[int] = field(default_factory=set)
    """The client ports of connections that a killed worker held."""
    unreported: int = 0
    """The requests that ended at workers so shortly before these were killed that they may be unreported."""
    candidate_exits: int = 0

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self.begun


@dataclass(frozen=True, slots=True)
class Plan:
    seconds: float
    workers: int
    reload_s: float
    kill_s: float
    sample_s: float
    scale: float


class Soak:
    """One `strangler serve` in a folder, its upstreams, its load, and its disturbances."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self._plan = plan
        self._folder = folder
        self._ports = {name: free_port() for name in ("port", "admin", "legacy", "candidate")}
        self._load = Load(self._ports["port"])
        self._candidate = Upstream(self._ports["candidate"])
        self._pid = 0
        self.state = SoakState()

    async def run(self) -> list[tuple[bool, str]]:
        """Run the soak; return the verdicts."""
        (self._folder / "routes.yaml").write_text(self._routes(0))
        legacy = Upstream(self._ports["legacy"])
        await legacy.start()
        await self._candidate.start()
        async with self._proxy():
            print(_header(self._plan.workers))
            self.state.begun = time.monotonic()
            deeds = [self._edit(), self._kill(), self._come_and_go(), self._watch()]
            tasks = [asyncio.create_task(deed) for deed in deeds]
            load = asyncio.create_task(self._load.run(self._plan.scale))
            done, _ = await asyncio.wait(
                [load, *tasks], timeout=self._plan.seconds, return_when=asyncio.FIRST_EXCEPTION
            )
            for task in done:
                task.result()
            self._load.state.stop.set()
            await load
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.sleep(SETTLE_S)
            metrics = await self._metrics()
            self._sample()
            print(self._row(metrics))
            verdicts = self._verdicts(metrics)
        await legacy.end()
        await self._candidate.end()
        return verdicts

    @asynccontextmanager
    async def _proxy(self) -> AsyncIterator[None]:
        environ = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        with (self._folder / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "strangler", "serve", cwd=self._folder, stdout=log, stderr=log, env=environ
            )
        self._pid = process.pid
        try:
            await self._is_ready()
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            await process.wait()

    async def _is_ready(self) -> None:
        for _ in range(200):
            with contextlib.suppress(OSError, ClientError):
                await self._ask("/readyz")
                return
            await asyncio.sleep(0.1)
        raise RuntimeError((self._folder / "log").read_text()[-3000:])

    async def _ask(self, path: str) -> str:
        url = f"http://127.0.0.1:{self._ports['admin']}{path}"
        async with ClientSession(raise_for_status=True) as session, session.get(url) as response:
            return await response.text()

    async def _metrics(self) -> dict[str, float]:
        """Return sums over all labels, by name of the sample."""
        found: dict[str, float] = defaultdict(float)
        for family in text_string_to_metric_families(await self._ask("/metrics")):
            for sample in family.samples:
                found[sample.name] += sample.value
        return found

    # Disturbances

    def _routes(self, turn: int) -> str:
        has_extra = turn % 2 == 1
        extra = f"extra-{turn % 8}"  # few names, since each one stays a label of /metrics for a while
        return _ROUTES.format(
            **self._ports,
            workers=self._plan.workers,
            percent=_PERCENTS[turn % len(_PERCENTS)],
            extra_upstream=f'  {extra}: {{url: "http://127.0.0.1:{self._ports["candidate"]}"}}\n' if has_extra else "",
            extra_route=f"  - {{name: extra, match: {{prefix: /api/orders/9}}, candidate: {extra}, "
            "split: {percent: 50, sticky: [client_ip]}}\n"
            if has_extra
            else "",
        )

    async def _edit(self) -> None:
        while True:
            await asyncio.sleep(self._plan.reload_s)
            self.state.edits += 1
            draft = self._folder / "routes.draft"
            draft.write_text(self._routes(self.state.edits))
            draft.replace(self._folder / "routes.yaml")

    async def _kill(self) -> None:
        while True:
            await asyncio.sleep(self._plan.kill_s)
            workers = [child for child in psutil.Process(self._pid).children() if _role(child) == "worker"]
            if len(workers) == self._plan.workers:
                self._kill_one(max(workers, key=psutil.Process.create_time))

    def _kill_one(self, worker: psutil.Process) -> None:
        """Suspend a worker, so that its connections do not change any more, note them, and kill it."""
        worker.suspend()
        held = {
            each.raddr[1]
            for each in worker.net_connections("tcp")
            if len(each.raddr) and each.laddr[1] == self._ports["port"]
        }
        since = time.monotonic() - min(REPORT_S, REMEMBER_S)
        open_elsewhere = self._open_ports() - held
        ends = self._load.state.ends
        self.state.unreported += sum(1 for at, port in ends if at >= since and port not in open_elsewhere)
        self.state.killed_ports |= held
        self.state.kills += 1
        worker.kill()

    def _open_ports(self) -> set[int]:
        """Return the client ports of all open connections of this process."""
        return {
            each.laddr[1]
            for each in psutil.Process().net_connections("tcp")
            if len(each.raddr) and each.raddr[1] == self._ports["port"]
        }

    async def _come_and_go(self) -> None:
        while True:
            await asyncio.sleep(CANDIDATE_UP_S)
            await self._candidate.go()
            self.state.candidate_exits += 1
            await asyncio.sleep(CANDIDATE_DOWN_S)
            await self._candidate.come()

    # Observations

    async def _watch(self) -> None:
        while True:
            self._sample()
            print(self._row(await self._metrics()), flush=True)
            await asyncio.sleep(self._plan.sample_s)

    def _sample(self) -> None:
        root = psutil.Process(self._pid)
        workers = 0
        for process in [root, *sorted(root.children(), key=psutil.Process.create_time)]:
            with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                role = "supervisor" if process.pid == self._pid else _role(process)
                if role == "worker":
                    role = f"worker-{workers}"  # by age: worker-0 lives as long as the run
                    workers += 1
                with process.oneshot():
                    own, fds, threads = process.memory_full_info().uss, process.num_fds(), process.num_threads()
                self.state.samples.append(Sample(self.state.elapsed_s, role, process.pid, own, fds, threads))

    def _row(self, metrics: dict[str, float]) -> str:
        latest = {sample.name: sample for sample in self.state.samples[-self._plan.workers - 2 :]}
        cells = [
            f"{seen.own_bytes / 1e6:6.1f}/{seen.fds:3}/{seen.threads:2}" if (seen := latest.get(name)) else " " * 13
            for name in _names(self._plan.workers)
        ]
        load = self._load.state
        in_killed = sum(1 for loss in load.lost if loss.port in self.state.killed_ports)
        others = len(load.lost) - in_killed
        return (
            f"{self.state.elapsed_s:6.0f} {'  '.join(cells)} {metrics['strangler_connections']:5.0f} "
            f"{metrics['strangler_in_flight']:6.0f} {load.under_way:5} {self.state.edits:5} {self.state.kills:5} "
            f"{load.sent.total():8} {load.responded.total():8} {load.left:5} {in_killed:5} {others:5}"
        )

    # Verdicts

    def _verdicts(self, metrics: dict[str, float]) -> list[tuple[bool, str]]:
        load = self._load.state
        losses = [loss for loss in load.lost if loss.port not in self.state.killed_ports]
        ended = load.responded.total() + load.left
        in_killed = len(load.lost) - len(losses)
        counted = int(metrics["strangler_requests_total"])
        low, high = ended - self.state.unreported, ended + in_killed
        held = {name: int(metrics[f"strangler_{name}"]) for name in ("connections", "in_flight", "waiting")}
        return [
            *(self._is_flat(name, "own_bytes") for name in _long_lived()),
            *(self._is_flat(name, "fds") for name in _long_lived()),
            *(self._is_flat(name, "threads") for name in _long_lived()),
            (not any(held.values()), f"nothing is held after the load: {held}"),
            (not losses, f"no request lost except {in_killed} in {self.state.kills} killed workers: {losses[:5]}"),
            (not load.wrong, f"all responses are the upstream's: {load.wrong[:5]}"),
            (
                low <= counted <= high,
                f"the proxy counted {counted} requests, the load {ended} that ended (up to {self.state.unreported} of "
                f"them at killed workers before their last report) and {in_killed} lost in killed workers",
            ),
            (
                metrics["strangler_config_last_reload_successful"] == 1,
                f"{self.state.edits} edits, generation {metrics['strangler_config_generation']:.0f}; "
                f"the candidate left {self.state.candidate_exits} times",
            ),
            (
                not load.responded["5xx"],
                f"responses {dict(sorted(load.responded.items()))}; failures: {self._failures()}",
            ),
        ]  # fmt: skip

    def _failures(self) -> dict[str, int]:
        """Count the lines of the access log with 5xx, by method, status, fault, and why there was no fallback."""
        found: Counter[str] = Counter()
        for line in (self._folder / "log").read_text().splitlines():
            with contextlib.suppress(ValueError):
                reported = json.loads(line)
                if reported.get("event") == "request" and (reported["status"] or 0) >= 500:
                    found[" ".join(str(reported.get(key)) for key in ("method", "status", "fault", "no_fallback"))] += 1
        return dict(found)

    def _is_flat(self, name: str, what: str) -> tuple[bool, str]:
        """Judge a figure by the rise of a line through the samples after the warm-up."""
        warm_s = self.state.elapsed_s * WARM_UP
        seen = [(each.at_s, float(getattr(each, what))) for each in self.state.samples if each.name == name]
        points = [point for point in seen if point[0] >= warm_s]
        rise = slope(points) * (points[-1][0] - points[0][0])
        mean = sum(value for _, value in points) / len(points)
        if what == "own_bytes":
            return rise <= max(0.05 * mean, 2e6), f"{name}: memory {mean / 1e6:.1f} MB, {rise / 1e6:+.2f} MB by slope"
        return rise <= max(
            0.15 * mean, 3
        ), f"{name}: {what} {mean:.1f}, {rise:+.1f} by slope, {points[-1][1]:.0f} at the end"


def slope(points: list[tuple[float, float]]) -> float:
    """Return the slope of the line with the least squares; 0 for a single point."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


def _role(process: psutil.Process) -> str:
    try:
        found = re.search(r"strangler\.(worker|control)", " ".join(process.cmdline()))
    except psutil.Error:
        return "gone"
    return found[1] if found else "other"


def _names(workers: int) -> list[str]:
    return ["supervisor", "control", *(f"worker-{number}" for number in range(workers))]


def _long_lived() -> list[str]:
    return ["supervisor", "control", "worker-0"]


def _header(workers: int) -> str:
    cells = "  ".join(f"{name:>13}" for name in _names(workers))
    return (
        "per process: MB of its own (USS) / file descriptors / threads; conns, flight: the proxy's count\n"
        f"{'s':>6} {cells} conns flight  open edits kills     sent   served  left  lost other"
    )


@click.command(help=__doc__)
@click.option("--minutes", default=20.0, show_default=True, help="Duration of the load.")
@click.option("--workers", default=2, show_default=True, help="At least 2: the oldest one is never killed.")
@click.option("--reload-every", default=1.0, show_default=True, help="Seconds between two edits of routes.yaml.")
@click.option("--kill-every", default=60.0, show_default=True, help="Seconds between two kills of a worker.")
@click.option("--sample-every", default=10.0, show_default=True, help="Seconds between two lines.")
@click.option("--scale", default=1.0, show_default=True, help="A higher value shortens the pauses between requests.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the verdicts here.")
def main(
    minutes: float,
    workers: int,
    reload_every: float,
    kill_every: float,
    sample_every: float,
    scale: float,
    json_file: Path | None,
) -> None:
    if workers < 2:
        raise click.BadParameter("one worker is killed again and again: use at least 2", param_hint="--workers")
    plan = Plan(minutes * 60, workers, reload_every, kill_every, sample_every, scale)
    print(
        f"{minutes:g} minutes, Python {platform.python_version()}, {os.cpu_count()} cores, Linux {platform.release()}"
    )
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        verdicts = asyncio.run(Soak(plan, Path(name)).run())
    for is_held, text in verdicts:
        print("  ok  " if is_held else "FAILED", text)
    if json_file is not None:
        json_file.write_text(json.dumps([{"held": is_held, "text": text} for is_held, text in verdicts], indent=1))
    sys.exit(0 if all(is_held for is_held, _ in verdicts) else 1)


if __name__ == "__main__":
    main()
