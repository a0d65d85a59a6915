"""The carrier of evidence: after the names of endpoints have changed, their history gets the new names.

Of nodes that share a store the leader carries it over. The others name what they add by the same tree a moment later,
so that the leader looks again now and then.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import structlog

from strangler.control.fleet.leadership import Leadership
from strangler.control.shadow.naming import Edition, EndpointNaming
from strangler.control.shadow.writer import FindingWriter
from strangler.store.evidence.carry_over import Endpoint, StoredEndpoint
from strangler.store.store import StoreError

CARRY_EVERY_S: Final = 5.0
CARRY_AGAIN_S: Final = 60.0
"""How often the leader looks for what other nodes have added under former names."""
NAMED_AT_ONCE: Final = 100
"""The endpoints that are named before other tasks of the event loop may run: about 3 ms."""

log = structlog.get_logger()


class EndpointCarrier:
    """Carries stored evidence over. Comparisons go on meanwhile, and their findings wait to be stored."""

    def __init__(self, naming: EndpointNaming, writer: FindingWriter, leadership: Leadership) -> None:
        self._naming = naming
        self._writer = writer
        self._leadership = leadership
        self._looked = float("-inf")
        self._carried: Edition | None = None
        """The edition of the names that the store has."""

    async def run(self) -> None:
        """Look for new names every few seconds until cancelled."""
        while True:
            await asyncio.sleep(CARRY_EVERY_S)
            await self.look()

    async def look(self) -> None:
        """Carry over what has another name now. A store that cannot be written is tried again later."""
        edition = self._naming.edition
        if not self._is_due(edition):
            return
        began = time.monotonic()
        try:
            carried = await self._writer.carry_over(self._names)
        except StoreError:  # logged by the store itself
            return
        self._carried, self._looked = edition, began
        if carried.endpoints:
            log.info(
                "shadow.renamed", endpoints=carried.endpoints, signatures=carried.signatures, merged=carried.merged
            )

    def _is_due(self, edition: Edition) -> bool:
        if not self._leadership.holds:
            self._carried = None  # the next leader begins anew, even if that is this node again
            return False
        is_late = self._writer.is_shared and time.monotonic() - self._looked > CARRY_AGAIN_S
        return self._writer.is_restored and (is_late or not edition.is_same(self._carried))

    async def _names(self, stored: Sequence[StoredEndpoint]) -> dict[Endpoint, str]:
        """Return the present names of all stored endpoints of known routes."""
        names: dict[Endpoint, str] = {}
        for at, each in enumerate(stored):
            if at % NAMED_AT_ONCE == NAMED_AT_ONCE - 1:
                await asyncio.sleep(0)
            if self._naming.is_known(each.route):
                name = self._naming.from_earlier if each.is_earlier else self._naming.present
                names[each.route, each.name] = name(each.route, each.name)
        return names
