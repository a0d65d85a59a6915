"""How the parts of a fleet are built: who leads, what the others change, whose clock counts."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from strangler.control.fleet.feed import ChangeFeed
from strangler.control.fleet.leadership import Leadership, SoleLeadership
from strangler.control.fleet.store_clock import StoreClock
from strangler.store.store import Store


class Running(Protocol):
    """A part that runs until it is cancelled."""

    async def run(self) -> None: ...


@dataclass(frozen=True, slots=True)
class FleetParts:
    """The parts by which a node knows the others; without a shared store it is always the leader."""

    leadership: Leadership
    clock: StoreClock
    feed: ChangeFeed
    running: tuple[Running, ...] = ()
    closing: tuple[Callable[[], Awaitable[None]], ...] = ()
    """Called at the end, once nothing writes as the leader any more."""


def assemble_fleet(url: str | None, node: str, store: Store) -> FleetParts:
    """Build the parts for a store at a URL; None: it is this node's alone."""
    if url is None:
        return FleetParts(SoleLeadership(store, node), StoreClock(), ChangeFeed())
    from strangler.control.fleet.feed_reader import FeedReader  # psycopg, which is an extra
    from strangler.control.fleet.shared_leadership import SharedLeadership

    clock, feed = StoreClock(), ChangeFeed()
    leadership, reader = SharedLeadership(url, node, clock), FeedReader(url, node, feed)
    return FleetParts(leadership, clock, feed, (leadership, reader), (leadership.close, reader.close))
