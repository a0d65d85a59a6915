"""The start of a worker with the kill switch as it is in the state folder, without control."""

import sys
from pathlib import Path

import msgspec
import pytest

from strangler.ipc.start import WorkerStart
from strangler.state import kill_switch
from strangler.state.kill_switch import OFF, KilledRoute, KillSwitchState
from strangler.supervisor.spawner import Commands
from tests.supervisor.stage import Stage

_WRITE_START = "import os, pathlib; pathlib.Path(os.environ['START_FILE']).write_text(os.environ['STRANGLER_START'])"


@pytest.fixture
def start_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that the worker writes its start into."""
    monkeypatch.setenv("START_FILE", str(tmp_path / "start.json"))
    return tmp_path / "start.json"


def started(folder: Path, start_file: Path) -> WorkerStart:
    """Start a worker on the state folder, and return its start as it has got it."""
    stage = Stage(folder, Commands(worker=(sys.executable, "-c", _WRITE_START)))
    try:
        stage.children.start_due(stage.now)
        stage.reap()
    finally:
        stage.close()
    return msgspec.json.decode(start_file.read_bytes(), type=WorkerStart)


ORDERS = {"orders": KilledRoute("slow", "now")}
MANY = {f"route-{number}": KilledRoute("", None) for number in range(10_000)}


@pytest.mark.parametrize(
    ("state", "is_killed", "routes"),
    [
        pytest.param(OFF, False, (), id="off"),
        pytest.param(KillSwitchState(True, "all", "now"), True, (), id="on"),
        pytest.param(KillSwitchState(False, "", None, ORDERS), False, ("orders",), id="for a route"),
        pytest.param(KillSwitchState(True, "all", "now", ORDERS), True, ("orders",), id="for all and for a route"),
        pytest.param(KillSwitchState(False, "", None, MANY), True, (), id="more routes than a start has room for"),
    ],
)
def test_a_worker_is_started_with_the_kill_switch(
    tmp_path: Path, start_file: Path, state: KillSwitchState, is_killed: bool, routes: tuple[str, ...]
) -> None:
    kill_switch.write(tmp_path, state)
    start = started(tmp_path, start_file)
    assert (start.killed, start.killed_routes) == (is_killed, routes)


def test_a_broken_file_sends_all_to_legacy(tmp_path: Path, start_file: Path) -> None:
    (tmp_path / "kill-switch.json").write_bytes(b'{"on":false,"routes":')
    start = started(tmp_path, start_file)
    assert (start.killed, start.killed_routes) == (True, ())
