"""Files that appear whole or not at all, readable by their owner only."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

_READABLE: Final = 0o600
_EXECUTABLE: Final = 0o700


@contextmanager
def whole_file(path: Path, *, force: bool, is_script: bool = False) -> Iterator[IO[bytes]]:
    """Open a file beside `path` that gets its name at the end, and goes if an error ends it.

    Raises FileExistsError if there is a file of that name, unless `force`. A link of that name is replaced, never
    followed. Raises OSError.
    """
    if not force and os.path.lexists(path):
        raise FileExistsError(path)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", dir=path.parent)
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), _EXECUTABLE if is_script else _READABLE)
            yield file
            file.flush()
            os.fsync(file.fileno())
        if force:
            part.replace(path)
        else:
            _link(part, path)
    finally:
        with suppress(FileNotFoundError):
            part.unlink()


def _link(part: Path, path: Path) -> None:
    """Give the file its name, if there is none of that name by now. Raises OSError."""
    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if os.path.lexists(path):
            raise FileExistsError(path) from None
        part.replace(path)
