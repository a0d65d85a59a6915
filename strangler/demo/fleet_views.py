"""The fleet as its nodes see it: who leads, and what they have counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout

from strangler.core.documents import LedgerDocument, StatusDocument, VerdictDocument
from strangler.demo.fleet_routes import NodePlace

ROUTE: Final = "orders"
_TIMEOUT: Final = ClientTimeout(total=3)
_DROPPED: Final = "strangler_shadow_dropped_total{"


@dataclass(frozen=True, slots=True)
class NodeCounts:
    """The counts of all nodes, as one of them says them. None: it says nothing at the moment."""

    calls: int | None
    pairs: int | None


class FleetViews:
    """Reads the documents of nodes. A node that does not respond is left out."""

    def __init__(self, nodes: Sequence[NodePlace], session: ClientSession) -> None:
        self._nodes = nodes
        self._session = session

    async def leader(self) -> NodePlace | None:
        """Return the node that leads, as the first that responds sees it; None if nobody knows."""
        for node in self._nodes:
            status = await self.status(node)
            if status is not None:
                names = [each.node for each in status.nodes if each.leader]
                return next((each for each in self._nodes if each.name in names), None)
        return None

    async def status(self, node: NodePlace) -> StatusDocument | None:
        status: StatusDocument | None = await self._document(node, "/api/status", StatusDocument)
        return status

    async def counts(self) -> list[NodeCounts]:
        """Return the counts as each node says them."""
        return [await self._counts(node) for node in self._nodes]

    async def _counts(self, node: NodePlace) -> NodeCounts:
        ledger = await self._document(node, "/api/ledger?hidden=1", LedgerDocument)
        verdict = await self._document(node, f"/api/routes/{ROUTE}/readiness", VerdictDocument)
        return NodeCounts(
            None if ledger is None else sum(row.calls.legacy + row.calls.candidate for row in ledger.rows),
            None if verdict is None else verdict.pairs + sum(verdict.not_comparable.values()),
        )

    async def dropped(self) -> int:
        """Return how many shadows all nodes have dropped."""
        lines = [line for node in self._nodes for line in (await self._text(node, "/metrics") or "").splitlines()]
        return int(sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(_DROPPED)))

    async def _document(self, node: NodePlace, path: str, kind: type[Any]) -> Any:
        text = await self._text(node, path)
        return None if text is None else msgspec.json.decode(text, type=kind)

    async def _text(self, node: NodePlace, path: str) -> str | None:
        try:
            async with self._session.get(node.admin_url + path, timeout=_TIMEOUT) as response:
                text = await response.text()
        except (ClientError, TimeoutError):
            return None
        return text if response.status == 200 else None
