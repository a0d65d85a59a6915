"""The cost of shadows for client and worker: `python -m benchmarks.shadow`, about 100 s on two cores.

The promise: with every request shadowed, a candidate that hangs and control killed, p50, p99 and the worker's CPU time
stay within 10 % of the same run without shadows; a run in which control is killed is compared with one like it.

The whole proxy (worker, control, supervisor) is on core 0, so that all the work of control takes time from the worker;
load generator and upstream are on core 1. The routes of all variants belong to one running proxy, and a variant is only
another path: nothing is reloaded in between. In each round a new proxy serves all variants in turn, without shadows
first and once more at the end, which shows how much two equal runs differ.

Requests are due at the moments of a Poisson process, the same for all, and a latency counts from the moment when its
request was due, so that queueing is seen. CPU time is the scheduler's, in ns (proc(5), `schedstat`), of all the
worker's threads. The printed figures are medians over the rounds.
"""

import argparse
import os
import signal
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.load import WORKLOADS, Load, paced
from benchmarks.processes import ended_by_signals, free_port, on_cpu_s, running
from benchmarks.upstream import upstream

_ROUTES = """\
version: 1
listen: 127.0.0.1:{port}
admin: {{listen: 127.0.0.1:{admin}}}
state: {state}
log: {{format: json}}
workers: 1
upstreams:
  legacy: {{url: "http://127.0.0.1:{legacy}"}}
  hanging: {{url: "http://127.0.0.1:{hanging}"}}
  answering: {{url: "http://127.0.0.1:{legacy}"}}
routes:
  - {{name: plain, match: {{prefix: /plain}}, candidate: hanging}}
  - {{name: hanging, match: {{prefix: /hanging}}, candidate: hanging, shadow: {{percent: 100}}}}
  - {{name: tenth, match: {{prefix: /tenth}}, candidate: answering, shadow: {{percent: 10}}}}
  - {{name: answering, match: {{prefix: /answering}}, candidate: answering, shadow: {{percent: 100}}}}
"""
_TOLERANCE = 1.10
_KILL_AT_S = 0.3
"""Seconds after the beginning of a run. Control is started again at once: its whole start falls into the run."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A variant; its `path` chooses the route. `is_promised`: its figures are held to the tolerance."""

    name: str
    path: str
    kills_control: bool = False
    is_plain: bool = False
    is_promised: bool = True


PLAIN = Variant("without shadows", "/plain/7", is_plain=True)
HANGING = Variant("100 %, the candidate hangs", "/hanging/7")
TENTH = Variant("10 %, the candidate answers", "/tenth/7", is_promised=False)
RESPONDING = Variant("100 %, the candidate answers", "/answering/7", is_promised=False)
AGAIN = Variant("without shadows, once more", "/plain/7", is_plain=True)
PLAIN_KILLED = Variant("without shadows, control killed", "/plain/7", kills_control=True, is_plain=True)
KILLED = Variant("100 %, it hangs, control killed", "/hanging/7", kills_control=True)
VARIANTS = (PLAIN, HANGING, TENTH, RESPONDING, AGAIN, PLAIN_KILLED, KILLED)
_KILLING = len([variant for variant in VARIANTS if variant.kills_control])


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a variant. `cpu_s`: the worker's CPU time per request."""

    load: Load
    cpu_s: float


class Proxy:
    """A `strangler serve` and its children, which are found by their command lines."""

    def __init__(self, pid: int, port: int) -> None:
        self.port = port
        self._root = psutil.Process(pid)

    def child(self, role: str) -> psutil.Process | None:
        for child in self._root.children():
            with suppress(psutil.NoSuchProcess):
                if f"strangler.{role}" in child.cmdline():
                    return child
        return None

    def worker(self) -> int:
        found = self.child("worker")
        assert found is not None
        return found.pid

    def settle(self) -> None:
        """Wait until control has started and has nothing left to do."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            control = self.child("control")
            with suppress(FileNotFoundError):
                before = 0.0 if control is None else on_cpu_s(control.pid)
                time.sleep(0.3)
                if before and control is not None and on_cpu_s(control.pid) - before < 0.01:
                    return
        raise RuntimeError("control does not come to rest")


@contextmanager
def proxy(folder: Path, legacy: int, hanging: int) -> Iterator[Proxy]:
    """Run a new proxy, all of it on core 0."""
    folder.mkdir()
    port, admin = free_port(), free_port()
    file = folder / "routes.yaml"
    file.write_text(_ROUTES.format(port=port, admin=admin, legacy=legacy, hanging=hanging, state=folder / "state"))
    command = [sys.executable, "-m", "strangler", "serve", "-c", str(file)]
    with running(command, 0, folder / "proxy.txt", port=port) as pid:
        made = Proxy(pid, port)
        made.settle()
        yield made


@contextmanager
def _hanging() -> Iterator[int]:
    """Yield the port of a candidate whose kernel accepts connections on which no response ever comes."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        yield listener.getsockname()[1]


