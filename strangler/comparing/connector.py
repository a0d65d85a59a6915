"""New connections to an upstream for comparisons: to the addresses of its names, as a worker's are made."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import TypeVar

from strangler.core.settings import UpstreamSettings, Url
from strangler.http1.connect import CONNECT_ERRORS
from strangler.sockets.dns import HostNames, is_literal
from strangler.tls.client_context import ClientTlsState

C = TypeVar("C")


class NoConnectionError(Exception):
    """No connection was made, so nothing was sent."""


class UpstreamConnector:
    """Makes connections to one upstream. It must be closed."""

    def __init__(
        self,
        settings: UpstreamSettings,
        files: Mapping[str, bytes] = MappingProxyType({}),
        tls: ClientTlsState | None = None,
    ) -> None:
        """`files`: the content of the files that the settings name; `tls`: in place of that of the settings."""
        self.settings = settings
        self.tls = tls or ClientTlsState(settings.tls, files)
        self._names: HostNames | None = None

    async def connect(self, url: Url, connect: Callable[[Url, str, ClientTlsState], Awaitable[C]]) -> C:
        """Return what `connect` makes of the first address that accepts, in random order. Raises NoConnectionError."""
        addresses = list(await self._addresses(url.connect_host))
        random.shuffle(addresses)
        for address in addresses:
            try:
                async with asyncio.timeout(self.settings.timeouts.connect_s):
                    return await connect(url, address, self.tls)
            except CONNECT_ERRORS:
                continue
        self._watched().hint(url.connect_host)
        raise NoConnectionError

    async def close(self) -> None:
        if self._names is not None:
            await self._names.close()
            self._names = None

    async def _addresses(self, host: str) -> tuple[str, ...]:
        """Return the addresses of a host; none while its name is unknown.

        Only the watched names are looked up: a lookup that a connect begins would outlive it when it is given up.
        """
        if is_literal(host):
            return (host,)
        names = self._watched()
        if names.addresses(host) == (host,):
            await names.settle(self.settings.timeouts.connect_s)
        return tuple(address for address in names.addresses(host) if address != host)

    def _watched(self) -> HostNames:
        if self._names is None:
            self._names = HostNames(asyncio.get_running_loop(), lambda _: None)
            self._names.watch({url.connect_host for url in self.settings.urls})
        self._names.sweep(time.monotonic())
        return self._names
