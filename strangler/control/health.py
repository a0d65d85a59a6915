"""Active checks of each endpoint of the upstreams that have `health`; the workers get the results."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from random import random

import structlog
from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from yarl import URL

from strangler.control.reload import InForce
from strangler.control.shared_facts import SharedState
from strangler.core.resilience.endpoints import EndpointKey, HealthState
from strangler.core.settings import HealthSettings, TlsSettings, UpstreamSettings, Url
from strangler.http1.pool import tls_context
from strangler.ipc.messages import EndpointHealth
from strangler.sockets.dns import HostNames

FIRST_CHECK_WITHIN_S = 1.0
"""Checks begin at a random moment within this time, or within the interval if that is shorter."""

LOOKUP_S = 2.0
"""The longest wait of the first check of a name for its addresses."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Checked:
    """The settings of a check: while they are equal, checking goes on unchanged."""

    upstream: str
    url: Url
    tls: TlsSettings
    health: HealthSettings
    headers: tuple[tuple[str, str], ...]


class HealthChecks:
    """Owns a task for each URL that is checked; `tell` is called with each change."""

    def __init__(self, shared: SharedState, tell: Callable[[EndpointHealth], None]) -> None:
        self._shared = shared
        self._publish = tell
        self._tasks: dict[_Checked, asyncio.Task[None]] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._names = HostNames(asyncio.get_running_loop(), lambda _: None)

    def adopt(self, in_force: InForce) -> None:
        """Check the URLs of these settings from now on."""
        wanted = set(_all_checked(in_force.settings.upstreams))
        self._names.watch({checked.url.host for checked in wanted})
        for checked in self._tasks.keys() - wanted:
            self._end(self._tasks.pop(checked))
        for checked in wanted - self._tasks.keys():
            self._tasks[checked] = task = asyncio.create_task(self._watch(checked))
            task.add_done_callback(_log_crash)

    async def close(self) -> None:
        for task in self._tasks.values():
            self._end(task)
        for task in list(self._ending):
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._names.close()

    def _end(self, task: asyncio.Task[None]) -> None:
        task.cancel()
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _watch(self, checked: _Checked) -> None:
        """Check one URL, at all of its addresses, until cancelled."""
        health, states = checked.health, dict[EndpointKey, HealthState]()
        await self._names.settle(LOOKUP_S)
        await asyncio.sleep(random() * min(FIRST_CHECK_WITHIN_S, health.interval_s))  # noqa: S311 - jitter
        async with _session() as session:
            while True:
                begun = time.monotonic()
                self._names.sweep(begun)
                keys = [EndpointKey(checked.url, address) for address in self._names.addresses(checked.url.host)]
                for gone in states.keys() - set(keys):
                    del states[gone]
                    self._shared.forget_endpoint(checked.upstream, gone)
                failures = await asyncio.gather(*(_check(session, checked, key) for key in keys))
                for key, failure in zip(keys, failures, strict=True):
                    states[key] = self._report(checked, key, states.get(key), failure)
                pause_s = states[keys[0]].next_check_s(random) - (time.monotonic() - begun)
                await asyncio.sleep(max(0.0, pause_s))

    def _report(
        self, checked: _Checked, key: EndpointKey, state: HealthState | None, failure: str | None
    ) -> HealthState:
        """Report one check and return the endpoint's state. `failure`: in words; None if the check succeeded."""
        is_healthy = self._shared.is_healthy(checked.upstream, key)
        if state is None or state.is_healthy is not is_healthy:  # an earlier control had found it unhealthy
            state = HealthState(checked.health, is_healthy)
        if not state.report(failure is None):
            return state
        reason = (
            f"{_checks(checked.health.rise)} succeeded"
            if failure is None
            else f"{_checks(checked.health.fall)} failed, the last: {failure}"
        )
        tell = log.info if state.is_healthy else log.warning
        tell("health.changed", upstream=checked.upstream, endpoint=str(key), healthy=state.is_healthy, reason=reason)
        message = EndpointHealth(checked.upstream, key.url, key.address, state.is_healthy, reason)
        self._shared.set_health(message)
        self._publish(message)
        return state


def _log_crash(task: asyncio.Task[None]) -> None:
    """Log a bug, which ends the checks of one URL, at once and not only at the close."""
    if not task.cancelled() and (crash := task.exception()) is not None:
        log.error("health.crash", error=repr(crash), exc_info=crash)


def _all_checked(upstreams: Mapping[str, UpstreamSettings]) -> list[_Checked]:
    return [
        _Checked(name, url, upstream.tls, upstream.health, upstream.headers.set)
        for name, upstream in upstreams.items()
        if upstream.health is not None
        for url in upstream.urls
    ]


def _session() -> ClientSession:
    """Return a session with a connection for each check, and without what aiohttp would add to a request."""
    return ClientSession(
        connector=TCPConnector(force_close=True, limit=0),
        cookie_jar=DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=("Accept-Encoding",),
    )


async def _check(session: ClientSession, checked: _Checked, key: EndpointKey) -> str | None:
    """Check one endpoint. Return None if a status below 400 comes in time, else the failure."""
    url, health = checked.url, checked.health
    host = f"[{key.address}]" if ":" in key.address else key.address
    sent_host = health.host or url.authority
    headers = {"Host": sent_host, "User-Agent": "strangler-health", **dict(checked.headers)}
    is_https = url.scheme == "https"
    try:
        async with session.get(
            URL(f"{url.scheme}://{host}:{url.port}{url.path}{health.path}", encoded=True),
            headers=headers,
            allow_redirects=False,
            timeout=ClientTimeout(total=health.timeout_s),
            ssl=_context(checked.tls) if is_https else True,
            server_hostname=url.server_name if is_https else None,
        ) as response:
            return None if response.status < 400 else f"status {response.status} to Host: {headers['Host']}"
    except TimeoutError:
        return f"no response in {health.timeout_s:g} s"
    except (ClientError, OSError, ssl.SSLError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error) or type(error).__name__


_context = lru_cache(maxsize=64)(tls_context)


def _checks(number: int) -> str:
    return "1 check" if number == 1 else f"{number} checks"
