"""The benchmark of shadows judges what it measured, and leaves nothing behind, however it ends."""

import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from shutil import which

import psutil
import pytest

from benchmarks.load import Load
from benchmarks.shadow import AGAIN, HANGING, KILLED, PLAIN, PLAIN_KILLED, RESPONDING, Run, Variant, is_kept, ratios

ROOT = Path(__file__).parent.parent.parent


def command(process: psutil.Process) -> str:
    with suppress(psutil.NoSuchProcess):
        return " ".join(process.cmdline())
    return ""


def run(p50_ms: float = 1.0, p99_ms: float = 2.0, cpu_us: float = 100.0, errors: int = 0) -> Run:
    return Run(Load(1000, 2.0, errors, p50_ms / 1e3, p99_ms / 1e3), cpu_us / 1e6)


def found(changed: Variant, *runs: Run) -> dict[Variant, list[Run]]:
    return {variant: [run()] for variant in (PLAIN, HANGING, RESPONDING, AGAIN, PLAIN_KILLED, KILLED)} | {
        changed: list(runs)
    }


def test_a_variant_is_divided_by_the_median_of_all_runs_without_shadows() -> None:
    measured = found(HANGING, run(p50_ms=2.0))
    measured[PLAIN], measured[AGAIN] = [run(p50_ms=4.0)], [run(p50_ms=1.0), run(p50_ms=2.0)]
    assert ratios(measured, HANGING) == pytest.approx((1.0, 1.0, 1.0))


def test_with_control_killed_it_is_divided_by_the_same_without_shadows() -> None:
    assert ratios(found(PLAIN_KILLED, run(p99_ms=4.0)), KILLED) == pytest.approx((1.0, 0.5, 1.0))


@pytest.mark.parametrize(
    ("measured", "kept"),
    [
        pytest.param(found(HANGING, run(1.09, 2.18, 109)), True, id="all within a tenth"),
        pytest.param(found(HANGING, run(p50_ms=1.2)), False, id="p50 beyond"),
        pytest.param(found(KILLED, run(p99_ms=2.3)), False, id="p99 beyond"),
        pytest.param(found(KILLED, run(cpu_us=112)), False, id="CPU beyond"),
        pytest.param(found(KILLED, run(), run(), run(p99_ms=50)), True, id="the median counts"),
        pytest.param(found(RESPONDING, run(p99_ms=50)), True, id="not promised"),
        pytest.param(found(RESPONDING, run(errors=1)), False, id="a request was lost"),
    ],
)
def test_the_promise_is_a_tenth_and_no_lost_request(measured: dict[Variant, list[Run]], kept: bool) -> None:
    assert is_kept(measured) is kept


@pytest.mark.skipif(not (which("nginx") and which("haproxy")), reason="the upstream is nginx and haproxy")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ended_by_a_signal_it_ends_all_that_it_has_started(number: signal.Signals) -> None:
    benchmark = subprocess.Popen([sys.executable, "-m", "benchmarks.shadow"], cwd=ROOT, start_new_session=True)
    started: list[psutil.Process] = []
    try:
        deadline = time.monotonic() + 30
        while not any("strangler.worker" in command(process) for process in started) and time.monotonic() < deadline:
            started = psutil.Process(benchmark.pid).children(recursive=True)
            time.sleep(0.1)
        assert len(started) >= 4  # nginx, its worker, strangler, its worker
        benchmark.send_signal(number)
        assert benchmark.wait(20) == 128 + number
        _, left = psutil.wait_procs(started, timeout=5)
        assert left == []
    finally:
        benchmark.kill()
        for process in started:
            if process.is_running():
                process.kill()
