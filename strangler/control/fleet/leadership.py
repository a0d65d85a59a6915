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
        """Whether this node leads. It turns False by this node's own clock before another can lead, so that a node that
        was stopped or cut off acts no more; what it stores is fenced by `call` all the same."""

    @property
    def epoch(self) -> int:
        """The number of this leadership, which is greater than that of any before; 0 if this node does not lead."""

    @property
    def leader(self) -> str | None:
        """The name of the node that leads; None if none does, or it is not known."""

    def subscribe(self, follower: Callable[[bool], object]) -> None:
        """Have `follower` called with True once this node leads, before `holds` says so, and with False once it no
        longer does. What it knows may be out of date when it leads: it reads it again."""

    async def call(self, work: Callable[[Connection], _T]) -> _T:
        """Return the result of `work`, in a transaction that only the leader may make, of 4 s at most. Raises
        NotLeaderError and other StoreErrors; nothing of `work` is stored then, unless the connection was lost while it
        was committed: then the leadership is lost too, and what was stored is read again once it is held."""


class SoleLeadership:
    """The leadership of a node that shares its store with no other."""

    def __init__(self, store: Store, node: str = "") -> None:
        self._store = store
        self._node = node

    @property
    def holds(self) -> bool:
        return True

    @property
    def epoch(self) -> int:
        return 1

    @property
    def leader(self) -> str | None:
        return self._node

    def subscribe(self, follower: Callable[[bool], object]) -> None:
        """Do nothing: it is held from the start, and never lost."""

    async def call(self, work: Callable[[Connection], _T]) -> _T:
        return await self._store.call(work)
