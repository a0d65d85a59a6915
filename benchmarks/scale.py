"""One worker and two, and 10,000 idle connections: `python -m benchmarks.scale`.

On two cores, wrk and the upstream use part of what the second worker could have, so three things are printed: the rates
as measured; whose CPU time it was; and what two cores would give if the load came from elsewhere, which is
`requests / (CPU time of the busiest worker)`: a worker with most of the connections is full while the other waits.

Runs with one worker and with two alternate, each with a new proxy, and medians are compared, since a shared machine is
not equally fast for long. CPU time is the scheduler's, in nanoseconds (/proc/PID/task/TID/schedstat), not the ticks of
10 ms in /proc/PID/stat. Needs Linux, nginx, wrk and taskset.
"""

import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import click
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks import load
from benchmarks.load import WORKLOADS
from benchmarks.processes import free_port, running, settle, usage
from benchmarks.upstream import upstream

CORES = "0,1"
CONNECTIONS = 64
_NEEDED_TOOLS = ("nginx", "wrk", "taskset")


@dataclass(frozen=True, slots=True)
class Run:
    """One run of wrk. CPU times in seconds; `connections` are those of each worker, halfway through."""

    workers: int
    requests: int
    seconds: float
    worker_cpu_s: tuple[float, ...]
    other_cpu_s: float
    """The CPU time of supervisor and control."""
    load_cpu_s: float
    """The CPU time of wrk and the upstream."""
    connections: tuple[int, ...]
    errors: int

    @property
    def rate(self) -> float:
        return self.requests / self.seconds

    @property
    def cpu_us(self) -> float:
        """The workers' CPU time per request."""
        return sum(self.worker_cpu_s) / self.requests * 1e6

    @property
    def load_share(self) -> float:
        """The share of wrk and the upstream in all CPU time that was used here."""
        return self.load_cpu_s / (self.load_cpu_s + self.other_cpu_s + sum(self.worker_cpu_s))

    @property
    def full_rate(self) -> float:
        """The requests per second if the busiest worker had a core to itself and were full."""
        return self.requests / max(self.worker_cpu_s)


@contextmanager
def _started(workers: int, upstream_port: int, folder: Path) -> Iterator[tuple[int, int]]:
    """Run strangler with one route and few settings; yield its pid and port."""
    port = free_port()
    place = folder / f"{workers}-{time.monotonic_ns()}"
    place.mkdir()
    (place / "routes.yaml").write_text(
        f"""version: 1
listen: 127.0.0.1:{port}
admin: {{listen: "127.0.0.1:{free_port()}"}}
workers: {workers}
state: "{place}/state"
log: {{level: info, format: json, access: true}}
limits: {{connections: 19000, idle_timeout: 600s}}
upstreams:
  legacy: {{url: "http://127.0.0.1:{upstream_port}"}}
  candidate: {{url: "http://127.0.0.1:{upstream_port}"}}
routes:
  - name: orders
    match: {{prefix: /api/orders}}
    candidate: candidate
    split: {{percent: 25, sticky: ["header:X-User-Id", client_ip]}}
"""
    )
    command = [sys.executable, "-m", "strangler", "serve", "-c", str(place / "routes.yaml")]
    with running(command, CORES, place / "output.txt", port=port) as pid:
        settle(pid)
        yield pid, port
    shutil.rmtree(place, ignore_errors=True)


def _workers(pid: int) -> list[psutil.Process]:
    return [child for child in psutil.Process(pid).children() if "strangler.worker" in child.cmdline()]


def _cpu_s(processes: list[psutil.Process]) -> list[float]:
    """Return the time on a core of each process, over its running threads."""
    return [sum(map(_thread_cpu_s, Path(f"/proc/{process.pid}/task").iterdir())) for process in processes]


def _thread_cpu_s(task: Path) -> float:
    """Return the first figure of schedstat, nanoseconds on a core, in s (Documentation/scheduler/sched-stats.rst)."""
    with suppress(FileNotFoundError, ProcessLookupError):  # the thread has just ended
        return int((task / "schedstat").read_text().split()[0]) / 1e9
    return 0.0


def _spread(pid: int, port: int) -> tuple[int, ...]:
    """Return the number of client connections of each worker."""
    held: Counter[int] = Counter()
    for worker in _workers(pid):
        with suppress(psutil.NoSuchProcess):
            found = worker.net_connections("tcp")
            held[worker.pid] = sum(1 for each in found if each.laddr[1] == port and each.status == "ESTABLISHED")
    return tuple(sorted(held.values(), reverse=True))


