"""The cost of metrics, access line, trace context, ledger and rollouts per request: `python -m benchmarks.costs`.

A worker's code in this process, on transports that do nothing: a keep-alive client, an idle connection to the upstream,
a small GET. Each part is taken out alone, then all of them; the ledger also with a path of its own for each request,
the dearest that can come to it. A rollout is at 100 %, where its callers are dearest: the plan has not looked for them.
The rounds of all variants alternate, and the quickest round of each counts, so that other load on the machine drops
out. CPU time, without that of the kernel. Of compiled code nothing can be taken out but the access line, the ledger and
the rollout.
"""

import argparse
import asyncio
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

from rich.console import Console
from rich.table import Table

import strangler.worker.call
from strangler.config.load import parse
from strangler.core.http.trust import TrustedProxies
from strangler.core.rollout_settings import RolloutSettings
from strangler.core.routing.snapshot import Snapshot
from strangler.core.settings import Settings
from strangler.http1.client_connection import ClientConnection
from strangler.http1.server_state import ServerState
from strangler.http1.upstream_connection import UpstreamConnection
from strangler.ipc.messages import LedgerBatch, RolloutBatch, ToControl, encode_frame
from strangler.ipc.metrics import Metrics
from strangler.logs import LogWriter
from strangler.worker.access_log import AccessLog
from strangler.worker.call import Call
from strangler.worker.captures import Captures
from strangler.worker.context import WorkerContext
from strangler.worker.handler import serve
from strangler.worker.request_metrics import RequestMetrics

_ROUTES = """\
version: 1
log: {format: json}
upstreams:
  legacy: {url: "http://127.0.0.1:8000"}
  orders: {url: "http://127.0.0.1:8001"}
routes:
  - name: orders
    match: {prefix: /api/orders}
    candidate: orders
    split: {percent: 100, sticky: ["header:X-User-Id"]}
    shadow: {percent: 1, of: any}
"""
_REQUEST = (
    b"GET /api/orders/7?expand=items HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n"
    b"Cookie: sid=5f0c9a1e\r\nX-User-Id: 4711\r\n\r\n"
)
_BODY = b'{"id":7,"state":"shipped"}'
_RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
_OTHER_PATH = _REQUEST.replace(b"/7?", b"/%d?")
_TICK = 100
"""Requests between two ticks, which write the lines and report the metrics: 50 ms at 2,000 requests a second."""
_TICK_S = 0.05


class _Loop:
    """The part of an event loop that a worker needs while nothing goes wrong."""

    def call_soon(self, *_: object) -> None:
        pass

    def call_later(self, *_: object) -> None:
        raise AssertionError("nothing should wait")


