"""The addresses of host names. Callers get what is known at once; lookups run beside the requests."""

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Callable, Iterable
from functools import lru_cache

import structlog

from strangler.clock import now
from strangler.core.listener_settings import UNIX

REFRESH_EVERY_S = 30.0
"""How long addresses count as fresh. getaddrinfo does not report the time to live that the name's owner chose."""

HINT_EVERY_S = 1.0
"""A failed connect causes another lookup of the name, but not more often than this."""

MAX_ADDRESSES = 64

log = structlog.get_logger()


@lru_cache(maxsize=256)
def is_literal(host: str) -> bool:
    """Return True for an address and for a unix socket: there is nothing to look up."""
    if host.startswith(UNIX):
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class HostNames:
    """The names of all upstreams and their addresses. Owns the lookups under way.

    `changed` is called with a name whose addresses have changed. A failed lookup leaves the known addresses.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, changed: Callable[[str], None]) -> None:
        self._loop = loop
        self._changed = changed
        self._addresses: dict[str, tuple[str, ...]] = {}
        self._looked_up_at: dict[str, float] = {}
        """The time of the last lookup by name. Holds exactly the watched names."""
        self._lookups: dict[str, asyncio.Task[None]] = {}
        self._is_failing: set[str] = set()

    def addresses(self, host: str) -> tuple[str, ...]:
        """Return the addresses of a name; while none are known, the name itself, which the connect looks up."""
        return self._addresses.get(host) or (host,)

    def watch(self, hosts: Iterable[str]) -> None:
        """Keep the addresses of exactly these hosts up to date; new names are looked up at once."""
        names = {host for host in hosts if not is_literal(host)}
        for gone in self._looked_up_at.keys() - names:
            del self._looked_up_at[gone]
            self._addresses.pop(gone, None)
            self._is_failing.discard(gone)
        for name in sorted(names - self._looked_up_at.keys()):
            self._look_up(name)

    def hint(self, host: str) -> None:
        """Report a failed connect: the addresses may have changed."""
        if host in self._looked_up_at and now() - self._looked_up_at[host] >= HINT_EVERY_S:
            self._look_up(host)

    def sweep(self, at: float) -> None:
        """Look up the names that are no longer fresh. Called about once a second."""
        for name, looked_up_at in self._looked_up_at.items():
            if at - looked_up_at >= REFRESH_EVERY_S:
                self._look_up(name)

    async def settle(self, seconds: float | None) -> None:
        """Wait until the lookups under way are done, for `seconds` at most; None: until they are."""
        if self._lookups:
            await asyncio.wait(self._lookups.values(), timeout=seconds)

    async def close(self) -> None:
        """End the lookups under way."""
        self._looked_up_at.clear()
        for task in list(self._lookups.values()):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def _look_up(self, name: str) -> None:
        self._looked_up_at[name] = now()
        if name not in self._lookups:
            task = self._loop.create_task(self._learn(name))
            self._lookups[name] = task
            task.add_done_callback(lambda _: self._lookups.pop(name))

    async def _learn(self, name: str) -> None:
        try:
            responses = await self._loop.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            if name not in self._is_failing:
                self._is_failing.add(name)
                log.warning("name.unknown", name=name, reason=str(error), kept=self._addresses.get(name, ()))
            return
        self._is_failing.discard(name)
        found = tuple(sorted({str(sockaddr[0]) for *_, sockaddr in responses}))[:MAX_ADDRESSES]
        before = self._addresses.get(name)
        if name not in self._looked_up_at or not found or found == before:
            return
        self._addresses[name] = found
        if before is not None:
            log.info("name.moved", name=name, before=before, after=found)
        self._changed(name)
