"""What shadows cost the client and the worker: `python -m benchmarks.shadow`.

The same requests at the same moments through one proxy, in turn without shadows, with every request of the route
shadowed to a candidate that never answers, and the same while control is killed again and again. The promise: p50, p99
and the worker's CPU time stay within 10 % of the run without shadows.
"""

import argparse
import json
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
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.load import WORKLOADS, Load, paced
from benchmarks.processes import free_port, running
from benchmarks.upstream import upstream

_ROUTES = """\
version: 1
listen: 127.0.0.1:{port}
admin: {{listen: 127.0.0.1:{admin}}}
state: {state}
log: {{format: json}}
upstreams:
  legacy: {{url: "http://127.0.0.1:{legacy}"}}
  orders: {{url: "http://127.0.0.1:{hanging}"}}
routes:
  - name: orders
    match: {{prefix: /api/orders}}
    candidate: orders
    shadow: {{percent: {percent}}}
"""
_TOLERANCE = 1.10
_KILL_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Variant:
    name: str
    percent: int
    kills_control: bool


VARIANTS = (
    Variant("without shadows", 0, False),
    Variant("shadow.percent 100, the candidate hangs", 100, False),
    Variant("the same, control killed every second", 100, True),
)


@dataclass(frozen=True, slots=True)
class Run:
    """One variant once. `cpu_s`: the worker's, per request."""

    load: Load
    cpu_s: float


class Proxy:
    """A running `strangler serve`, its routes.yaml and its admin listener."""

    def __init__(self, folder: Path, legacy: int, hanging: int) -> None:
        self.port, self.admin = free_port(), free_port()
        self._file = folder / "routes.yaml"
        self._ports = {"port": self.port, "admin": self.admin, "legacy": legacy, "hanging": hanging}
        self._ports |= {"state": str(folder / "state")}  # type: ignore[dict-item]
        self._generation = 1
        self._file.write_text(self._text(0))

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", "strangler", "serve", "-c", str(self._file)]

    def shift_shadow(self, percent: int) -> None:
        """Put another share in force, and wait until the worker follows it."""
        text = self._text(percent)
        if text == self._file.read_text():
            return
        before = self.status()["config"]["generation"]
        self._file.write_text(text)
        _until(lambda: [worker["generation"] for worker in self.status()["workers"]] > [before])

    def status(self) -> Any:
        """`/api/status`; waits for control, which may just have been killed."""
        while True:
            connection = HTTPConnection("127.0.0.1", self.admin, timeout=5)
            try:
                connection.request("GET", "/api/status")
                return json.loads(connection.getresponse().read())
            except (OSError, HTTPException, ValueError):
                time.sleep(0.05)
            finally:
                connection.close()

    def _text(self, percent: int) -> str:
        return _ROUTES.format(percent=percent, **self._ports)


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60  # the supervisor lets a control that dies again and again wait
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError("the proxy does not follow its routes.yaml")
        time.sleep(0.05)


@contextmanager
def _hanging() -> Iterator[int]:
    """A candidate whose kernel takes connections that nobody answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        yield listener.getsockname()[1]


@contextmanager
def _killing_control(proxy: Proxy) -> Iterator[None]:
    """SIGKILL for control every second, from a thread."""
    stop = threading.Event()

    def kill() -> None:
        while not stop.wait(_KILL_EVERY_S):
            with suppress(ProcessLookupError, KeyError):
                os.kill(proxy.status()["pid"]["control"], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        _until(lambda: all(worker["is_connected"] for worker in proxy.status()["workers"]))


def _run(proxy: Proxy, variant: Variant, seconds: float, rate: float) -> Run:
    proxy.shift_shadow(variant.percent)
    (worker,) = [psutil.Process(pid) for pid in proxy.status()["pid"]["workers"]]
    worker.cpu_affinity([0])
    paced(WORKLOADS[0], proxy.port, 0.5, rate)  # warm up: connections, memos, the first captures
    with _killing_control(proxy) if variant.kills_control else nullcontext():
        before = sum(worker.cpu_times()[:2])
        load = paced(WORKLOADS[0], proxy.port, seconds, rate)
        return Run(load, (sum(worker.cpu_times()[:2]) - before) / load.requests)


def measure(rounds: int, seconds: float, rate: float) -> dict[Variant, list[Run]]:
    """All variants in turn, round after round, through one and the same worker."""
    found: dict[Variant, list[Run]] = {variant: [] for variant in VARIANTS}
    os.sched_setaffinity(0, {1})
    with tempfile.TemporaryDirectory() as made, _hanging() as hanging:
        folder = Path(made)
        with upstream(folder, 1) as behind:
            proxy = Proxy(folder, behind.answers_port, hanging)
            with running(proxy.command, 1, folder / "proxy.txt", port=proxy.port):
                for _ in range(rounds):
                    for variant in VARIANTS:
                        found[variant].append(_run(proxy, variant, seconds, rate))
    return found


def table(found: dict[Variant, list[Run]]) -> Table:
    """Medians over the rounds, and each divided by that without shadows."""
    made = Table(box=None, header_style="bold", pad_edge=False)
    made.add_column("")
    for name in ("p50 ms", "", "p99 ms", "", "worker µs/request", "", "errors"):
        made.add_column(name, justify="right")
    base = _figures(found[VARIANTS[0]])
    for variant, runs in found.items():
        figures = _figures(runs)
        cells = [
            text for one, other in zip(figures, base, strict=True) for text in (f"{one:.3f}", f"x {one / other:.2f}")
        ]
        made.add_row(variant.name, *cells, str(sum(run.load.errors for run in runs)))
    return made


def _figures(runs: list[Run]) -> tuple[float, float, float]:
    return (
        statistics.median(run.load.p50_s for run in runs) * 1e3,
        statistics.median(run.load.p99_s for run in runs) * 1e3,
        statistics.median(run.cpu_s for run in runs) * 1e6,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rate", type=float, default=500.0, help="requests a second")
    asked = parser.parse_args()
    found = measure(asked.rounds, asked.seconds, asked.rate)
    Console(highlight=False, width=120).print(table(found))
    base = _figures(found[VARIANTS[0]])
    worst = max(one / other for runs in found.values() for one, other in zip(_figures(runs), base, strict=True))
    errors = sum(run.load.errors for runs in found.values() for run in runs)
    raise SystemExit(0 if worst <= _TOLERANCE and not errors else 1)


if __name__ == "__main__":
    main()
