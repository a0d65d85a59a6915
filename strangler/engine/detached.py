"""A program of its own that starts Envoy apart from whoever asks for it, and prints the pid: `detached.py COMMAND…`.

Envoy asks the system for a SIGTERM at the death of its parent (PR_SET_PDEATHSIG, prctl(2)). So it must not be the child
of a process that may be killed: this one starts it, ends, and Envoy begins only when it has been given another parent,
which is process 1 or what stands in for it.
"""

import os
import sys
import time

_LOOK_EVERY_S = 0.001


def main() -> None:
    """Start the command that the arguments are."""
    first = os.getpid()
    pid = os.fork()
    if pid:
        os.write(1, b"%d\n" % pid)
        os._exit(0)
    while os.getppid() == first:
        time.sleep(_LOOK_EVERY_S)
    os.dup2(2, 1)  # standard output is the pipe that the pid went into
    os.setpgid(0, 0)
    os.execv(sys.argv[1], sys.argv[1:])  # noqa: S606 - the program that the operator names, no shell


if __name__ == "__main__":
    main()
