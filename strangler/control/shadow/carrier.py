"""The carrier of evidence: after the names of endpoints have changed, their history gets the new names."""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from strangler.control.shadow.naming import Edition, EndpointNaming
from strangler.control.shadow.writer import FindingWriter
from strangler.store.evidence.carry_over import Endpoint, StoredEndpoint
from strangler.store.store import StoreError

CARRY_EVERY_S: Final = 5.0
NAMED_AT_ONCE: Final = 100
"""The endpoints that are named before other tasks of the event loop may run: about 3 ms."""

log = structlog.get_logger()


class EndpointCarrier:
    """Carries stored evidence over. Comparisons go on meanwhile, and their findings wait to be stored."""

    def __init__(self, naming: EndpointNaming, writer: FindingWriter) -> None:
        self._naming = naming
        self._writer = writer
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
        if edition.is_same(self._carried) or not self._writer.is_restored:
            return
        try:
            carried = await self._writer.carry_over(self._names)
        except StoreError:  # logged by the store itself
            return
        self._carried = edition
        if carried.endpoints:
            log.info(
                "shadow.renamed", endpoints=carried.endpoints, signatures=carried.signatures, merged=carried.merged
            )

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