def _measure(workers: int, upstream_port: int, seconds: int, folder: Path) -> Run:
    script = load.write_script(WORKLOADS[0], folder)
    with _started(workers, upstream_port, folder) as (pid, port):
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", "--timeout", "20s", "-s", str(script)]
        url = f"http://127.0.0.1:{port}"
        subprocess.run([*command, "-d1s", url], capture_output=True, check=True)
        time.sleep(0.5)  # until those connections are gone, and the workers know it
        places, behind = _workers(pid), _upstream_processes()
        others = [each for each in [psutil.Process(pid), *psutil.Process(pid).children()] if each not in places]
        before = _cpu_s(places), _cpu_s(others), _cpu_s(behind), resource.getrusage(resource.RUSAGE_CHILDREN)
        wrk = subprocess.Popen([*command, f"-d{seconds}s", url], stdout=subprocess.PIPE, text=True)
        time.sleep(seconds / 2)
        connections = _spread(pid, port)
        printed, _ = wrk.communicate()
        after = _cpu_s(places), _cpu_s(others), _cpu_s(behind), resource.getrusage(resource.RUSAGE_CHILDREN)
    got = load.read_result(printed)
    wrk_cpu_s = (after[3].ru_utime + after[3].ru_stime) - (before[3].ru_utime + before[3].ru_stime)
    return Run(
        workers,
        got.requests,
        got.seconds,
        tuple(b - a for a, b in zip(before[0], after[0], strict=True)),
        sum(after[1]) - sum(before[1]),
        wrk_cpu_s + sum(after[2]) - sum(before[2]),
        connections,
        got.errors,
    )


def _upstream_processes() -> list[psutil.Process]:
    """Return nginx and its workers, started by this program."""
    return [each for each in psutil.Process().children(recursive=True) if each.name() == "nginx"]


def _print_runs(runs: list[Run], console: Console) -> None:
    table = Table(title=f"small GET, wrk with {CONNECTIONS} connections, all on cores {CORES}")
    for column in (
        "workers", "requests/s", "cores: workers", "control", "wrk + upstream", "CPU µs/request",
        "connections of each", "requests/s, busiest worker full", "errors",
    ):  # fmt: skip
        table.add_column(column, justify="right")
    for run in runs:
        table.add_row(
            str(run.workers),
            f"{run.rate:,.0f}",
            " + ".join(f"{each / run.seconds:.2f}" for each in run.worker_cpu_s),
            f"{run.other_cpu_s / run.seconds:.2f}",
            f"{run.load_cpu_s / run.seconds:.2f}",
            f"{run.cpu_us:.1f}",
            " + ".join(map(str, run.connections)),
            f"{run.full_rate:,.0f}",
            str(run.errors),
        )
    console.print(table)
    one_worker, two = ([run for run in runs if run.workers == workers] for workers in (1, 2))
    console.print(
        f"2 workers / 1, of the medians: {_ratio(two, one_worker, lambda run: run.full_rate):.2f} with a core for each"
    )
    console.print(f"  {_ratio(two, one_worker, lambda run: run.rate):.2f} as measured, the load on the same two cores")
    console.print(f"  {_ratio(two, one_worker, lambda run: run.cpu_us):.2f} the CPU time of a request")
    shares = " and ".join(f"{statistics.median(run.load_share for run in of):.0%}" for of in (one_worker, two))
    console.print(f"share of wrk and the upstream in all CPU time: {shares}")


def _ratio(some: list[Run], others: list[Run], figure: Callable[[Run], float]) -> float:
    return statistics.median(map(figure, some)) / statistics.median(map(figure, others))


def _print_idle(count: int, upstream_port: int, folder: Path, console: Console) -> None:
    with _started(1, upstream_port, folder) as (pid, port):
        for sock in load.open_idle(port, 50):  # the extra cost of the first connections is not counted
            sock.close()
        time.sleep(0.3)
        before = usage(pid)
        held = load.open_idle(port, count)
        try:
            time.sleep(0.5)
            after = usage(pid)
            at_rest = _cpu_share(pid, 3.0)
        finally:
            for sock in held:
                sock.close()
    each = (after.pss_bytes - before.pss_bytes) / count
    console.print(
        f"{count:,} idle connections: {each / 1000:.2f} KB each (PSS of all processes), {at_rest:.1%} of a core"
    )


def _cpu_share(pid: int, seconds: float) -> float:
    before = usage(pid).cpu_s
    time.sleep(seconds)
    return (usage(pid).cpu_s - before) / seconds


@click.command(help=__doc__)
@click.option("--seconds", default=4, show_default=True, help="Duration of each run.")
@click.option("--runs", default=5, show_default=True, help="Runs for each number of workers; medians are compared.")
@click.option("--idle", default=10_000, show_default=True, help="Number of idle connections; 0: not measured.")
def main(seconds: int, runs: int, idle: int) -> None:
    missing = [tool for tool in _NEEDED_TOOLS if shutil.which(tool) is None]
    if missing:
        raise click.ClickException(f"not installed: {', '.join(missing)}; install what is missing")
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    wide = Console()
    console = wide if wide.is_terminal else Console(width=150)
    with tempfile.TemporaryDirectory(prefix="scale-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with upstream(folder, CORES) as behind:
            found = [_measure(count, behind.responds_port, seconds, folder) for _ in range(runs) for count in (1, 2)]
            _print_runs(sorted(found, key=lambda run: run.workers), console)
            if idle:
                _print_idle(idle, behind.responds_port, folder, console)


if __name__ == "__main__":
    main()
