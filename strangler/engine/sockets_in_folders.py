"""Unix sockets in folders whose paths may be too long for the system: they are bound by the folder's descriptor."""

import os
import socket
from contextlib import suppress
from pathlib import Path

_BACKLOG = 16


def listen_in(folder: Path, name: str) -> socket.socket:
    """Return a socket that listens at a name in a folder, and replaces what is left there. Raises OSError."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        with suppress(FileNotFoundError):
            os.unlink(folder / name)
        listener.bind(f"/proc/self/fd/{descriptor}/{name}")
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(before)
        os.close(descriptor)
    return listener
