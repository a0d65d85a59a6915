"""Whether the proxy is ready, and whether legacy can be reached. Candidates never count: legacy stands in for them."""

import asyncio
import time
from dataclasses import dataclass

from strangler.control.links import LinksState
from strangler.control.processes import ProcessesState
from strangler.control.reload import ReloadState
from strangler.core.documents import ReadyChecks, ReadyDocument
from strangler.core.routing.arm import LEGACY
from strangler.core.settings import Settings, Url
from strangler.http1.connect import CONNECT_ERRORS
from strangler.http1.upstream_stream import UpstreamStream
from strangler.tls.client_context import ClientTlsState

CACHE_S = 1.0
CONNECT_S = 1.0
PATIENCE_S = 0.3
"""The longest wait for a probe of legacy that decides nothing: Kubernetes gives up after a second."""
REFUSED_WITHIN_S = 0.15
"""How long a TLS upstream that does not want our certificate may take to say so after the handshake."""


@dataclass(slots=True)
class LegacyProbe:
    """Finds out whether legacy accepts a connection, TLS included, at most once a second however often it is used."""

    _probed_at: float = float("-inf")
    _result: bool = False
    _asking: asyncio.Task[None] | None = None
    _tls: ClientTlsState | None = None

    async def is_reachable(self, settings: Settings, patience_s: float = PATIENCE_S) -> bool:
        """Return whether any URL of legacy accepts a connection, or the last result if that is not known in time."""
        if self._asking is None and time.monotonic() - self._probed_at >= CACHE_S:
            self._asking = asyncio.create_task(self._ask(settings))
        if self._asking is not None:
            await asyncio.wait({self._asking}, timeout=patience_s)
        return self._result

    async def _ask(self, settings: Settings) -> None:
        try:
            legacy = settings.upstreams[LEGACY]
            if self._tls is None:
                self._tls = ClientTlsState(legacy.tls, settings.files)
            self._tls.adopt(legacy.tls, settings.files)
            self._result = any(await asyncio.gather(*(_connects(url, self._tls) for url in legacy.urls)))
        finally:
            self._probed_at, self._asking = time.monotonic(), None

    async def close(self) -> None:
        """Cancel a probe that is in progress."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)


class Readiness:
    """Checks whether the proxy is ready, for `/readyz`."""

    def __init__(self, probe: LegacyProbe, links: LinksState, processes: ProcessesState, reload: ReloadState) -> None:
        self._probe = probe
        self._links = links
        self._processes = processes
        self._reload = reload

    async def check(self) -> ReadyDocument:
        """Return `ready`, the checks behind it, and the problems of the latest routes.yaml, which do not count.

        If legacy is down, all replicas see it: if none were ready, the routes that have moved would be lost too. So the
        proxy is only `degraded` then, unless `admin.ready_needs_legacy`.
        """
        settings = self._reload.in_force.settings
        needs_legacy = settings.admin.ready_needs_legacy
        checks = ReadyChecks(
            workers=bool(self._links.workers) or not settings.workers,
            legacy=await self._probe.is_reachable(settings, CONNECT_S if needs_legacy else PATIENCE_S),
            not_draining=not self._processes.is_draining,
        )
        in_force = self._reload.in_force
        return ReadyDocument(
            ready=checks.workers and checks.not_draining and (checks.legacy or not needs_legacy),
            degraded=not checks.legacy,
            checks=checks,
            generation=in_force.generation,
            is_rejected=bool(in_force.problems),
            problems=list(in_force.problems),
        )


async def _connects(url: Url, tls: ClientTlsState) -> bool:
    try:
        async with asyncio.timeout(CONNECT_S):
            stream = await UpstreamStream.open(url, url.connect_host, tls)
    except CONNECT_ERRORS:
        return False
    try:
        return not await _is_refused(stream)
    finally:
        stream.abort()


async def _is_refused(stream: UpstreamStream) -> bool:
    """Return whether the upstream refuses our certificate, or the lack of one: by TLS 1.3 it does so only after the
    handshake is complete for us, and nothing tells that it has accepted it."""
    session = stream.transport.get_extra_info("ssl_object")
    if session is None or session.version() != "TLSv1.3":
        return False
    try:
        async with asyncio.timeout(REFUSED_WITHIN_S):
            await stream.read()
    except TimeoutError:
        return False
    except OSError:
        return True
    return False
