"""The steps by which a new program takes over, or does not: as the running one takes them, with a program that is
scripted."""

import os
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from strangler.state.folder import FolderState, hold
from strangler.state.running import read_restart, read_running
from strangler.supervisor.handover import Handover
from strangler.supervisor.launcher import SuccessorLauncher
from strangler.supervisor.origin import Origin, OriginLink
from strangler.supervisor.phase import Phase
from strangler.supervisor.places import PlaceState
from strangler.supervisor.registration import Registration
from strangler.supervisor.service_manager import ServiceManager
from strangler.supervisor.spawner import RunInfo
from strangler.supervisor.successor import Step, Successor
from tests.supervisor.stage import Stage

TALK = (
    "import json, os, socket, time\n"
    "talk = socket.socket(fileno=json.loads(os.environ['STRANGLER_SUCCESSION'])['channel_fd'])\n"
)
READY = TALK + 'talk.sendall(b\'{"ready": true, "same_folder": true}\\n\')\n'
SERVES = READY + "talk.recv(1000)\ntalk.sendall(b'{\"serving\": true}\\n' * 2)\ntime.sleep(60)\n"


class ScriptedLauncher(SuccessorLauncher):
    """Starts a script in the place of the program; without one, none can be started."""

    script = ""

    def start(self, command: Sequence[str], deadline: float) -> tuple[Successor, Origin | None]:
        program = [sys.executable, "-c", self.script] if self.script else ["/nonexistent"]
        return super().start(program, deadline)


@dataclass
class Restarting:
    """A supervisor's parts for a restart; `turn` is its loop."""

    stage: Stage
    state: FolderState
    changes: int = 0
    link: OriginLink = field(default_factory=lambda: OriginLink(None))

    def __post_init__(self) -> None:
        stage, manager = self.stage, ServiceManager()
        run = RunInfo("run", 1, self.state.folder / "routes.yaml", self.state.folder)
        self.registration = Registration(self.state, stage.sockets)
        self.registration.publish()
        self.launcher = ScriptedLauncher(run, self.state.lock_fd, stage.sockets, stage.settings, manager, self.link)
        self.handover = Handover(
            stage.life,
            stage.children,
            self.registration,
            manager,
            self.link,
            stage.shutdown,
            self.launcher,
            stage.selector,
            stage.clock,
            self._on_change,
        )
        stage.children.end_starting()

    @property
    def control(self) -> PlaceState:
        return self.stage.control.place

    def begin(self, script: str) -> None:
        self.launcher.script = script
        self.handover.begin()

    def turn(self, until: Callable[[], bool]) -> None:
        for _ in range(300):
            if until():
                return
            for key, events in self.stage.selector.select(0.1):
                key.data(events)
            self.handover.advance(self.stage.now)
        raise AssertionError("it did not come to that")

    def step(self) -> Step | None:
        return self.handover.successor.step if self.handover.successor is not None else None

    def problem(self) -> str:
        """Why the latest restart failed; empty if it did not."""
        restart = read_restart(self.state.folder)
        assert restart is not None
        return restart.problem or ""

    def close(self) -> None:
        if self.handover.successor is not None:
            self.handover.successor.kill()  # one that serves would be left alone
        self.handover.release()
        if self.handover.origin is not None:
            self.handover.origin.close()

    def _on_change(self) -> None:
        self.changes += 1


@pytest.fixture
def restarting(stage: Stage, tmp_path: Path) -> Iterator[Restarting]:
    with ExitStack() as stack:
        restarting = Restarting(stage, stack.enter_context(hold(tmp_path / "state")))
        yield restarting
        restarting.close()


def test_a_program_that_ends_at_once_leaves_the_old_one(restarting: Restarting) -> None:
    restarting.begin("raise SystemExit('Error: no such route')")
    assert restarting.handover.pids
    restarting.turn(until=lambda: restarting.handover.successor is None)
    assert restarting.problem() == "no such route"
    assert (restarting.stage.life.phase, restarting.control.due) == (Phase.RUNNING, restarting.stage.now)
    assert (restarting.handover.origin, restarting.handover.is_done, restarting.changes) == (None, False, 2)


