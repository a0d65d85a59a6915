"""The watch for certificates of the listeners: when each expires, and an event some days before."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

import msgspec
import structlog

from strangler.control.events.publisher import EventPublisher
from strangler.control.reload import InForce
from strangler.control.totals import Key
from strangler.core.listener_settings import EXPIRES_SOON_S
from strangler.core.settings import Settings
from strangler.store.connection import Connection
from strangler.store.events.event import Kind
from strangler.store.meta import read_meta, write_meta
from strangler.store.store import Store, StoreError
from strangler.times import rfc3339

LOOK_EVERY_S: Final = 60.0

_META: Final = "expiring_certificates"
_GAUGE: Final = "strangler_certificate_expiry_seconds"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Served:
    """A certificate at a listener."""

    listener: str
    name: str  # the first of its names; its file if it has none
    file: str
    not_after: float


class CertificateWatch:
    """Reports each certificate once. The store has those reported, so that a restart does not report them again."""

    def __init__(self, store: Store, publisher: EventPublisher, settings: Settings, node: str = "") -> None:
        """`node`: the name of this node among several, each of which watches its own; else empty."""
        self._store = store
        self._key = f"{_META} {node}" if node else _META
        self._publisher = publisher
        self._settings = settings
        self._reported: set[str] = set()

    def adopt(self, in_force: InForce) -> None:
        """Watch the certificates of these settings from now on."""
        self._settings = in_force.settings

    async def restore(self) -> None:
        """Restore what was reported before this process."""
        try:
            self._reported = set(await self._store.call(partial(_load, key=self._key)))
        except StoreError:  # logged by the store itself
            return

    async def run(self) -> None:
        """Look every minute, until cancelled."""
        while True:
            await self.look(time.time())
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self, now: float) -> None:
        """Report the certificates that expire soon, each once, even if several listeners have it."""
        expiring: dict[str, _Served] = {}
        for each in _served(self._settings):
            if each.not_after - now <= EXPIRES_SOON_S:
                expiring.setdefault(_id(each), each)
        new = expiring.keys() - self._reported
        reported = expiring.keys() & self._reported | new
        if reported == self._reported:
            return
        self._reported = set(reported)
        for key in sorted(new):
            each = expiring[key]
            data = {"listener": each.listener, "name": each.name, "file": each.file}
            expires, days = rfc3339(each.not_after), round((each.not_after - now) / 86_400, 1)
            self._publisher.publish(Kind.CERTIFICATE_EXPIRING, each.name, {**data, "expires": expires, "days": days})
        try:
            await self._store.call(lambda connection: _save(connection, self._key, sorted(reported)))
        except StoreError as error:  # logged by the store itself; stored with the next change
            log.debug("certificates.not_kept", reason=str(error))

    def gauges(self) -> dict[Key, float]:
        """Return the seconds until each certificate expires, by listener and name: the earliest if there are two."""
        now = time.time()
        found: dict[Key, float] = {}
        for each in _served(self._settings):
            key = (_GAUGE, (each.listener, each.name))
            found[key] = min(found.get(key, each.not_after - now), each.not_after - now)
        return found


def _served(settings: Settings) -> Iterator[_Served]:
    listeners = [(str(listener.address), listener.tls) for listener in settings.listeners]
    for listener, tls in (*listeners, (str(settings.admin.listen), settings.admin.tls)):
        for pair in tls.certificates if tls is not None else ():
            yield _Served(listener, pair.names[0] if pair.names else pair.cert, pair.cert, pair.not_after)


def _id(served: _Served) -> str:
    return f"{served.file} {served.not_after:.0f}"


def _load(connection: Connection, key: str) -> list[str]:
    kept = read_meta(connection, key)
    return [] if kept is None else msgspec.json.decode(kept, type=list[str])


def _save(connection: Connection, key: str, reported: list[str]) -> None:
    write_meta(connection, key, msgspec.json.encode(reported).decode())
