"""The state of control without its process: a folder with routes.yaml, a store, and no worker."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from strangler.config.load import load
from strangler.control.events import gates, outbox
from strangler.control.events.state import EventsState
from strangler.control.links import LinksState
from strangler.control.plane import ControlState
from strangler.control.reload import InForce, ReloadState
from strangler.control.shadow.desk import DeskState
from strangler.control.shadow.evidence import SCHEMA
from strangler.control.store import Store
from strangler.control.totals import Key, TotalsState, Vector
from strangler.control.tracing import TracingState
from strangler.state import kill_switch
from strangler.wire.messages import HistogramCell, Report, ValueCell, encode_settings


@asynccontextmanager
async def control_of(folder: Path, environ: Mapping[str, str]) -> AsyncIterator[ControlState]:
    """Of the routes.yaml in a folder, which is right; its watching is up to the caller."""
    file, state_folder = folder / "routes.yaml", folder / "state"
    state_folder.mkdir(exist_ok=True)
    settings = load(file, environ).settings
    assert settings is not None
    store = Store(state_folder / "strangler.db", SCHEMA + outbox.SCHEMA + gates.SCHEMA)
    in_force = InForce(settings, encode_settings(settings), 1, "2026-11-23T08:00:00.000Z")
    links = LinksState(TotalsState(), 1, in_force.encoded, kill_switch.OFF)
    desk = DeskState(state_folder, "run", links, store, settings)
    events = EventsState(state_folder, "run", links, store, settings)
    reload = ReloadState(file, environ, settings, in_force, lambda _: None)
    tracing = TracingState(settings)
    state = ControlState(state_folder, "run", "127.0.0.1:8080", reload, links, store, desk, events, tracing)
    await desk.restore()
    try:
        yield state
    finally:
        await desk.close()
        await state.close()


def take(state: ControlState, numbers: Mapping[Key, Vector]) -> None:
    """As if a worker had reported these totals."""
    state.links.own.add("worker")
    counters = [ValueCell(*key, vector[0]) for key, vector in numbers.items() if len(vector) == 1]
    histograms = [
        HistogramCell(*key, [int(count) for count in vector[:-1]], vector[-1])
        for key, vector in numbers.items()
        if len(vector) > 1
    ]
    state.links.totals.take("worker", Report(counters, histograms, []))
