"""The other nodes that share the store, as shadows need them."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from strangler.control.fleet.fleet_parts import FleetParts
from strangler.control.fleet.leadership import Leadership, SoleLeadership
from strangler.control.fleet.store_clock import StoreClock
from strangler.store.evidence.ulid import ulid
from strangler.store.store import Store
from strangler.store.topics import Topic


class Sender(NamedTuple):
    """A process among all that share the store. `run` is chosen anew by each."""

    node: str
    run: str


class Feed(Protocol):
    """Calls followers after changes in the store."""

    def subscribe(self, topic: Topic, follower: Callable[[], object]) -> None: ...


class NoFeed:
    """The feed of a node that has its store alone: nobody else changes it."""

    def subscribe(self, topic: Topic, follower: Callable[[], object]) -> None:
        """Never call `follower`."""


@dataclass(frozen=True, slots=True)
class ShadowFleet:
    """The leadership, the clock of the store, and its changes, as shadows need them."""

    leadership: Leadership
    clock: StoreClock
    feed: Feed
    sender: Sender | None = None
    """This process; None if it has the store alone."""

    @classmethod
    def alone(cls, store: Store) -> "ShadowFleet":
        """Return the fleet of a node that shares its store with no other."""
        return cls(SoleLeadership(store), StoreClock(), NoFeed())


def shared_fleet(parts: FleetParts, node: str) -> ShadowFleet:
    """Return the fleet that a node is one of."""
    return ShadowFleet(parts.leadership, parts.clock, parts.feed, Sender(node, ulid(time.time())))
