"""The store as its users see it, whether it is a file of this node or a server that several nodes share."""

from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol, TypeVar

from strangler.store.connection import Connection

PATIENCE_S: Final = 5.0
"""How long a server may take for a call, in seconds; from then on it counts as slow."""

_T = TypeVar("_T")


class StoreError(Exception):
    """Nothing was stored; `Store.problem` says why."""


class InDoubtError(StoreError):
    """The store was lost before it said whether it has stored a call: it has stored all of it, or nothing."""


class Store(Protocol):
    """Runs each call in a thread of its own, in one transaction."""

    @property
    def is_shared(self) -> bool:
        """Whether other nodes write the store, too."""

    @property
    def place(self) -> str:
        """Where it is, in words for messages: a path, or a server and its database."""

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

    async def call(self, work: Callable[[Connection], _T], patience_s: float = PATIENCE_S) -> _T:
        """Return the result of `work`. `patience_s`: how long a server may take for it altogether.

        Raises StoreError; nothing of `work` is stored then, unless it is an InDoubtError.
        """

    async def read(self, work: Callable[[Connection], _T]) -> _T:
        """Return the result of `work`, which only reads, beside the calls. Raises DatabaseError."""

    async def doubt(self) -> None:
        """Check all of the store, since a reader found it corrupt."""

    async def close(self) -> None:
        """Wait for calls in progress, and close the store."""
