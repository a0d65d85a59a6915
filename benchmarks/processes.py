"""Processes under measurement: pinned to cores, their CPU time and memory read from /proc, ended by pid."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
START_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Usage:
    """The CPU time and memory that a process and its descendants have used so far."""

    cpu_s_by_pid: dict[int, float]
    rss_bytes: int
    pss_bytes: int
    """Shared pages divided among their users: the fair figure for several processes."""

    @property
    def cpu_s(self) -> float:
        return sum(self.cpu_s_by_pid.values())


def usage(pid: int) -> Usage:
    """Return the sum over the process, its running descendants, and the others of its session, if it leads one.

    The Envoy of `engine: envoy` is nobody's child, so that it survives whoever started it.
    """
    cpu_s: dict[int, float] = {}
    rss = pss = 0
    root = psutil.Process(pid)
    for process in {root, *root.children(recursive=True), *_of_session(pid)}:
        with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
            cpu_s[process.pid] = _cpu_s(process.pid)
            memory = _rollup(process.pid)
            rss += memory.get("Rss", 0)
            pss += memory.get("Pss", 0)
    return Usage(cpu_s, rss, pss)


def _of_session(leader: int) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getsid(process.pid) == leader:
                yield process


def settle(pid: int, timeout_s: float = 30.0) -> None:
    """Wait until the process has finished its start: under 5 % of a core for half a second."""
    deadline = time.monotonic() + timeout_s
    before = usage(pid).cpu_s
    while time.monotonic() < deadline:
        time.sleep(0.5)
        now = usage(pid).cpu_s
        if now - before < 0.025:
            return
        before = now


def _cpu_s(pid: int) -> float:
    """Return utime + stime of /proc/PID/stat (proc(5)), of all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def on_cpu_s(pid: int) -> float:
    """Return the seconds on a core of all running threads, by schedstat (proc(5)), which is finer than clock ticks.

    Raises FileNotFoundError if there is no such process.
    """
    spent_ns = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # that thread has just ended
            spent_ns += int((thread / "schedstat").read_text().split()[0])
    return spent_ns / 1e9


def _rollup(pid: int) -> dict[str, int]:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    values = [line.split() for line in lines if line.endswith("kB")]
    return {parts[0].rstrip(":"): int(parts[1]) * 1024 for parts in values}


@contextlib.contextmanager
def running(command: Sequence[str], cpu: int | str, output: Path, *, port: int | None = None) -> Iterator[int]:
    """Run `command` with all its threads on core `cpu` (or cores: "0,1"); yield its pid once it responds on `port`.

    It is ended whatever happens.
    """
    with output.open("wb") as sink:
        process = subprocess.Popen(
            ["taskset", "-c", str(cpu), *command],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches this process only, which ends the others in order
        )
    try:
        if port is not None:
            _wait_for(process, port, output)
        yield process.pid
    finally:
        _end(process)


def _wait_for(process: "subprocess.Popen[bytes]", port: int, output: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        if _responds(port):
            return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args!r} does not respond on {port}:\n{output.read_text(errors='replace')[-3000:]}")


def _responds(port: int) -> bool:
    """Return True if a response comes: a listening socket alone may belong to a parent whose workers still start."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as sock:
        sock.settimeout(2)
        sock.sendall(b"GET /ready HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
        return bool(sock.recv(1))
    return False


def _end(process: "subprocess.Popen[bytes]") -> None:
    children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()


@contextlib.contextmanager
def ended_by_signals(*numbers: signal.Signals) -> Iterator[None]:
    """End this process at these signals by an exception, so that the processes that it has started end with it.

    A second signal changes nothing.
    """

    def end(number: int, _: object) -> None:
        for signals in numbers:
            signal.signal(signals, signal.SIG_IGN)
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
