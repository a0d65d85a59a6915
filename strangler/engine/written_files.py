"""The files that Envoy follows: written whole, and put in place by a rename, which is what Envoy notices."""

import os
from contextlib import suppress
from pathlib import Path

_MODE = 0o600


def put(folder: Path, name: str, content: bytes) -> None:
    """Replace a file. Raises OSError, and then the file is as it was."""
    part = folder / f".{name}.part"
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _MODE)
    try:
        _write_all(descriptor, content)
        os.fchmod(descriptor, _MODE)
    except OSError:
        with suppress(OSError):
            os.unlink(part)  # what is half written takes room that another file may need
        raise
    finally:
        os.close(descriptor)
    os.replace(part, folder / name)


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
