"""Unix sockets in folders whose paths may be too long for the system: they are named by the folder's descriptor."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_BACKLOG = 16


@contextmanager
def short_path(folder: Path, name: str) -> Iterator[str]:
    """Return a path of a name in a folder that is short, whatever that of the folder. Raises OSError."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)


def listen_in(folder: Path, name: str) -> socket.socket:
    """Return a socket that listens at a name in a folder, and replaces what is left there. Raises OSError."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        with suppress(FileNotFoundError):
            os.unlink(folder / name)
        with short_path(folder, name) as path:
            listener.bind(path)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(before)
    return listener
