"""The leadership: of the nodes that share a store, one moves rollouts, prunes, and sends events."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from strangler.store.connection import Connection
from strangler.store.store import Store, StoreError

_T = TypeVar("_T")


class NotLeaderError(StoreError):
    """Nothing was stored, since another node leads, or may lead."""


class Leadership(Protocol):
    """The right to act for all nodes, as this node sees it."""

    @property
    def holds(self) -> bool:
        """Whether this node leads, as far as it knows; only `call` is sure."""

    @property
    def leader(self) -> str | None:
        """The name of the node that leads, as far as is known."""

    async def call(self, work: Callable[[Connection], _T]) -> _T:
        """Return the result of `work`, in a transaction that only the leader may make. Raises NotLeaderError and other
        StoreErrors; nothing of `work` is stored then."""


class SoleLeadership:
    """The leadership of a node that shares its store with no other."""

    def __init__(self, store: Store, node: str = "") -> None:
        self._store = store
        self._node = node

    @property
    def holds(self) -> bool:
        return True

    @property
    def leader(self) -> str | None:
        return self._node

    async def call(self, work: Callable[[Connection], _T]) -> _T:
        return await self._store.call(work)
