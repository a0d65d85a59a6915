"""The cost of one access record of Envoy, as the engine's process counts it: `python -m benchmarks.intake`.

Records as Envoy 1.40 sends them, 64 KiB a message, through the whole way: cut, decoded, counted, written as a line,
summed up in the ledger and for a rollout. The quickest of several rounds counts; CPU time.
"""

import asyncio
import os
import time
from dataclasses import replace

import msgspec

from strangler.config.load import parse
from strangler.core.rollout_settings import RolloutSettings
from strangler.core.settings import Settings
from strangler.engine.intake.intake import Intake
from strangler.engine.intake.message_ends import MessageSplitter
from strangler.engine.intake.telemetry_server import records_of
from strangler.envoy.access_records import REQUEST_TAG
from strangler.ipc.messages import ToControl
from strangler.ipc.metrics import Metrics
from strangler.logs import LogWriter

REQUESTS = 50_000
ROUNDS = 5
_IN_MESSAGE = 90  # about 64 KiB
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
    split: {percent: 50, sticky: ["header:X-User-Id"]}
"""


class _Taking:
    """A link whose control takes everything."""

    is_connected = True

    def offer(self, message: ToControl) -> bool:
        return True


def settings() -> Settings:
    """Return settings with a ledger and one route that has a rollout."""
    made = parse(_ROUTES, "routes.yaml", {}).settings
    assert made is not None
    routes = tuple(replace(route, rollout=RolloutSettings()) for route in made.routes)
    return replace(made, routes=routes)


def record(number: int) -> dict[str, object]:
    """Return the record of one request, as Envoy sends it."""
    arm = "candidate" if number % 2 else "legacy"
    return {
        "arm": arm, "br": 0, "bs": 26, "cd": "via_upstream", "ck": None,
        "cl": "arms/orders/db3db1cbea1c" if number % 2 else "up/legacy:reads", "d": 812, "dm": 1, "f": "-", "gen": 1,
        "h": "shop.example", "id": "19db0d65-adc1-44e9-a07c-a215e161b8df", "ip": "127.0.0.1",
        "k:X-User-Id": str(number % 500), "m": "GET", "n": 1, "p": f"/api/orders/{number % 1000}?expand=items",
        "r": None, "reason": "percent", "rf": None, "route": "orders", "s": 200, "sh": None,
        "t": f"{1_796_094_901 + number / 10_000:.6f}", "ua": "curl/8.5.0",
        "up": "orders" if number % 2 else "legacy", "v": "HTTP/1.1",
    }  # fmt: skip


def messages() -> list[bytes]:
    """Return the messages of all records."""
    made = [[1_796_094_901, record(number)] for number in range(REQUESTS)]
    encode = msgspec.msgpack.encode
    return [encode([REQUEST_TAG, made[at : at + _IN_MESSAGE]]) for at in range(0, REQUESTS, _IN_MESSAGE)]


async def measure(sent: list[bytes]) -> tuple[float, float]:
    """Return the microseconds of a record: to be cut and decoded, and to be counted."""
    null = os.open(os.devnull, os.O_WRONLY)
    writer = LogWriter(null)
    loop = asyncio.get_running_loop()
    intake = Intake(loop, settings(), 1, Metrics(), _Taking(), writer, "envoy")
    splitter, decoded = MessageSplitter(), []
    begun = time.process_time()
    for message in sent:
        decoded += [records_of(whole) for whole in splitter.feed(message)]
    cut = time.process_time()
    for tag, records in decoded:
        for each in records:
            intake.take(tag, each)
        intake.tick()
    counted = time.process_time()
    writer.close()
    os.close(null)
    return (cut - begun) / REQUESTS * 1e6, (counted - cut) / REQUESTS * 1e6


def main() -> None:
    sent = messages()
    rounds = [asyncio.run(measure(sent)) for _ in range(ROUNDS)]
    cut, counted = (min(each) for each in zip(*rounds, strict=True))
    print(f"cut and decode {cut:.1f} us, count {counted:.1f} us: {cut + counted:.1f} us of CPU a record")


if __name__ == "__main__":
    main()
