"""The command `python -m legacy_stub`: serve until SIGINT or SIGTERM. The first line of output has the URL."""

import argparse
import asyncio
import os
import signal
import tempfile
from contextlib import closing
from pathlib import Path

from aiohttp import web

from legacy_stub.app import candidate_app, legacy_app
from legacy_stub.build import Build, rewrite
from legacy_stub.drifts import NAMES
from legacy_stub.faults import FaultState
from legacy_stub.shop import Shop

_DRAIN_S = 2.0


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="legacy_stub.") as folder, closing(Shop(options.data)) as shop:
        faults = FaultState(options.latency_ms, options.error_percent)
        if options.candidate:
            app = candidate_app(options.candidate, shop, faults, _rewrite(options))
        else:
            app = legacy_app(shop, Path(folder), faults, Build(release=options.release))
        asyncio.run(_serve(app, options.candidate or "legacy", options.host, options.port))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="legacy_stub", description="A small shop to put a proxy in front of.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="0: any free port (default: 8000)")
    parser.add_argument("--candidate", choices=["orders", "shop"], help="serve only this part, with its drifts")
    parser.add_argument(
        "--fixed",
        choices=[*NAMES, "all"],
        action="append",
        default=[],
        help="a drift that the candidate no longer has; may be given several times",
    )
    parser.add_argument(
        "--unaware", action="store_true", help="the candidate knows nothing of shadows: their writes take effect"
    )
    parser.add_argument(
        "--release", default=os.environ.get("SHOP_RELEASE"), help="X-Release of each response (default: $SHOP_RELEASE)"
    )
    parser.add_argument("--data", type=Path, help="SQLite file, may be shared (default: in memory)")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="added to each response")
    parser.add_argument("--error-percent", type=float, default=0.0, help="share of responses that are 503")
    options = parser.parse_args()
    if not options.candidate and (options.fixed or options.unaware):
        parser.error("--fixed and --unaware are for a candidate; add --candidate")
    return options


def _rewrite(options: argparse.Namespace) -> Build:
    """Return the build of the candidate that the options describe."""
    fixed = NAMES if "all" in options.fixed else options.fixed
    return rewrite(options.release, frozenset(NAMES) - frozenset(fixed), knows_shadows=not options.unaware)


async def _serve(app: web.Application, name: str, host: str, port: int) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_DRAIN_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        real_port = runner.addresses[0][1]
        print(f"legacy_stub: {name} listens on http://{host}:{real_port}", flush=True)
        await stopped.wait()
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    main()
