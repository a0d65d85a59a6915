"""How the parts of a fleet are built: who leads, which nodes there are, what they change, whose clock counts."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from strangler.control.fleet.feed import ChangeFeed
from strangler.control.fleet.known_nodes import KnownNodes
from strangler.control.fleet.leadership import Leadership, SoleLeadership
from strangler.control.fleet.store_clock import StoreClock
from strangler.state.node_id import node_id
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
    nodes: KnownNodes
    problem: Callable[[], str | None] = lambda: None
    """Returns why the shared store cannot be reached; None if it can."""
    running: tuple[Running, ...] = ()
    closing: tuple[Callable[[], Awaitable[None]], ...] = ()
    """Called at the end, once nothing writes as the leader any more."""


@dataclass(frozen=True, slots=True)
class OwnNode:
    """The facts about this node. `requests` returns those of the last minute."""

    name: str
    folder: Path
    run: str
    requests: Callable[[], int]


def assemble_fleet(url: str | None, own: OwnNode, store: Store) -> FleetParts:
    """Build the parts for a store at a URL; None: it is this node's alone."""
    if url is None:
        nodes = KnownNodes(own.name, "", own.run, own.requests)
        return FleetParts(SoleLeadership(store, own.name), StoreClock(), ChangeFeed(), nodes)
    from strangler.control.fleet.feed_reader import FeedReader  # psycopg, which is an extra
    from strangler.control.fleet.gone_nodes import GoneNodes
    from strangler.control.fleet.shared_leadership import SharedLeadership

    clock, feed = StoreClock(), ChangeFeed()
    nodes = KnownNodes(own.name, node_id(own.folder), own.run, own.requests)
    leadership = SharedLeadership(url, own.name, clock, owner=nodes.owner)
    reader = FeedReader(url, feed, nodes)

    def problem() -> str | None:
        return store.problem or (reader.problem if leadership.problem is not None else None)

    running = (leadership, reader, GoneNodes(leadership, clock))
    return FleetParts(leadership, clock, feed, nodes, problem, running, (leadership.close, reader.close))
