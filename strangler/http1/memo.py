# Compiled with mypyc: see docs/hot-path.md.
"""Remembers what bytes meant. Clients and upstreams say the same thing again and again."""

from typing import Generic, TypeVar

_Value = TypeVar("_Value")


class Memo(Generic[_Value]):
    """A bounded mapping from exact bytes to what they were found to mean; the oldest entry goes first.

    Bounded in entries and in the length of a key, so that nobody fills the memory by never repeating themselves:
    at most `entries` times a few kilobytes.
    """

    __slots__ = ("_entries", "_known", "_longest_bytes", "get")

    def __init__(self, entries: int, longest_bytes: int) -> None:
        self._entries = entries
        self._longest_bytes = longest_bytes
        self._known: dict[bytes, _Value] = {}
        self.get = self._known.get

    def put(self, key: bytes, value: _Value) -> None:
        if len(key) > self._longest_bytes:
            return
        if len(self._known) >= self._entries:
            del self._known[next(iter(self._known))]
        self._known[key] = value
