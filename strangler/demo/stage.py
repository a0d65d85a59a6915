"""The demo from start to end: processes up, traffic on, a line every few seconds, everything down again."""

import asyncio
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from strangler.demo import traffic
from strangler.demo.children import ChildrenState, free_ports
from strangler.demo.first import first_of
from strangler.demo.routes import Ports, routes_yaml
from strangler.demo.tally import HEADER, TallyState

_LINE_EVERY_S = 3.0
_CLOSING_S = 3.0

Say = Callable[[str], None]

_GUIDE = """\
Running: a shop (legacy), its new service (candidate) for orders and products, the proxy, and {visitors} visitors.

  the shop, through the proxy  {proxy}/
  dashboard                    {admin}/
  routes                       {routes}
  the proxy's log              {log}

Try in another terminal:
  {strangler} shift orders 50 -c {routes}
  {strangler} explain GET /api/orders/7 -H 'X-User-Id: 6' -c {routes}
  {strangler} status -c {routes}
  {strangler} diffs -c {routes}
  curl -i -H 'X-User-Id: 6' {proxy}/api/orders/7
or edit the routes and save. Ctrl-C stops everything{and_removes}.
"""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """The options of the demo.

    strangler: the command as the user can type it. duration_s: None means until a signal. keep: leave the
    folder with routes, state and logs behind.
    """

    strangler: str
    duration_s: float | None
    keep: bool


@dataclass(frozen=True, slots=True)
class Stage:
    """The folder and the ports of everything."""

    folder: Path
    ports: Ports

    @property
    def routes(self) -> Path:
        return self.folder / "routes.yaml"

    @property
    def proxy(self) -> str:
        return _url(self.ports.proxy)

    @property
    def admin(self) -> str:
        return _url(self.ports.admin)


async def perform(options: DemoOptions, say: Say) -> None:
    """Run the demo until its time is up or a signal comes. Raises ChildDiedError if a process dies first."""
    stopped = _stop_on_signals()
    stage = Stage(Path(tempfile.mkdtemp(prefix="strangler-demo.")), Ports(*free_ports(4)))
    children = ChildrenState(stage.folder)
    try:
        await first_of(_set_up(stage, children), stopped.wait())
        if not stopped.is_set():
            say(_guide(stage, options))
            await _play(stage, children, stopped, options.duration_s, say)
    finally:
        for name in await children.stop():
            say(f"{name} did not stop and was killed")
        if options.keep:
            say(f"Kept: {stage.folder}")
        else:
            shutil.rmtree(stage.folder, ignore_errors=True)


def _stop_on_signals() -> asyncio.Event:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped


async def _set_up(stage: Stage, children: ChildrenState) -> None:
    """Start legacy, candidate and proxy, each ready before the next. Legacy and candidate share one database."""
    ports = stage.ports
    stage.routes.write_text(routes_yaml(ports, str(stage.folder / "state")))
    shop = (sys.executable, "-m", "legacy_stub", "--data", str(stage.folder / "shop.db"))
    legacy = (*shop, "--port", str(ports.legacy))
    candidate = (*shop, "--port", str(ports.candidate), "--candidate", "shop", "--release", "2026.11")
    proxy = (sys.executable, "-m", "strangler", "serve", "-c", str(stage.routes))
    await children.start("legacy", *legacy, ready=f"{_url(ports.legacy)}/healthz")
    await children.start("candidate", *candidate, ready=f"{_url(ports.candidate)}/healthz")
    await children.start("proxy", *proxy, ready=f"{stage.admin}/readyz")


def _guide(stage: Stage, options: DemoOptions) -> str:
    return _GUIDE.format(
        visitors=traffic.VISITORS,
        proxy=stage.proxy,
        admin=stage.admin,
        routes=stage.routes,
        log=stage.folder / "proxy.log",
        strangler=options.strangler,
        and_removes="" if options.keep else " and removes the folder",
    )


async def _play(
    stage: Stage, children: ChildrenState, stopped: asyncio.Event, duration_s: float | None, say: Say
) -> None:
    tally, closing = TallyState(), asyncio.Event()

    async def close_in_time() -> None:
        await first_of(_report(tally, say), stopped.wait(), timeout_s=duration_s)
        closing.set()
        await asyncio.sleep(_CLOSING_S)  # visitors that have not finished by then are not waited for

    await first_of(traffic.send(stage.proxy, tally, closing), close_in_time(), children.watch())
    say(f"\n{tally.requests} requests, {tally.errors} errors.")
    if tally.visits_made:
        say(tally.visits())


async def _report(tally: TallyState, say: Say) -> None:
    say(HEADER)
    begun = monotonic()
    while True:
        await asyncio.sleep(_LINE_EVERY_S)
        say(tally.take().line(monotonic() - begun))


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"
