"""Child processes and signals, as the supervisor needs them."""

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


def spawn(
    command: Sequence[str],
    start: WorkerStart | ControlStart,
    descriptors: tuple[int, ...],
    stderr_fd: int | None = None,
) -> subprocess.Popen[bytes]:
    """Start a child that inherits these descriptors, and our standard error if it is not given its own. Raises OSError.

    It is in a process group of its own, or Ctrl-C in a terminal would reach it past its parent.
    """
    return subprocess.Popen(  # noqa: S603 - our own programs, no shell
        command, env=_environ(start), pass_fds=descriptors, stdin=subprocess.DEVNULL, stderr=stderr_fd, process_group=0
    )


def make_nicer(pid: int, by: int) -> None:
    """Have a process that has just been started give way to this one: `by` as in nice(1), and where there is such a
    class (Linux, sched(7)) as one for batches, that does not interrupt others as it wakes up.

    On Linux that is said of its first thread, and all that it starts later take after it. A system that does not allow
    it leaves the process as it is.
    """
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, 0) + by)
        if hasattr(os, "SCHED_BATCH"):
            os.sched_setscheduler(pid, os.SCHED_BATCH, os.sched_param(0))


def _environ(start: WorkerStart | ControlStart) -> dict[str, str]:
    """Ours, the start, and, if this package is not installed but run from its folder, where to find it."""
    environ = dict(os.environ) | to_environ(start)
    root = str(Path(strangler.__file__).parent.parent)
    if root not in site.getsitepackages():
        environ["PYTHONPATH"] = os.pathsep.join(filter(None, (environ.get("PYTHONPATH"), root)))
    return environ


def raise_file_limit() -> int:
    """Let this process, and what it starts, have as many files and sockets open as the system allows; how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # macOS refuses what it reports: the soft limit stays then
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if allowed == resource.RLIM_INFINITY else allowed


def has_ended(pipe_fd: int) -> bool:
    """True if nobody can write to the pipe any more. Does not wait."""
    poll = select.poll()
    poll.register(pipe_fd, 0)  # POLLHUP is told in any case
    return bool(poll.poll(0))


def how_it_ended(status: int) -> str:
    """A process's return code, as subprocess gives it, in words."""
    if status >= 0:
        return f"exit code {status}"
    with suppress(ValueError):
        return f"killed by {signal.Signals(-status).name}"
    return f"killed by signal {-status}"


@contextmanager
def signals(numbers: Sequence[signal.Signals]) -> Iterator[socket.socket]:
    """A socket that yields the number of each of these signals that comes, one byte each."""
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
