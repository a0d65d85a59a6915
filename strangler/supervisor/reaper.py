"""The duty of process 1: it inherits the orphans of other processes in a container, and has to wait for them."""

import os
from collections.abc import Collection

import structlog

MAX_REAPED = 1000  # of processes that are not ours, in one turn

log = structlog.get_logger()


def reap_orphans(own_pids: Collection[int]) -> None:
    """Reap dead children that are not ours. A dead process of `own_pids` is left to its owner."""
    for _ in range(MAX_REAPED):
        try:
            dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:  # there are none at all
            return
        if dead is None or dead.si_pid in own_pids:  # one of ours has just died: its signal wakes us again
            return
        os.waitpid(dead.si_pid, 0)
        log.debug("supervisor.reaped", child_pid=dead.si_pid)
