"""The transport that collects a body which is read whole."""

import asyncio
from collections.abc import Callable


class Sink(asyncio.Transport):
    """Keeps up to `limit` bytes. When more come, `on_overflow` is called once and nothing is kept."""

    def __init__(self, limit: int, on_overflow: Callable[[], object]) -> None:
        super().__init__()
        self.is_over = False
        self._limit = limit
        self._on_overflow = on_overflow
        self._parts: list[bytes] = []
        self._size = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.is_over:
            return
        self._size += len(data)
        if self._size > self._limit:
            self.is_over = True
            self._parts.clear()
            self._on_overflow()
        else:
            self._parts.append(bytes(data))

    def content(self) -> bytes:
        """Return all that has come."""
        return b"".join(self._parts)
