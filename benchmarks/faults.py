"""What clients see of faults: `python -m benchmarks.faults`.

A constant load of reads and writes runs through two workers while one fault after the other is injected and removed
again. The proxy has core 0; the clients and both upstreams share core 1. Each write carries its own X-Request-Id, and
the upstreams count the writes that they ran: a write that ran twice would be a bug of the proxy.
"""

import asyncio
import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import click
import psutil
import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks.faults_load import LoadState, Sample
from benchmarks.faulty import FaultyUpstream, Mode
from benchmarks.load import run_on
from benchmarks.processes import free_port, running

PROXY_CPU, LOAD_CPU = 0, 1
CANDIDATE_SLOW_S = 0.45
LEGACY_SLOW_S = 0.2

ROUTES = """\
version: 1
listen: 127.0.0.1:{listen}
admin: {{listen: 127.0.0.1:{admin}}}
workers: 2
state: {state}
upstreams:
  legacy: {{url: "http://127.0.0.1:{legacy}"}}
  orders:
    url: http://127.0.0.1:{candidate}
    timeouts: {{connect: 500ms, response: 500ms}}
    bulkhead: {{in_flight: 32, waiting: 16, wait: 50ms}}
    breaker: {{cooldown: 500ms, max_cooldown: 1s}}
routes:
  - name: orders
    match: {{prefix: /api/orders}}
    candidate: orders
    split: {{percent: 100}}
    fallback: {{when: [connect, reset, timeout, bad_response, open, full, 500, 502, 503, 504]}}
# {note}
"""


@dataclass(slots=True)
class Stage:
    """The proxy with its upstreams and its configuration."""

    pid: int
    port: int
    routes: Path
    text: Callable[[str], str]
    legacy: FaultyUpstream
    candidate: FaultyUpstream

    def processes(self, module: str) -> list[psutil.Process]:
        """Return the children of the supervisor that run `module`."""
        return [child for child in psutil.Process(self.pid).children() if module in child.cmdline()]

    async def until_whole(self) -> None:
        """Wait until all processes run again."""
        while len(self.processes("strangler.worker")) < 2 or not self.processes("strangler.control"):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


Fault = Callable[[Stage], AbstractAsyncContextManager[None]]


def _mode(of: str, mode: Mode) -> Fault:
    @asynccontextmanager
    async def fault(stage: Stage) -> AsyncIterator[None]:
        upstream: FaultyUpstream = getattr(stage, of)
        upstream.mode = mode
        yield
        upstream.mode = Mode.WELL

    return fault


@asynccontextmanager
async def _refuses(stage: Stage) -> AsyncIterator[None]:
    await stage.candidate.stop()
    yield
    await stage.candidate.start()


def _again_and_again(action: Callable[[Stage], object], pause_s: float) -> Fault:
    @asynccontextmanager
    async def fault(stage: Stage) -> AsyncIterator[None]:
        async def repeat() -> None:
            while True:
                action(stage)
                await asyncio.sleep(pause_s)

        task = asyncio.create_task(repeat())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await stage.until_whole()

    return fault


def _signal(module: str, number: signal.Signals) -> Callable[[Stage], None]:
    """Return a function that sends the signal to the oldest process that runs `module`."""

    def send(stage: Stage) -> None:
        found = sorted(stage.processes(module), key=psutil.Process.create_time)
        if found:
            os.kill(found[0].pid, number)

    return send


def _edit(stage: Stage) -> None:
    draft = stage.routes.with_suffix(".new")
    draft.write_text(
        stage.text(f"edited at {time.time()}").replace("percent: 100", f"percent: {99 + random.random():.2f}")
    )
    draft.replace(stage.routes)


FAULTS: dict[str, Fault] = {
    "candidate refuses": _refuses,
    "candidate hangs": _mode("candidate", Mode.HANGS),
    "candidate resets in the head": _mode("candidate", Mode.RESETS_IN_HEAD),
    "candidate resets in the body": _mode("candidate", Mode.RESETS_IN_BODY),
    "candidate drips": _mode("candidate", Mode.DRIPS),
    "candidate answers 500": _mode("candidate", Mode.SAYS_500),
    "candidate answers 503": _mode("candidate", Mode.SAYS_503),
    "candidate sends less than it said": _mode("candidate", Mode.SENDS_LESS),
    "candidate sends more than it said": _mode("candidate", Mode.SENDS_MORE),
    "candidate slow, at its limit": _mode("candidate", Mode.IS_SLOW),
    "legacy slow": _mode("legacy", Mode.IS_SLOW),
    "worker killed, every second": _again_and_again(_signal("strangler.worker", signal.SIGKILL), 1.0),
    "worker restarted, every 2 s": _again_and_again(_signal("strangler.worker", signal.SIGTERM), 2.0),
    "control killed, every second": _again_and_again(_signal("strangler.control", signal.SIGKILL), 1.0),
    "reload storm, 10 a second": _again_and_again(_edit, 0.1),
}


@dataclass(frozen=True, slots=True)
class Row:
    """The effect of one fault. p99s are in seconds: before, during and after it."""

    fault: str
    requests: int
    read_errors: int
    write_errors: int
    ran_twice: int
    lost: int
    """Writes whose response was 2xx, but that never ran."""
    candidate_p99: tuple[float, float, float]
    legacy_p99: tuple[float, float, float]


