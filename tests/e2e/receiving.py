"""`strangler shadow --listen` between two arms, behind a real proxy that mirrors to it."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.serving import Proxy
from tests.e2e.shadowing import Arm, Respond, Stage, arm

ROUTES = """\
version: 1
listen: 127.0.0.1:0
admin: {{listen: 127.0.0.1:0}}
state: state
{more}upstreams:
  legacy: {{url: "http://127.0.0.1:{legacy}"}}
  orders: {{url: "http://127.0.0.1:{candidate}"}}
routes:
  - name: orders
    match: {{prefix: /api/orders}}
    candidate: orders
    gate: {{min_pairs: 20, min_match: 50%, min_age: 0, max_latency_ratio: 1000}}
{route}"""


@dataclass(slots=True)
class ReceiverStage(Stage):
    """All that a test plays with. The arms are those that the mirroring proxy has, too."""

    @property
    def port(self) -> int:
        """Where mirrored requests come to."""
        return int(self.proxy.running()["receiver"].rpartition(":")[2])

    async def received(self, result: str) -> float:
        return await self.proxy.metric("strangler_received_total", result=result)

    async def has_received(self, result: str, count: int) -> None:
        """Wait until so many requests are counted."""

        async def is_counted() -> bool:
            return await self.received(result) >= count

        await self.proxy.until(is_counted)


@asynccontextmanager
async def receiver(
    folder: Path, legacy_says: Respond, candidate_says: Respond, *, more: str = "", route: str = "", start: bool = True
) -> AsyncIterator[ReceiverStage]:
    """The receiver alone, ready, on a port that the system has chosen."""
    async with arm(legacy_says) as legacy, arm(candidate_says) as candidate:
        proxy = Proxy(folder, legacy.port)
        proxy.file.write_text(ROUTES.format(legacy=legacy.port, candidate=candidate.port, more=more, route=route))
        on = ReceiverStage(proxy, legacy, candidate)
        try:
            if start:
                await proxy.start(sys.executable, "-m", "strangler", "shadow", "--listen", "127.0.0.1:0")
            yield on
        finally:
            await proxy.stop()


def shadows_of(arm_: Arm) -> list[str]:
    """The targets that the receiver has asked an arm for."""
    return [heard.target for heard in arm_.shadows]
