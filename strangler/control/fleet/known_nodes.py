"""The nodes that share the store, as this one knows them, and what it reports about itself."""

import time
from collections.abc import Callable, Sequence
from typing import Final

from strangler import __version__
from strangler.core.documents import NodeStatus
from strangler.store.nodes import NodeReport, StoredNode, name_taken, odd_digests

REPORT_EVERY_S: Final = 1.0


class KnownNodes:
    """Owns what was last read. Without a shared store this node is the only one.

    `requests` returns those of the last minute.
    """

    def __init__(
        self,
        node: str,
        owner: str,
        run: str,
        requests: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.node = node
        """The name of this node."""
        self.owner = owner
        """The id of its state folder."""
        self.problem: str | None = None
        """Why this node is not among those that the others know."""
        self._run = run
        self._digest = ""
        self._requests = requests
        self._monotonic = monotonic
        self._nodes: Sequence[StoredNode] = ()
        self._read_at = monotonic()

    def report(self) -> NodeReport:
        """Return what this node reports about itself."""
        return NodeReport(self.node, self.owner, self._run, __version__, self._digest, self._requests())

    def load(self, digest: str) -> None:
        """Report the digest of another routes.yaml from now on."""
        self._digest = digest

    def adopt(self, nodes: Sequence[StoredNode], *, is_ours: bool) -> None:
        """Take over the nodes that were just read. `is_ours`: the name of this node belongs to it."""
        self._nodes, self._read_at = nodes, self._monotonic()
        self.problem = None if is_ours else name_taken(self.node)

    @property
    def present(self) -> int:
        """How many nodes are there."""
        return sum(node.is_present for node in self._aged())

    def status(self, leader: str | None) -> list[NodeStatus]:
        """Return the nodes as the API has them. `leader`: the name of the one that leads."""
        nodes = self._aged()
        odd = odd_digests(nodes)
        names = frozenset(node.node for node in odd.odd) if odd is not None else frozenset()
        total = sum(node.requests for node in nodes if node.is_present)
        return [
            NodeStatus(
                node=node.node,
                version=node.version,
                digest=node.digest,
                heard=round(max(0.0, node.heard_s), 1),
                share=round(node.requests / total, 4) if total and node.is_present else None,
                leader=node.node == leader,
                is_odd=node.node in names,
            )
            for node in nodes
        ]

    def _aged(self) -> Sequence[StoredNode]:
        """Return the nodes as they are now: each second that they were not read again they are unheard, too."""
        if not self._nodes:
            own = self.report()
            return [StoredNode(own.node, own.version, own.digest, 0.0, own.requests)]
        since_s = self._monotonic() - self._read_at
        return [
            StoredNode(node.node, node.version, node.digest, node.heard_s + since_s, node.requests)
            for node in self._nodes
        ]
