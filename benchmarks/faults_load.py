"""The load of `benchmarks.faults`: reads and writes at the moments of a Poisson process."""

import asyncio
import random
import time
from contextlib import suppress
from dataclasses import dataclass, field

from benchmarks.line import FAILURES, Line

CLIENT_TIMEOUT_S = 10.0

KINDS = ("read", "write", "legacy")
"""A GET and a POST that go to the candidate, and a GET of another path, which legacy serves."""

_PATHS = {"read": "/api/orders/7", "write": "/api/orders", "legacy": "/somewhere/else"}
_SHARES = (0.45, 0.15, 0.40)


@dataclass(frozen=True, slots=True)
class Sample:
    """One request. Times in seconds: `due` since the run began, `took` since it was due, so that waiting counts."""

    kind: str
    due: float
    took: float
    status: int | None
    """None: the connection broke, or no response came in time."""

    @property
    def is_error(self) -> bool:
        return self.status is None or self.status >= 500


@dataclass(slots=True)
class LoadState:
    """Clients that send requests at the moments of a Poisson process, whatever happens to earlier ones."""

    port: int
    rate: float
    samples: list[Sample] = field(default_factory=list)
    responded: set[str] = field(default_factory=set)
    """The ids of the writes with a 2xx response."""
    _idle: list[Line] = field(default_factory=list)
    _count: int = 0

    async def run(self, seconds: float) -> None:
        """Run until the time is over and every request has ended."""
        draw = random.Random(7)
        begun, due = time.perf_counter(), 0.0
        async with asyncio.TaskGroup() as group:
            while (due := due + draw.expovariate(self.rate)) < seconds:
                await asyncio.sleep(max(0.0, begun + due - time.perf_counter()))
                group.create_task(self._ask(draw.choices(KINDS, _SHARES)[0], begun, due))

    def close(self) -> None:
        for line in self._idle:
            line.close()

    async def _ask(self, kind: str, begun: float, due: float) -> None:
        self._count += 1
        name = f"{kind}-{self._count}"
        status = None
        with suppress(*FAILURES):
            async with asyncio.timeout(CLIENT_TIMEOUT_S):
                status = await self._exchange(kind, name)
        if kind == "write" and status is not None and status < 300:
            self.responded.add(name)
        self.samples.append(Sample(kind, due, time.perf_counter() - begun - due, status))

    async def _exchange(self, kind: str, name: str) -> int:
        line = await self._line()
        try:
            method, body = ("POST", b'{"order":[1,2,3]}') if kind == "write" else ("GET", b"")
            await line.ask(method, _PATHS[kind], f"X-Request-Id: {name}\r\n", body)
            status, fields = await line.head()
            await line.body(fields)
        except BaseException:
            line.close()
            raise
        if fields.get("connection", "").lower() == "close":
            line.close()
        else:
            self._idle.append(line)
        return status

    async def _line(self) -> Line:
        """Return an idle connection that is still open, else a new one, as any HTTP client does."""
        while self._idle:
            line = self._idle.pop()
            if not line.is_over:
                return line
            line.close()
        return await Line.to(self.port)
