"""The CPU time of control for each compared pair: `python -m benchmarks.pairs`, about 20 s.

All of a pair's work is done as in the running proxy: its capture is decoded from the worker's message, the other arm is
asked over a connection of its own, the responses are compared, and the finding is written into a SQLite store. nginx is
the other arm. So many pairs are under way at a time as a busy route has. The time is that of all threads of this
process, the kernel's part of it included; there is no worker in it. `--differ`: the responses differ.

0.5 ms a pair are 200 pairs a second on a tenth of a core.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec
import uvloop

from benchmarks.upstream import upstream
from strangler.config.load import parse
from strangler.control.events.comparisons import ComparisonTopic
from strangler.control.events.publisher import EventPublisher
from strangler.control.events.shadow_events import EvidenceEvents
from strangler.control.events.sinks import EventSinks
from strangler.control.events.slow import SlowWatch
from strangler.control.links import LinksState, WorkerLinks
from strangler.control.own_metrics import OwnMetrics
from strangler.control.shadow.assembly import ShadowListeners, ShadowParts, assemble_shadow
from strangler.control.shadow.route import ShadowRoute
from strangler.control.totals import TotalsState
from strangler.control.tracing import TracingState
from strangler.core.settings import Settings
from strangler.ipc.messages import Captured, CapturedResponse, ToControl
from strangler.state.kill_switch import OFF
from strangler.store.file_store import FileStore
from strangler.store.schema import prepare_file

_ROUTES = """\
version: 1
upstreams:
  legacy: {{url: "http://127.0.0.1:{port}"}}
  orders: {{url: "http://127.0.0.1:{port}"}}
routes:
  - {{name: orders, match: {{prefix: /api/orders}}, candidate: orders, shadow: {{percent: 100, recheck: 0s}}}}
"""
_BODY = (
    b'{"id":7,"customer":"ada","total":"19.99","items":[{"sku":"A-1","count":2},{"sku":"B-7","count":1}],"paid":true}'
)
_UNDER_WAY = 8
_LINES = (
    b"Host: shop.example\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\nX-User-Id: 4711\r\nCookie: sid=5f0c9a1e\r\n"
    b"X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\n"
    b"X-Request-Id: 01J9Z3\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
)


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a round, in ms of CPU time for each pair."""

    total_ms: float
    kernel_ms: float


def message(number: int, *, differs: bool) -> bytes:
    """Return a worker's message about a request that legacy has served."""
    body = _BODY.replace(b"ada", b"bob") if differs else _BODY
    fields = b"Server: legacy\r\nContent-Type: application/json\r\nContent-Length: %d" % len(body)
    head = b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % fields
    return msgspec.msgpack.encode(
        Captured(
            route="orders",
            at=time.time(),
            method=b"GET",
            target=b"/api/orders/%d?expand=items" % number,
            host=b"shop.example",
            lines=_LINES,
            body=b"",
            is_body_complete=True,
            request_id=b"01J9Z3",
            traceparent=b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            arm="legacy",
            upstream="legacy",
            url="",
            response=CapturedResponse(200, head, body, None, 0.01, len(body), False, False),
            failed=None,
        )
    )


def parts_of(folder: Path, settings: Settings) -> tuple[ShadowParts, FileStore]:
    """Build the parts of shadows, with what listens to them in control."""
    totals = TotalsState()
    own, store = OwnMetrics(totals, "own"), FileStore(folder / "strangler.db", prepare_file)
    publisher = EventPublisher(store, EventSinks(store, {}, own), own, "run", "//host/strangler")
    slow, tracing = SlowWatch(store, publisher, settings), TracingState(settings)
    evidence = EvidenceEvents(publisher, ComparisonTopic("//host/strangler", own), slow)
    listeners = ShadowListeners(evidence, evidence.publish_release_change, tracing)
    links = WorkerLinks(LinksState(totals, 1, b"", OFF))
    return assemble_shadow("run", settings, store, links, own, listeners), store


async def cost(parts: ShadowParts, messages: list[bytes]) -> Cost:
    """Return the cost of comparing and storing the pairs of these messages."""
    decoder = msgspec.msgpack.Decoder(ToControl)
    route = parts.table.routes["orders"]
    began = time.process_time(), _kernel_s()
    for raw in messages:
        await _open_at_most(route, _UNDER_WAY - 1)
        captured = decoder.decode(raw)
        assert isinstance(captured, Captured)
        parts.runner.take(captured)
    await _open_at_most(route, 0)
    await parts.runner.store()
    spent = time.process_time() - began[0], _kernel_s() - began[1]
    return Cost(*(1000 * each / len(messages) for each in spent))


async def _open_at_most(route: ShadowRoute, most: int) -> None:
    """Wait until so few pairs are under way."""
    while route.open > most:  # noqa: ASYNC110 - no event says so
        await asyncio.sleep(0.0005)


def _kernel_s() -> float:
    """Return the time of this process in the kernel."""
    return os.times().system


async def costs(port: int, folder: Path, count: int, rounds: int, *, differs: bool) -> list[Cost]:
    """Return the costs of some rounds, after one that does not count."""
    settings = parse(_ROUTES.format(port=port), "routes.yaml", {}).settings
    assert settings is not None
    parts, store = parts_of(folder, settings)
    await parts.runner.restore()
    found = []
    running = asyncio.ensure_future(parts.runner.run())
    for number in range(rounds + 1):
        messages = [message(number * count + each, differs=differs) for each in range(count)]
        found.append(await cost(parts, messages))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    ((stored,),) = await store.call(
        lambda connection: connection.execute(
            "SELECT sum(count) FROM pairs WHERE outcome != 'not_comparable'"
        ).fetchall()
    )
    assert stored == count * (rounds + 1), f"{stored} of {count * (rounds + 1)} pairs were compared"
    await parts.runner.close()
    await store.close()
    return found[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=1500, help="of a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--differ", action="store_true", help="the responses differ")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, upstream(Path(name), "0,1") as ports:
        found = uvloop.run(
            costs(ports.responds_port, Path(name), options.pairs, options.rounds, differs=options.differ)
        )
    best = min(found, key=lambda each: each.total_ms)
    median = statistics.median(each.total_ms for each in found)
    print(
        f"{median:.3f} ms of CPU a pair (median), {best.total_ms:.3f} ms (best), of it {best.kernel_ms:.3f} ms kernel"
    )


if __name__ == "__main__":
    main()