def test_a_program_that_says_that_it_failed_drains_by_itself(restarting: Restarting) -> None:
    restarting.begin(TALK + 'talk.sendall(b\'{"failed": "no such route"}\\n\')\ntalk.recv(1000)\ntime.sleep(60)\n')
    restarting.turn(until=lambda: restarting.handover.successor is None)
    assert restarting.problem() == "no such route"
    restarting.handover.reap()
    assert len(restarting.handover.pids) == 1


def test_a_program_that_does_not_get_ready_is_killed(restarting: Restarting) -> None:
    restarting.begin("import time; time.sleep(60)")
    restarting.stage.now = restarting.handover.next_due
    restarting.handover.advance(restarting.stage.now)
    assert restarting.problem().startswith("it did not get ready within 60 s")
    assert restarting.handover.pids == set()


def test_only_one_program_is_started_at_a_time(restarting: Restarting) -> None:
    restarting.begin("import time; time.sleep(60)")
    pids = restarting.handover.pids
    restarting.handover.begin()
    assert restarting.handover.pids == pids


def test_none_is_started_at_the_end(restarting: Restarting) -> None:
    restarting.stage.life.enter(Phase.ANNOUNCING)
    restarting.begin("raise SystemExit")
    assert restarting.problem() == "the proxy is ending, or not yet ready"


def test_one_that_cannot_be_started_is_told_to_the_command(restarting: Restarting) -> None:
    restarting.begin("")
    assert "cannot be started: No such file or directory" in restarting.problem()
    assert restarting.changes == 0


def test_it_takes_over_once_control_has_ended_and_it_serves(restarting: Restarting) -> None:
    restarting.control.process = restarting.stage.popen("import time; print(flush=True); time.sleep(60)")
    restarting.begin(SERVES)
    restarting.turn(until=lambda: restarting.step() is Step.CLEARING)
    assert restarting.control.is_leaving
    restarting.control.process.wait(30)
    restarting.control.process = None
    restarting.turn(until=lambda: restarting.handover.is_done)
    assert (restarting.stage.life.phase, restarting.stage.sockets.admin) == (Phase.YIELDING, [])
    assert restarting.problem() == ""
    assert not restarting.state.is_ours
    assert isinstance(restarting.handover.origin, Origin)
    assert restarting.handover.next_due == float("inf")


def test_a_control_that_does_not_end_for_it_is_killed(restarting: Restarting) -> None:
    restarting.control.process = process = restarting.stage.popen(
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    )
    restarting.begin(READY + "time.sleep(60)")
    restarting.turn(until=lambda: restarting.step() is Step.CLEARING)
    restarting.stage.now = restarting.handover.next_due
    restarting.handover.advance(restarting.stage.now)
    assert process.wait(30) < 0
    assert restarting.handover.next_due > restarting.stage.now


def test_the_folder_is_taken_again_from_one_that_failed_late(restarting: Restarting) -> None:
    restarting.begin(READY + "time.sleep(60)")
    restarting.turn(until=lambda: restarting.step() is Step.YIELDED)
    (restarting.state.folder / "running.json").unlink()
    (restarting.state.folder / "lock").write_text("4711")
    restarting.handover.fail("SIGTERM came")
    running = read_running(restarting.state.folder)
    assert running is not None
    assert running.pid == os.getpid()
    assert (restarting.state.folder / "lock").read_text() == str(os.getpid())


def test_systemd_hears_the_end_of_a_restart_that_did_not_begin(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener, hold(tmp_path / "state") as state:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        restarting = Restarting(stage, state)
        restarting.begin("")
        assert listener.recv(100).startswith(b"RELOADING=1")
        assert listener.recv(100) == b"READY=1"
        restarting.close()