async def inject(stage: Stage, name: str, rate: float, seconds: float) -> Row:
    """Load for three times `seconds`, with the fault in the second third."""
    load = LoadState(stage.port, rate)
    for upstream in (stage.legacy, stage.candidate):
        upstream.ran.clear()

    async def trouble() -> None:
        await asyncio.sleep(seconds)
        async with FAULTS[name](stage):
            await asyncio.sleep(seconds)

    async with asyncio.TaskGroup() as group:
        group.create_task(load.run(3 * seconds))
        group.create_task(trouble())
    load.close()
    ran = Counter(stage.legacy.ran) + Counter(stage.candidate.ran)
    errors = Counter(sample.kind for sample in load.samples if sample.is_error)
    return Row(
        name,
        len(load.samples),
        errors["read"] + errors["legacy"],
        errors["write"],
        sum(count > 1 for count in ran.values()),
        len(load.responded - ran.keys()),
        _p99s(load.samples, ("read", "write"), seconds),
        _p99s(load.samples, ("legacy",), seconds),
    )


def _p99s(samples: list[Sample], kinds: tuple[str, ...], seconds: float) -> tuple[float, float, float]:
    def p99(phase: int) -> float:
        took = sorted(s.took for s in samples if s.kind in kinds and int(s.due // seconds) == phase)
        return took[int(len(took) * 0.99)] if took else 0.0

    return p99(0), p99(1), p99(2)


@asynccontextmanager
async def staged(folder: Path) -> AsyncIterator[Stage]:
    """Run the proxy and both upstreams."""
    legacy = FaultyUpstream("legacy", LEGACY_SLOW_S)
    candidate = FaultyUpstream("candidate", CANDIDATE_SLOW_S)
    ports = {"listen": free_port(), "admin": free_port()}
    async with AsyncExitStack() as stack:
        for upstream in (legacy, candidate):
            await upstream.start()
            stack.push_async_callback(upstream.stop)

        def text(note: str) -> str:
            return ROUTES.format(
                **ports, state=folder / "state", legacy=legacy.port, candidate=candidate.port, note=note
            )

        routes = folder / "routes.yaml"
        routes.write_text(text("as it began"))
        command = [sys.executable, "-m", "strangler", "serve", "-c", str(routes)]
        proxy = running(command, PROXY_CPU, folder / "log", port=ports["listen"])
        pid = await asyncio.to_thread(proxy.__enter__)
        stack.push_async_callback(asyncio.to_thread, proxy.__exit__, None, None, None)
        stage = Stage(pid, ports["listen"], routes, text, legacy, candidate)
        await stage.until_whole()
        yield stage


def table(rows: list[Row]) -> Table:
    made = Table(title="p99 in ms: before · during · after the fault", title_justify="left")
    for column in ("fault", "requests", "reads failed", "writes failed", "ran twice", "lost"):
        made.add_column(column, justify="left" if column == "fault" else "right")
    made.add_column("p99, orders", justify="right")
    made.add_column("p99, legacy's own", justify="right")
    for row in rows:
        counts = (row.requests, row.read_errors, row.write_errors, row.ran_twice, row.lost)
        made.add_row(row.fault, *map(str, counts), _three(row.candidate_p99), _three(row.legacy_p99))
    return made


def _three(p99s: tuple[float, float, float]) -> str:
    return " · ".join(f"{p99 * 1000:.0f}" for p99 in p99s)


def _verdict(rows: list[Row]) -> str:
    twice, lost = sum(row.ran_twice for row in rows), sum(row.lost for row in rows)
    lines = [f"Writes that ran twice: {twice}. Writes with a 2xx response that never ran: {lost}."]
    for row in rows:
        if row.fault == "candidate slow, at its limit":
            before, during, _ = (p99 * 1000 for p99 in row.legacy_p99)
            lines.append(
                f"Legacy's own traffic beside a slow candidate: p99 {before:.1f} ms before, {during:.1f} during."
            )
    return "\n".join(lines)


@click.command()
@click.option(
    "--fault", "names", multiple=True, type=click.Choice(list(FAULTS)), help="Only this fault; may be repeated."
)
@click.option("--rate", default=300.0, show_default=True, help="Requests per second.")
@click.option("--seconds", default=4.0, show_default=True, help="Length of each phase: before, during, after.")
def main(names: tuple[str, ...], rate: float, seconds: float) -> None:
    """Inject faults under load and print what clients saw. Exit status 1 if a write ran twice or was lost."""
    run_on(LOAD_CPU)
    console = Console(width=150, highlight=False, log_path=False)

    async def run() -> list[Row]:
        rows = []
        with tempfile.TemporaryDirectory() as folder:
            async with staged(Path(folder)) as stage:
                await LoadState(stage.port, rate).run(1.0)
                for name in names or FAULTS:
                    console.log(name)
                    rows.append(await inject(stage, name, rate, seconds))
                    await asyncio.sleep(1.5)  # until breakers are closed again
        return rows

    rows = uvloop.run(run())
    console.print(table(rows))
    console.print(_verdict(rows))
    if any(row.ran_twice or row.lost for row in rows):
        raise SystemExit(1)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
