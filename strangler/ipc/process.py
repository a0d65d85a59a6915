"""Child processes and signals, for the supervisor."""

import os
import resource
import select
import signal
import site
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import strangler
from strangler.ipc.start import ControlStart, WorkerStart, to_environ

FIRST_DELAY_S = 0.5
MAX_DELAY_S = 30.0


def restart_delay_s(failures: int) -> float:
    """Return the delay before a process that died `failures` times in a row is started again; the first time, 0."""
    if failures <= 1:
        return 0.0
    return min(FIRST_DELAY_S * 2.0 ** min(failures - 2, 16), MAX_DELAY_S)


def spawn(
    command: Sequence[str],
    start: WorkerStart | ControlStart,
    descriptors: tuple[int, ...],
    stderr_fd: int | None = None,
) -> subprocess.Popen[bytes]:
    """Start a child that inherits these descriptors, and our standard error unless it gets its own. Raises OSError.

    It has its own process group: otherwise Ctrl-C in a terminal would reach it directly, not by way of its parent.
    """
    return subprocess.Popen(  # noqa: S603 - our own programs, no shell
        command, env=_environ(start), pass_fds=descriptors, stdin=subprocess.DEVNULL, stderr=stderr_fd, process_group=0
    )


def make_nicer(pid: int, by: int) -> None:
    """Lower the priority of a process that has just been started: `by` as in nice(1), and on Linux as a batch process
    (sched(7)), which does not interrupt others when it wakes up.

    On Linux this holds for its first thread, and all later ones inherit it. Where the system does not allow it, the
    process stays as it is.
    """
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, 0) + by)
        if hasattr(os, "SCHED_BATCH"):
            os.sched_setscheduler(pid, os.SCHED_BATCH, os.sched_param(0))


def _environ(start: WorkerStart | ControlStart) -> dict[str, str]:
    """Return our environment with the start and, if the package is run without installation, the path to it."""
    environ = dict(os.environ) | to_environ(start)
    root = str(Path(strangler.__file__).parent.parent)
    if root not in site.getsitepackages():
        environ["PYTHONPATH"] = os.pathsep.join(filter(None, (environ.get("PYTHONPATH"), root)))
    return environ


def raise_file_limit() -> int:
    """Raise the limit of open files and sockets, for this process and its children, to the most allowed; return it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # macOS refuses what it reports: the soft limit stays then
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if allowed == resource.RLIM_INFINITY else allowed


def has_ended(pipe_fd: int) -> bool:
    """Return True if the pipe has no open writing end any more. Does not wait."""
    poll = select.poll()
    poll.register(pipe_fd, 0)  # POLLHUP is always reported
    return bool(poll.poll(0))


def how_it_ended(status: int) -> str:
    """Return a process's return code, as subprocess gives it, in words."""
    if status >= 0:
        return f"exit code {status}"
    with suppress(ValueError):
        return f"killed by {signal.Signals(-status).name}"
    return f"killed by signal {-status}"


@contextmanager
def signals(numbers: Sequence[signal.Signals]) -> Iterator[socket.socket]:
    """Yield a socket from which the number of each of these signals can be read as it comes, one byte each."""
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    writer.setblocking(False)
    before = {number: signal.signal(number, lambda *_: None) for number in numbers}
    wakeup = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        yield reader
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        reader.close()
        writer.close()
