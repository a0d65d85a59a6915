"""The demo's known drifts are found, all of them and nothing else, its noise is recognised, and nothing is changed."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from legacy_stub.drifts import DRIFTS

A_MINUTE_S = 60
_ENVIRON = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}

Found = tuple[str, str | None, str, str]
"""Endpoint, place, kind and severity."""


@dataclass(slots=True)
class Demo:
    """A running demo."""

    process: asyncio.subprocess.Process
    routes: Path

    async def ask(self, *command: str) -> dict[str, Any]:
        """Return what a command of the CLI prints as JSON; nothing if it has nothing to print yet."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "strangler", *command, "--json", "-c", str(self.routes)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=_ENVIRON,
        )
        output, _ = await process.communicate()
        found: dict[str, Any] = json.loads(output) if output else {}
        return found

    async def end(self) -> str:
        """End it as Ctrl-C does, and return the rest of its screen."""
        self.process.terminate()
        output, _ = await self.process.communicate()
        return output.decode()


def _found(rows: list[dict[str, Any]], *, noise: bool) -> set[Found]:
    return {(row["endpoint"], row["path"], row["kind"], row["severity"]) for row in rows if row["is_noise"] is noise}


def _wanted(*, noise: bool) -> set[Found]:
    drifts = [drift for drift in DRIFTS if drift.noise is noise]
    return {(endpoint, path, drift.kind, drift.severity) for drift in drifts for endpoint, path in drift.places.items()}


@pytest.fixture
async def demo(tmp_path: Path) -> AsyncIterator[Demo]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "strangler", "demo"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=_ENVIRON | {"TMPDIR": str(tmp_path)},
    )
    assert process.stdout is not None
    try:
        while line := (await process.stdout.readline()).decode():
            if line.strip().startswith("routes "):
                break
        yield Demo(process, Path(line.split()[1]))
    finally:
        if process.returncode is None:
            process.terminate()
            await process.communicate()


async def test_the_demo_shows_what_differs_and_changes_nothing(demo: Demo) -> None:
    drifts, noise = _wanted(noise=False), _wanted(noise=True)
    rows: list[dict[str, Any]] = []
    try:
        async with asyncio.timeout(A_MINUTE_S):
            while not (drifts <= _found(rows, noise=False) and noise <= _found(rows, noise=True)):
                await asyncio.sleep(1)
                rows = (await demo.ask("diffs")).get("signatures", [])
    except TimeoutError:
        pass
    assert drifts - _found(rows, noise=False) == set()
    assert noise - _found(rows, noise=True) == set()
    assert _found(rows, noise=False) == drifts, "and nothing else"

    products, feed = await demo.ask("ready", "products"), await demo.ask("ready", "feed")
    assert products["not_comparable"]["conditional"] > 0, "validators of another maker say nothing"
    assert feed["matches"] == feed["pairs"] > 0, "prefixes are no difference"

    settled = re.search(r"^Shadows changed nothing: (\d+) visits counted, \1 made\.$", await demo.end(), re.MULTILINE)
    assert settled
    assert int(settled[1]) > 100
