"""The body of a mirrored request: read to its end, kept only as far as it is needed, and sent nowhere."""

import asyncio

MAX_HELD_BYTES = 32 * 1024 * 1024
"""The most bytes of all bodies that are coming in."""


class BodyBudget:
    """Counts the bytes of the bodies that are coming in."""

    def __init__(self, max_bytes: int = MAX_HELD_BYTES) -> None:
        self._left_bytes = max_bytes

    def try_take(self, size: int) -> bool:
        """Take room for `size` bytes; False if there is none."""
        if size > self._left_bytes:
            return False
        self._left_bytes -= size
        return True

    def give_back(self, size: int) -> None:
        """Give room back."""
        self._left_bytes += size


class KeptBody(asyncio.Transport):
    """The end of one body: a transport that sends nothing. What is too large is not kept at all."""

    def __init__(self, budget: BodyBudget, max_bytes: int) -> None:
        super().__init__()
        self.why_lost: str | None = None
        """Why the body is not kept, as the metric of dropped shadows says it; None: it is."""
        self._budget = budget
        self._max_bytes = max_bytes
        self._parts: list[bytes] = []
        self._size = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep more bytes, or drop them."""
        if self.why_lost is not None:
            return
        if self._size + len(data) > self._max_bytes:
            self._lose("too_large")
        elif not self._budget.try_take(len(data)):
            self._lose("memory")
        else:
            self._size += len(data)
            self._parts.append(bytes(data))

    def take(self) -> bytes:
        """Return the whole body, and give its room back."""
        content = b"".join(self._parts)
        self.release()
        return content

    def release(self) -> None:
        """Give the room of the body back."""
        self._parts.clear()
        self._budget.give_back(self._size)
        self._size = 0

    def _lose(self, why: str) -> None:
        self.why_lost = why
        self.release()
