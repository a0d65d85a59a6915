"""A demo from start to end: processes up, traffic on, a report on the screen, everything down again."""

import asyncio
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from strangler.demo import traffic
from strangler.demo.children import ChildrenState, free_ports
from strangler.demo.first import first_of
from strangler.demo.routes import Ports
from strangler.demo.tally import TallyState

_CLOSING_S = 3.0
RELEASE = "2026.11"
"""The candidate's release when a demo begins."""

Say = Callable[[str], None]


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

    @property
    def candidate(self) -> str:
        return _url(self.ports.candidate)

    @property
    def log(self) -> Path:
        return self.folder / "proxy.log"


def filled_guide(template: str, stage: Stage, options: DemoOptions, **more: object) -> str:
    """Return a guide with what each demo has, and `more`."""
    return template.format(
        visitors=traffic.VISITORS,
        proxy=stage.proxy,
        admin=stage.admin,
        routes=stage.routes,
        log=stage.log,
        strangler=options.strangler,
        and_removes="" if options.keep else " and removes the folder",
        **more,
    )


@dataclass(frozen=True, slots=True)
class Play:
    """The part of a demo that makes it this one.

    routes_yaml: the text of routes.yaml for the ports and a state folder. candidate: further arguments of the
    candidate. busy_apps: those of the traffic. guide: printed once all runs. report: goes on as long as the demo.
    settles_visits: whether the end says that shadows have changed nothing.
    """

    routes_yaml: Callable[[Ports, str], str]
    guide: Callable[[Stage], str]
    report: Callable[[Stage, TallyState, Say], Coroutine[Any, Any, None]]
    candidate: tuple[str, ...] = ()
    busy_apps: int = 0
    settles_visits: bool = True


async def perform(options: DemoOptions, play: Play, say: Say) -> None:
    """Run the demo until its time is up or a signal comes. Raises ChildDiedError if a process dies first."""
    stopped = stop_on_signals()
    stage = Stage(Path(tempfile.mkdtemp(prefix="strangler-demo.")), Ports(*free_ports(4)))
    children = ChildrenState(stage.folder)
    try:
        await first_of(_set_up(stage, play, children), stopped.wait())
        if not stopped.is_set():
            say(play.guide(stage))
            await _run(stage, play, children, stopped, options.duration_s, say)
    finally:
        for name in await children.stop():
            say(f"{name} did not stop and was killed")
        if options.keep:
            say(f"Kept: {stage.folder}")
        else:
            shutil.rmtree(stage.folder, ignore_errors=True)


def stop_on_signals() -> asyncio.Event:
    """Return an event that Ctrl-C, SIGTERM and SIGHUP set."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped


async def _set_up(stage: Stage, play: Play, children: ChildrenState) -> None:
    """Start legacy, candidate and proxy, each ready before the next. Legacy and candidate share one database."""
    ports = stage.ports
    stage.routes.write_text(play.routes_yaml(ports, str(stage.folder / "state")))
    shop = (sys.executable, "-m", "legacy_stub", "--data", str(stage.folder / "shop.db"))
    legacy = (*shop, "--port", str(ports.legacy))
    candidate = (*shop, "--port", str(ports.candidate), "--candidate", "shop", "--release", RELEASE, *play.candidate)
    proxy = (sys.executable, "-m", "strangler", "serve", "-c", str(stage.routes))
    await children.start("legacy", *legacy, ready=f"{_url(ports.legacy)}/healthz")
    await children.start("candidate", *candidate, ready=f"{_url(ports.candidate)}/healthz")
    await children.start("proxy", *proxy, ready=f"{stage.admin}/readyz")


async def _run(
    stage: Stage, play: Play, children: ChildrenState, stopped: asyncio.Event, duration_s: float | None, say: Say
) -> None:
    tally, closing = TallyState(), asyncio.Event()

    async def close_in_time() -> None:
        await first_of(play.report(stage, tally, say), stopped.wait(), timeout_s=duration_s)
        closing.set()
        await asyncio.sleep(_CLOSING_S)  # visitors that have not finished by then are not waited for

    visitors = traffic.send(stage.proxy, tally, closing, play.busy_apps)
    await first_of(visitors, close_in_time(), children.watch())
    say(f"\n{tally.requests} requests, {tally.errors} errors.")
    if tally.visits_made and play.settles_visits:
        say(tally.visits())


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"
