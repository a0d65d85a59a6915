"""shadow-diffs.jsonl: one line for each comparison that is not a match. Rotated by size."""

import os
from collections.abc import Iterable
from pathlib import Path

from strangler.state.files import JOURNAL, MAX_OLD_JOURNALS

MAX_BYTES = 64 * 1024 * 1024


class Journal:
    """Owns the file. Used by the store's thread only."""

    def __init__(self, folder: Path, max_bytes: int = MAX_BYTES) -> None:
        self._path = folder / JOURNAL
        self._max_bytes = max_bytes

    def append(self, lines: Iterable[bytes]) -> None:
        """Write whole lines, so that a reader that follows the file never sees part of a line. Raises OSError."""
        data = b"".join(lines)
        if not data:
            return
        self._rotate()
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            _write_all(descriptor, data)
        finally:
            os.close(descriptor)

    def _rotate(self) -> None:
        try:
            if self._path.stat().st_size < self._max_bytes:
                return
        except FileNotFoundError:
            return
        for number in range(MAX_OLD_JOURNALS - 1, 0, -1):
            older = self._numbered(number)
            if older.exists():
                older.replace(self._numbered(number + 1))
        self._path.replace(self._numbered(1))

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{JOURNAL}.{number}")


def _write_all(descriptor: int, data: bytes) -> None:
    """Write all of the data or, if the disk becomes full, nothing."""
    before = os.fstat(descriptor).st_size
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
    except OSError:
        os.ftruncate(descriptor, before)
        raise