@contextmanager
def _killing_control(made: Proxy) -> Iterator[None]:
    """Kill control during the block, from a thread that only waits until then. At the end control is back."""
    before = made.child("control")
    assert before is not None
    timer = threading.Timer(_KILL_AT_S, before.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
    made.settle()
    assert made.child("control") != before


def _run(made: Proxy, variant: Variant, seconds: float, rate: float) -> Run:
    workload = replace(WORKLOADS[0], path=variant.path)
    paced(workload, made.port, 0.3, rate)  # warm up: connections, memos; the hanging candidate's breaker opens
    with _killing_control(made) if variant.kills_control else nullcontext():
        worker = made.worker()
        before = on_cpu_s(worker)
        load = paced(workload, made.port, seconds, rate)
        return Run(load, (on_cpu_s(worker) - before) / load.requests)


def _in_turn(number: int) -> tuple[Variant, ...]:
    """Return the variants, those that kill control last and by turns: after a second death control restarts later."""
    calm, killing = VARIANTS[:-_KILLING], VARIANTS[-_KILLING:]
    return calm + (killing[::-1] if number % 2 else killing)


def measure(rounds: int, seconds: float, rate: float) -> dict[Variant, list[Run]]:
    """Run all variants in turn, through one worker; each round has a new one."""
    found: dict[Variant, list[Run]] = {variant: [] for variant in VARIANTS}
    os.sched_setaffinity(0, {1})
    with tempfile.TemporaryDirectory() as made, _hanging() as hanging:
        folder = Path(made)
        with upstream(folder, 1) as behind:
            for number in range(rounds):
                with proxy(folder / f"proxy-{number}", behind.responds_port, hanging) as this_proxy:
                    for variant in _in_turn(number):
                        found[variant].append(_run(this_proxy, variant, seconds, rate))
    return found


_FIGURES: tuple[Callable[[Run], float], ...] = (
    lambda run: run.load.p50_s * 1e3,
    lambda run: run.load.p99_s * 1e3,
    lambda run: run.cpu_s * 1e6,
)


def figures(runs: list[Run]) -> tuple[float, ...]:
    """Return the medians of p50 and p99 in ms, and of the worker's µs per request."""
    return tuple(statistics.median(map(figure, runs)) for figure in _FIGURES)


def ratios(found: dict[Variant, list[Run]], variant: Variant) -> tuple[float, ...]:
    """Return the same, divided by the figures of all runs without shadows in which control fared alike."""
    plain = [
        each_variant
        for each_variant in found
        if each_variant.is_plain and each_variant.kills_control is variant.kills_control
    ]
    base = figures([run for each_variant in plain for run in found[each_variant]])
    return tuple(number / other for number, other in zip(figures(found[variant]), base, strict=True))


def table(found: dict[Variant, list[Run]]) -> Table:
    made = Table(box=None, header_style="bold", pad_edge=False)
    made.add_column("")
    for name in ("p50 ms", "", "p99 ms", "", "worker µs/request", "", "errors"):
        made.add_column(name, justify="right")
    for variant, runs in found.items():
        pairs = zip(figures(runs), ratios(found, variant), strict=True)
        cells = [text for figure, ratio in pairs for text in (f"{figure:.3f}", f"x {ratio:.2f}")]
        made.add_row(variant.name, *cells, str(sum(run.load.errors for run in runs)))
    return made


def is_kept(found: dict[Variant, list[Run]]) -> bool:
    """Return True if the promise is kept."""
    promised = [variant for variant in found if variant.is_promised and not variant.is_plain]
    worst = max(max(ratios(found, variant)) for variant in promised)
    return worst <= _TOLERANCE and not any(run.load.errors for runs in found.values() for run in runs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=2.5, help="duration of each run")
    parser.add_argument("--rate", type=float, default=500.0, help="requests per second")
    arguments = parser.parse_args()
    with ended_by_signals(signal.SIGTERM, signal.SIGINT):
        found = measure(arguments.rounds, arguments.seconds, arguments.rate)
    Console(highlight=False, width=120).print(table(found))
    raise SystemExit(0 if is_kept(found) else 1)


if __name__ == "__main__":
    main()
