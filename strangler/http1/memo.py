# Compiled with mypyc: see docs/hot-path.md.
"""A cache of what bytes were parsed to: clients and upstreams repeat the same bytes again and again."""

from typing import Generic, TypeVar

_Value = TypeVar("_Value")


class Memo(Generic[_Value]):
    """A bounded mapping from exact bytes to their parsed value; the oldest entry goes first.

    Entries and the length of a key are bounded, so that a peer that never repeats itself cannot fill the memory: at
    most `entries` times a few kilobytes.
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
