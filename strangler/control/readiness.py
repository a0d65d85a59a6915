"""Whether traffic may be sent here: settings in force, a worker up, legacy reachable. Never a candidate."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field

from strangler.core.plan import LEGACY
from strangler.core.settings import Settings, Url

CACHE_S = 1.0
CONNECT_S = 1.0


@dataclass(slots=True)
class LegacyProbe:
    """Whether legacy takes a TCP connection; asked once a second at most, however many ask us."""

    _asked: float = float("-inf")
    _answer: bool = False
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def is_reachable(self, settings: Settings) -> bool:
        """True if any URL of legacy does."""
        async with self._one_at_a_time:
            if time.monotonic() - self._asked >= CACHE_S:
                self._answer = await _any_connects(settings.upstreams[LEGACY].urls)
                self._asked = time.monotonic()
            return self._answer


async def _any_connects(urls: tuple[Url, ...]) -> bool:
    return any(await asyncio.gather(*map(_connects, urls)))


async def _connects(url: Url) -> bool:
    try:
        async with asyncio.timeout(CONNECT_S):
            _, writer = await asyncio.open_connection(url.host, url.port)
    except (OSError, TimeoutError):
        return False
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()
    return True
