"""Control without its process: a folder with routes.yaml, a store, and no worker."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from strangler.config.load import load
from strangler.config.pem_files import PemSource
from strangler.control.app import ControlApp, Launch
from strangler.control.app_assembly import build_app
from strangler.control.reload import InForce
from strangler.control.totals import Key, Vector
from strangler.core.settings import Settings
from strangler.ipc.messages import HistogramCell, Report, ValueCell, encode_settings


def in_force(settings: Settings, generation: int = 1) -> InForce:
    """These settings, as they are in force."""
    return InForce(settings, encode_settings(settings), generation, "2026-11-23T08:00:00.000Z")


@asynccontextmanager
async def control_of(
    folder: Path, environ: Mapping[str, str], *, has_mirrors: bool = False
) -> AsyncIterator[ControlApp]:
    """Return the control of a folder's routes.yaml, which is right; watching it is up to the caller."""
    file, state_folder = folder / "routes.yaml", folder / "state"
    state_folder.mkdir(exist_ok=True)
    settings = load(file, environ, PemSource(datetime.now(UTC))).settings
    assert settings is not None
    app = build_app(
        Launch(
            folder=state_folder,
            run="run",
            listen="127.0.0.1:8080",
            config=file,
            environ=environ,
            first=settings,
            in_force=in_force(settings),
            has_mirrors=has_mirrors,
        )
    )
    await app.restore()
    try:
        yield app
    finally:
        await app.close()


def take(app: ControlApp, numbers: Mapping[Key, Vector]) -> None:
    """As if a worker had reported these totals."""
    counters = [ValueCell(*key, vector[0]) for key, vector in numbers.items() if len(vector) == 1]
    histograms = [
        HistogramCell(*key, [int(count) for count in vector[:-1]], vector[-1])
        for key, vector in numbers.items()
        if len(vector) > 1
    ]
    app.links.totals.take("worker", Report(counters, histograms, []))
