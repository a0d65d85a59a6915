"""The demo's known drifts are found, all of them, and its noise is recognised, within a minute."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from legacy_stub.drifts import DRIFTS, ORDER, ORDERS

A_MINUTE_S = 60


async def _diffs(routes: Path) -> list[dict[str, Any]]:
    """What `strangler diffs --json` says now."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "strangler", "diffs", "--json", "-c", str(routes)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    output, _ = await process.communicate()
    found: list[dict[str, Any]] = json.loads(output)["signatures"] if process.returncode == 0 else []
    return found


def _found(rows: list[dict[str, Any]], *, noise: bool) -> set[tuple[str, str, str]]:
    return {(row["path"], row["kind"], row["severity"]) for row in rows if row["is_noise"] is noise}


def _wanted(*, noise: bool) -> set[tuple[str | None, str, str]]:
    drifts = [drift for drift in DRIFTS if drift.noise is noise]
    places = [(one, place) for one in drifts for place in one.places.items()]
    return {(path, one.kind, one.severity) for one, (endpoint, path) in places if endpoint in (ORDER, ORDERS)}


@pytest.fixture
async def routes(tmp_path: Path) -> Any:
    """The routes of a running demo."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "strangler", "demo"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    try:
        while line := (await process.stdout.readline()).decode():
            if line.strip().startswith("routes "):
                break
        yield Path(line.split()[1])
    finally:
        process.terminate()
        await process.communicate()


async def test_all_drifts_are_found_and_all_noise_is_recognised(routes: Path) -> None:
    drifts, noise = _wanted(noise=False), _wanted(noise=True)
    rows: list[dict[str, Any]] = []
    try:
        async with asyncio.timeout(A_MINUTE_S):
            while not (drifts <= _found(rows, noise=False) and noise <= _found(rows, noise=True)):
                await asyncio.sleep(1)
                rows = await _diffs(routes)
    except TimeoutError:
        pass
    assert drifts - _found(rows, noise=False) == set()
    assert noise - _found(rows, noise=True) == set()
    assert _found(rows, noise=False) == drifts, "and nothing else"