class _Wire(asyncio.Transport):
    """A transport that counts writes and drops the bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0

    def write(self, _: object) -> None:
        self.writes += 1

    def is_closing(self) -> bool:
        return False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 50000) if name == "peername" else default


class _Control:
    """A link whose other end has stored each batch of the ledger before the next tick."""

    is_connected = True

    def __init__(self) -> None:
        self.stored = 0

    def offer(self, message: ToControl) -> bool:
        if isinstance(message, LedgerBatch | RolloutBatch):
            encode_frame(message)
        if isinstance(message, LedgerBatch):
            self.stored = message.number
        return True


def _uncounted(numbers: Metrics) -> RequestMetrics:
    """Return metrics that count nothing."""

    class Uncounted(RequestMetrics):
        def count_request(self, *_: object) -> None:
            pass

        def count_attempt(self, *_: object) -> None:
            pass

    return Uncounted(numbers)


@dataclass(frozen=True, slots=True)
class Variant:
    """The parts that are switched on."""

    name: str
    metrics: bool = True
    access: bool = True
    trace: bool = True
    ledger: bool = True
    paths: bool = False
    """Each request has a path of its own."""
    rollout: bool = False
    whole: str = "as it is"
    """The variant in which nothing is taken out."""


VARIANTS = (
    Variant("as it is"),
    Variant("metrics", metrics=False),
    Variant("access line", access=False),
    Variant("trace context", trace=False),
    Variant("ledger", ledger=False),
    Variant("all four", metrics=False, access=False, trace=False, ledger=False),
    Variant("each path new", paths=True, whole="each path new"),
    Variant("ledger, each path new", ledger=False, paths=True, whole="each path new"),
    Variant("with a rollout", rollout=True, whole="with a rollout"),
    Variant("rollout", whole="with a rollout"),
)


class Bench:
    """One worker's code with one client and one connection to the upstream."""

    def __init__(self, variant: Variant, settings: Settings, writer: LogWriter) -> None:
        if not variant.access:
            settings = replace(settings, log=replace(settings.log, access=None))
        if not variant.ledger:
            settings = replace(settings, ledger=None)
        if variant.rollout:
            settings = replace(
                settings, routes=tuple(replace(each, rollout=RolloutSettings()) for each in settings.routes)
            )
        loop = cast(asyncio.AbstractEventLoop, _Loop())
        self.numbers = Metrics()
        self._is_traced = variant.trace
        self.access_log = AccessLog(writer, "worker-0", os.getpid())
        metrics = (RequestMetrics if variant.metrics else _uncounted)(self.numbers)
        self._control = _Control()
        captures = Captures(self.numbers)
        context = WorkerContext(loop, Snapshot(settings, 1), metrics, self.access_log, captures, self._control)
        self.ledger, self._rollouts = context.ledger, context.rollouts
        self._has_paths = variant.paths
        self._at = 0.0
        self._port = ServerState(
            loop, settings.limits, Call, lambda client: serve(client, context), TrustedProxies(()), _raise
        )
        upstream = context.upstreams["orders"]
        pool = upstream.pool(upstream.endpoints.states[0])
        self._upstream = UpstreamConnection(pool)
        self._read = _Wire()
        self._upstream.connection_made(self._read)
        pool.give_back(self._upstream)
        self._client = ClientConnection(self._port)
        self._written = _Wire()
        self._client.connection_made(self._written)

    def run(self, count: int) -> float:
        """Return the CPU µs per request."""
        client, upstream, write_batch = self._client, self._upstream, self._port.write_batch
        requests = [_OTHER_PATH % (1000 + number) if self._has_paths else _REQUEST for number in range(count)]
        with _fixed_trace() if not self._is_traced else _as_it_is():
            self._exchange()
            read, written = self._read.writes, self._written.writes
            begun = time.process_time()
            for number, request in enumerate(requests):
                client.data_received(request)
                write_batch.flush()
                upstream.data_received(_RESPONSE)
                write_batch.flush()
                if not number % _TICK:
                    self.access_log.flush()
                    self.numbers.report()
                    self.ledger.stored(self._control.stored)
                    self._at += _TICK_S
                    self.ledger.tick(self._at, self._at)
                    self._rollouts.tick(self._at)
            spent_s = time.process_time() - begun
        assert (self._read.writes - read, self._written.writes - written) == (count, count)
        return spent_s / count * 1e6

    def _exchange(self) -> None:
        """Serve one request outside the measurement."""
        self._client.data_received(_REQUEST)
        self._port.write_batch.flush()
        self._upstream.data_received(_RESPONSE)
        self._port.write_batch.flush()


def _raise(crash: Exception) -> None:
    raise crash


@contextmanager
def _as_it_is() -> Iterator[None]:
    yield


@contextmanager
def _fixed_trace() -> Iterator[None]:
    """Give every request the same ids, made once, and do not forward them."""
    module: Any = strangler.worker.call
    make: Callable[..., Any] = module.Trace
    made: list[Any] = []

    def fixed(*arguments: Any) -> Any:
        if not made:
            trace = make(*arguments)
            trace.lines = b""
            made.append(trace)
        return made[0]

    module.Trace = fixed
    try:
        yield
    finally:
        module.Trace = make


def costs(count: int, rounds: int) -> dict[str, float]:
    """Return the quickest round of each variant, in µs per request."""
    settings = parse(_ROUTES, "routes.yaml", {}).settings
    assert settings is not None
    null = os.open(os.devnull, os.O_WRONLY)
    writer = LogWriter(null)
    variants = [each for each in VARIANTS if not strangler.is_compiled() or (each.metrics and each.trace)]
    benches = {variant.name: Bench(variant, settings, writer) for variant in variants}
    spent: dict[str, list[float]] = {name: [] for name in benches}
    for _ in range(rounds):
        for name, bench in benches.items():
            spent[name].append(bench.run(count))
    writer.close()
    os.close(null)
    return {name: min(figures) for name, figures in spent.items()}


def table(found: dict[str, float]) -> Table:
    """Return a table of the parts with their costs."""
    made = Table("part", box=None, pad_edge=False)
    made.add_column("µs per request", justify="right")
    for variant in VARIANTS:
        if variant.name == variant.whole:
            made.add_row(f"all of the worker's code, {variant.name}", f"{found[variant.name]:.1f}")
        elif variant.name in found:
            made.add_row(f"of which {variant.name}", f"{found[variant.whole] - found[variant.name]:.2f}")
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=20_000, help="in each round")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    Console().print(table(costs(arguments.requests, arguments.rounds)))


if __name__ == "__main__":
    main()
