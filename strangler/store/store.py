"""The store as its users see it, whether it is a file of this node or a server that several nodes share."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from strangler.store.connection import Connection

_T = TypeVar("_T")


class StoreError(Exception):
    """Nothing was stored; `Store.problem` says why."""


class Store(Protocol):
    """Runs each call in a thread of its own, in one transaction."""

    @property
    def is_shared(self) -> bool:
        """Whether other nodes write the store, too."""

    @property
    def folder(self) -> Path:
        """The state folder of this node."""

    @property
    def problem(self) -> str | None:
        """Why nothing can be stored."""

    @property
    def corruption(self) -> str | None:
        """The same as `problem`, if the store is corrupt: its content must not be used."""

    @property
    def log_bytes(self) -> int:
        """The size of SQLite's write-ahead log."""

    @property
    def log_problem(self) -> str | None:
        """Why the log is large. It only costs disk space."""

    async def call(self, work: Callable[[Connection], _T]) -> _T:
        """Return the result of `work`. Raises StoreError; nothing of `work` is stored then."""

    async def read(self, work: Callable[[Connection], _T]) -> _T:
        """Return the result of `work`, which only reads, beside the calls. Raises DatabaseError."""

    async def doubt(self) -> None:
        """Check all of the store, since a reader found it corrupt."""

    async def close(self) -> None:
        """Wait for calls in progress, and close the store."""
