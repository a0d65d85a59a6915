"""The cost of a replayed pair: `python -m benchmarks.replay`, half a minute.

A recording of small JSON pairs is sent to an upstream in another process that responds with what was recorded, as fast
as it goes. Beside it runs a bare loop of the same requests by the same client: what is above it is reading the
recording, its order, routing, learning, comparing and findings. CPU time of this process, the quickest of some rounds.
"""

import argparse
import asyncio
import multiprocessing
import tempfile
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, cast

import uvloop

from strangler.comparing.arm_request import Outgoing
from strangler.comparing.kept_upstream import KeptUpstream
from strangler.config.load import parse
from strangler.core.replaying.caller_order import Speed
from strangler.core.settings import Settings
from strangler.recordings.recorded import Header, RecordedBody, RecordedPair, RecordedRequest, RecordedResponse
from strangler.recordings.recording_reader import open_recording
from strangler.recordings.recording_writer import RecordingWriter
from strangler.replay.progress import ReplayProgress
from strangler.replay.replay_settings import ReplaySettings
from strangler.replay.replayed_finding import ReplayedFinding
from strangler.replay.run import run_replay

_BODY: Final = (
    '{"id":7,"customer":"ada","total":"19.99","items":[{"sku":"A-1","count":2},{"sku":"B-7","count":1}],"paid":true}'
)
_OTHER: Final = _BODY.replace("19.99", "20.99")
_HEADER: Final = Header(made="2027-01-01T00:00:00.000Z", by="strangler 0", source="proxy", redacted=False)
_FIELDS: Final = (("Content-Type", "application/json"), ("Cache-Control", "no-store"), ("Vary", "Accept"))
_REQUEST_FIELDS: Final = (
    ("Host", "shop.example"),
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("Accept", "application/json"),
    ("Accept-Language", "en"),
    ("X-User-Id", "4711"),
    ("X-Forwarded-For", "203.0.113.9"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "shop.example"),
    ("Via", "1.1 strangler"),
)
_ROUTES: Final = """\
version: 1
upstreams:
  legacy: {{url: "http://127.0.0.1:{port}"}}
  orders: {{url: "http://127.0.0.1:{port}"}}
routes:
  - {{name: orders, match: {{prefix: /api/orders}}, candidate: orders}}
"""
CALLERS: Final = 64


class _Responding(asyncio.Protocol):
    """Responds to each request head with the recorded response; `/other` gets another body."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._ahead = b""

    def data_received(self, data: bytes) -> None:
        *heads, self._ahead = (self._ahead + data).split(b"\r\n\r\n")
        for head in heads:
            self._transport.write(_response(_OTHER if b"/other" in head[:40] else _BODY))


def _response(body: str) -> bytes:
    fields = "".join(f"{name}: {value}\r\n" for name, value in _FIELDS)
    return f"HTTP/1.1 200 OK\r\n{fields}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def _serve(ports: Connection) -> None:
    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(_Responding, "127.0.0.1", 0)
        ports.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(run())


def _written(path: Path, target: str, pairs: int) -> Path:
    request = RecordedRequest("GET", target, _REQUEST_FIELDS)
    response = RecordedResponse(200, _FIELDS, RecordedBody(text=_BODY), 3.0)
    with RecordingWriter(path, _HEADER) as writer:
        for at in range(pairs):
            writer.write(
                RecordedPair(at=at / 1000, caller=f"caller-{at % CALLERS}", request=request, response=response)
            )
    return path


async def _replay(path: Path, settings: Settings, pairs: int) -> None:
    progress, kept = ReplayProgress(), list[ReplayedFinding]()
    with open_recording(path) as recording:
        how = ReplaySettings(speed=Speed(), callers_at_once=CALLERS)
        await run_replay(recording, settings, how, b"k" * 32, progress, kept.append)
    assert progress.outcomes.total() == len(kept) == pairs, progress


async def _bare(settings: Settings, target: str, pairs: int) -> None:
    upstream = KeptUpstream(settings.upstreams["orders"])
    fields = tuple((name.encode(), value.encode()) for name, value in _REQUEST_FIELDS)
    request = Outgoing(upstream.settings.urls[0], b"GET", target.encode(), fields)

    async def send(caller: str) -> None:
        for _ in range(pairs // CALLERS):
            response = await upstream.ask(caller, request, upstream.settings.timeouts, 1 << 20)
            assert response.status == 200

    await asyncio.gather(*(send(f"caller-{at}") for at in range(CALLERS)))
    await upstream.close()


def _cost_us(work: Callable[[], Awaitable[None]], pairs: int, rounds: int) -> tuple[float, float]:
    """Return the µs of CPU and of the clock that a pair takes, of the quickest round."""

    async def run() -> None:
        await work()

    best = (float("inf"), float("inf"))
    for _ in range(rounds):
        began, cpu = time.perf_counter(), time.process_time()
        uvloop.run(run())
        took = (time.process_time() - cpu) * 1e6 / pairs, (time.perf_counter() - began) * 1e6 / pairs
        best = min(best, took)
    return best


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--pairs", type=int, default=CALLERS * 300)
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,), daemon=True)
    server.start()
    settings = parse(_ROUTES.format(port=ours.recv()), "routes.yaml", {}).settings
    assert settings is not None
    try:
        with tempfile.TemporaryDirectory() as folder:
            bare, _ = _cost_us(lambda: _bare(settings, "/api/orders/7", given.pairs), given.pairs, given.rounds)
            print(f"{'bare loop':24} {bare:7.1f} µs of CPU")
            for name, target in (("replay, all match", "/api/orders/7"), ("replay, all differ", "/api/orders/other")):
                path = _written(Path(folder) / target.rpartition("/")[2], target, given.pairs)
                cpu, clock = _cost_us(lambda path=path: _replay(path, settings, given.pairs), given.pairs, given.rounds)  # type: ignore[misc]
                print(f"{name:24} {cpu:7.1f} µs of CPU, {cpu / bare:.1f} times; {1e6 / clock:,.0f} pairs/s")
    finally:
        server.kill()
        server.join()


if __name__ == "__main__":
    main()
