"""Active checks of each endpoint of the upstreams that have `health`; the workers get the results."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import random

import structlog

from strangler.control.reload import InForce
from strangler.control.shared_facts import SharedState
from strangler.core.resilience.endpoints import EndpointKey, HealthState
from strangler.core.settings import HealthSettings, Settings, TlsSettings, UpstreamSettings, Url
from strangler.http1.connect import CONNECT_ERRORS
from strangler.http1.upstream_stream import BadResponseError, UpstreamStream
from strangler.ipc.messages import EndpointHealth
from strangler.sockets.dns import HostNames
from strangler.tls.client_context import ClientTlsState

FIRST_CHECK_WITHIN_S = 1.0
"""Checks begin at a random moment within this time, or within the interval if that is shorter."""

LOOKUP_S = 2.0
"""The longest wait of the first check of a name for its addresses."""

_MAX_BODY_BYTES = 64 * 1024
"""A longer response is not read to its end; the status alone decides."""

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
        self._tls: dict[str, ClientTlsState] = {}
        """By upstream."""
        self._names = HostNames(asyncio.get_running_loop(), lambda _: None)

    def adopt(self, in_force: InForce) -> None:
        """Check the URLs of these settings from now on."""
        wanted = set(_all_checked(in_force.settings.upstreams))
        self._names.watch({checked.url.connect_host for checked in wanted})
        self._adopt_tls(in_force.settings)
        for checked in self._tasks.keys() - wanted:
            self._end(self._tasks.pop(checked))
        for checked in wanted - self._tasks.keys():
            self._tasks[checked] = task = asyncio.create_task(self._watch(checked, self._tls[checked.upstream]))
            task.add_done_callback(_log_crash)

    def _adopt_tls(self, settings: Settings) -> None:
        """Use what the files of certificates hold now. Checks go on with their counts."""
        for name in self._tls.keys() - settings.upstreams.keys():
            del self._tls[name]
        for name, upstream in settings.upstreams.items():
            if name in self._tls:
                self._tls[name].adopt(upstream.tls, settings.files)
            else:
                self._tls[name] = ClientTlsState(upstream.tls, settings.files)

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

    async def _watch(self, checked: _Checked, tls: ClientTlsState) -> None:
        """Check one URL, at all of its addresses, until cancelled."""
        health, states = checked.health, dict[EndpointKey, HealthState]()
        await self._names.settle(LOOKUP_S)
        await asyncio.sleep(random() * min(FIRST_CHECK_WITHIN_S, health.interval_s))  # noqa: S311 - jitter
        while True:
            begun = time.monotonic()
            self._names.sweep(begun)
            keys = [EndpointKey(checked.url, address) for address in self._names.addresses(checked.url.connect_host)]
            for gone in states.keys() - set(keys):
                del states[gone]
                self._shared.forget_endpoint(checked.upstream, gone)
            failures = await asyncio.gather(*(_check(checked, key, tls) for key in keys))
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


async def _check(checked: _Checked, key: EndpointKey, tls: ClientTlsState) -> str | None:
    """Check one endpoint, on a connection of its own. Return None if a sound response comes in time whose status is
    below 400, else the failure."""
    try:
        async with asyncio.timeout(checked.health.timeout_s):
            stream = await UpstreamStream.open(key.url, key.address, tls)
            try:
                return await _failure(stream, checked)
            finally:
                stream.abort()
    except TimeoutError:
        return f"no response in {checked.health.timeout_s:g} s"
    except ssl.SSLCertVerificationError as error:
        return f"its certificate is not valid: {error.verify_message}"
    except ssl.SSLError as error:
        return f"TLS failed: {(error.reason or str(error)).lower().replace('_', ' ')}"
    except CONNECT_ERRORS as error:
        return getattr(error, "strerror", None) or str(error) or type(error).__name__
    except BadResponseError:
        return "no response of HTTP/1"


async def _failure(stream: UpstreamStream, checked: _Checked) -> str | None:
    """Send the request of a check. Return what is wrong with the response, if anything is."""
    host = checked.health.host or checked.url.authority
    stream.write(_request(checked, host))
    head, rest = await stream.read_head(is_head=False)
    if head.status >= 400:
        return f"status {head.status} to Host: {host}"
    if not head.has_stream_type:
        await stream.read_body(head, rest, _MAX_BODY_BYTES)
    return None


def _request(checked: _Checked, host: str) -> bytes:
    fields = {"host": ("Host", host), "user-agent": ("User-Agent", "strangler-health"), "accept": ("Accept", "*/*")}
    fields |= {name.lower(): (name, value) for name, value in checked.headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.values())
    target = f"{checked.url.path}{checked.health.path}"
    return f"GET {target} HTTP/1.1\r\n{lines}Connection: close\r\n\r\n".encode()


def _checks(number: int) -> str:
    return "1 check" if number == 1 else f"{number} checks"
