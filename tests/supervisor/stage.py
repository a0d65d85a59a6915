"""The parts of a supervisor without its loop, on a clock that the test sets."""

import selectors
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from strangler.core.listener_settings import Address
from strangler.sockets.listen import close_all, listen_at, listen_locally
from strangler.supervisor.adopted_settings import AdoptedSettings
from strangler.supervisor.child_processes import ChildProcesses
from strangler.supervisor.control_process import ControlProcess
from strangler.supervisor.phase import LifecycleState, Phase
from strangler.supervisor.predecessor import Predecessor
from strangler.supervisor.shutdown import Shutdown
from strangler.supervisor.sockets import Sockets
from strangler.supervisor.spawner import Commands, RunInfo, Spawner
from strangler.supervisor.worker_pipes import WorkerPipes
from strangler.supervisor.workers import Workers
from strangler.unnamed_files import unnamed_file

DRAIN_S = 10.0


@dataclass
class Stage:
    """A supervisor's parts, without a loop; `now` is the time."""

    folder: Path
    commands: Commands = field(default_factory=Commands)
    now: float = 100.0
    life: LifecycleState = field(default_factory=lambda: LifecycleState(Phase.RUNNING))

    def __post_init__(self) -> None:
        link, path = listen_locally(self.folder)
        listen, admin = (listen_at(Address("127.0.0.1", 0), key) for key in ("listen", "admin.listen"))
        self.sockets = Sockets(listen, ["127.0.0.1:0"] * len(listen), admin, link, path, (), (), is_activated=False)
        self.pipes = WorkerPipes()
        self.selector = selectors.DefaultSelector()
        self.settings = AdoptedSettings(unnamed_file(b""), 1, DRAIN_S)
        self.workers = Workers(1, self.pipes)
        self.control = ControlProcess(self.life, self.selector, lambda message: None)
        run = RunInfo("run", 1, self.folder / "routes.yaml", self.folder)
        spawner = Spawner(run, self.commands, self.sockets, self.settings, self.pipes, None)
        former = Predecessor(None, False, self.life, self.clock, lambda: None)
        self.children = ChildProcesses(self.life, self.control, self.workers, spawner, former)
        self.shutdown = Shutdown(self.life, self.children, self.sockets, self.settings, self.clock)

    def phase(self) -> Phase:
        return self.life.phase

    def clock(self) -> float:
        return self.now

    def run_worker(self, program: str) -> None:
        """Have a process in the place of the worker, once it has said that it is ready."""
        place = self.workers.places[0]
        place.due = None
        place.process = self.popen(program)

    def popen(self, program: str) -> subprocess.Popen[bytes]:
        """Start a program of Python, and wait until it has written a line."""
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        assert process.stdout is not None
        with process.stdout:
            process.stdout.readline()
        return process

    def reap(self) -> None:
        process = self.workers.places[0].process
        assert process is not None
        process.wait(30)
        assert self.children.reap(self.now, lambda reason: None)

    def close(self) -> None:
        self.control.disconnect()
        self.children.kill()
        close_all(self.sockets.listen)
        close_all(self.sockets.admin)
        self.sockets.link.close()
        self.selector.close()
        self.pipes.close()
        self.settings.close()
