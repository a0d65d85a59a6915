"""A file that is mounted by itself, as `docker run -v ./routes.yaml:/etc/strangler/routes.yaml` does.

A mount keeps the file that it was made for. When an editor outside writes a new file and gives it the old name, the old
file stays inside.
"""

import os
from pathlib import Path
from typing import Final

_MOUNTS: Final = Path("/proc/self/mountinfo")
_ESCAPES: Final = ((r"\040", " "), (r"\011", "\t"), (r"\012", "\n"), (r"\134", "\\"))
WAY_OUT: Final = "mount its folder, not the file, and restart the container"


def replaced_outside(path: Path) -> str:
    """Return the message that a file was replaced by another outside."""
    return f"{path.name} was replaced outside"


def is_replaced(status: os.stat_result) -> bool:
    """True if a file that can still be reached no longer has a name: only a mount keeps such a file."""
    return status.st_nlink == 0


def mounted_file(path: Path) -> str | None:
    """Return the file that is mounted at a path, by its name in its own file system; None if none is.

    The name follows the file: it changes when somebody outside renames the file.
    """
    try:
        lines = _MOUNTS.read_text(errors="surrogateescape").splitlines()
        wanted = str(path.resolve())
    except OSError:
        return None
    found = None
    for line in lines:  # proc(5): id, parent, device, root, mount point, …; the last one covers the others
        fields = line.split(" ", 5)
        if len(fields) > 4 and _unescaped(fields[4]) == wanted:
            found = _unescaped(fields[3])
    return found


def _unescaped(text: str) -> str:
    for written, meant in _ESCAPES:
        text = text.replace(written, meant)
    return text
