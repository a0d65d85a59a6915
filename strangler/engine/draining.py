"""The end of an Envoy: it takes no more connections, and has time to finish the requests that it has."""

import asyncio
import signal
import time
from collections.abc import Callable
from typing import Final

import structlog

from strangler.engine.admin_socket import AdminError, AdminSocket
from strangler.engine.envoy_process import EnvoyProcess

LAST_REQUEST_S: Final = 1.0
"""How long a connection without a request may still bring one: a client may not know yet that it is to close."""

FLUSH_S: Final = 0.2
"""How long the last access records take: longer than Envoy collects them."""

END_S: Final = 2.0
"""How long Envoy may take to end after SIGTERM."""

_LOOK_EVERY_S: Final = 0.05

log = structlog.get_logger()


async def drain(envoy: EnvoyProcess, until: float, is_interrupted: Callable[[], bool]) -> bool:
    """Let requests finish until a time on the monotonic clock, and end Envoy.

    Return False, with Envoy still running, as soon as `is_interrupted`: somebody else will go on with it.
    """
    try:
        await envoy.admin.post("/drain_listeners?graceful")  # responses ask clients to close from now on
        await envoy.admin.post("/drain_listeners")  # no more connections
        envoy.note_draining()
        if not await _empties(envoy, until, is_interrupted):
            return False
    except AdminError as error:
        if not envoy.has_ended:
            log.warning("envoy.drain_failed", reason=str(error))
    await end(envoy)
    return True


async def end(envoy: EnvoyProcess) -> None:
    """End Envoy, by force if it takes too long."""
    envoy.signal(signal.SIGTERM)
    if not await has_ended_within(envoy, END_S):
        envoy.signal(signal.SIGKILL)
        await envoy.ended.wait()


async def has_ended_within(envoy: EnvoyProcess, seconds: float) -> bool:
    """Wait for the end of Envoy; return False if it takes longer."""
    try:
        async with asyncio.timeout(seconds):
            await envoy.ended.wait()
    except TimeoutError:
        return False
    return True


async def active_requests(admin: AdminSocket) -> int:
    """Return how many requests of clients are under way. Raises AdminError."""
    text = (await admin.get("/stats?filter=%5Ehttp%5C..*downstream_rq_active%24")).decode(errors="replace")
    counts = {name: value for name, _, value in (line.partition(": ") for line in text.splitlines())}
    return sum(int(value) for name, value in counts.items() if name != "http.admin.downstream_rq_active")


async def _empties(envoy: EnvoyProcess, until: float, is_interrupted: Callable[[], bool]) -> bool:
    """Wait until no request has been under way for a while; return False once it is interrupted."""
    idle_since = None
    requests = 0
    while time.monotonic() < until and not envoy.has_ended:
        if is_interrupted():
            return False
        requests = await active_requests(envoy.admin)
        now = time.monotonic()
        idle_since = None if requests else idle_since or now
        if idle_since is not None and now - idle_since >= LAST_REQUEST_S:
            break
        await asyncio.sleep(_LOOK_EVERY_S)
    else:
        if requests:
            log.warning("envoy.drain_expired", requests=requests)
    await asyncio.sleep(FLUSH_S)
    return True
