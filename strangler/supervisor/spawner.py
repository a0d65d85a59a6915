"""The start of the children: their names, their commands, and what they inherit."""

import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from strangler.ipc.process import make_nicer, spawn
from strangler.ipc.start import ControlStart, EngineStart, EnvoyChoice, WorkerStart
from strangler.state import kill_switch
from strangler.supervisor.adopted_settings import AdoptedSettings
from strangler.supervisor.places import PlaceState
from strangler.supervisor.sockets import Sockets
from strangler.supervisor.worker_pipes import WorkerPipes

CONTROL_NICENESS = 10  # beyond ours: of a core that both want, control gets a tenth, and a worker the rest


@dataclass(frozen=True, slots=True)
class Commands:
    """The command of each role. `-P`: modules in the working directory do not replace ours."""

    worker: Sequence[str] = (sys.executable, "-P", "-m", "strangler.worker")
    control: Sequence[str] = (sys.executable, "-P", "-m", "strangler.control")
    engine: Sequence[str] = (sys.executable, "-P", "-m", "strangler.engine")


@dataclass(frozen=True, slots=True)
class RunInfo:
    """The constant facts of a run: `term` counts the supervisors that have followed each other in it, from 1."""

    name: str
    term: int
    config: Path
    folder: Path


class Spawner:
    """Starts processes. `stderr_fd` is where their standard error goes, if it is not ours, which it is not as long as
    we stand by. `envoy` is None where workers serve."""

    def __init__(
        self,
        run: RunInfo,
        commands: Commands,
        sockets: Sockets,
        settings: AdoptedSettings,
        pipes: WorkerPipes,
        stderr_fd: int | None,
        envoy: EnvoyChoice | None = None,
    ) -> None:
        self.stderr_fd = stderr_fd
        self._run = run
        self._commands = commands
        self._sockets = sockets
        self._settings = settings
        self._pipes = pipes
        self._listen = sockets.listening()
        self._spawned = 0
        self._envoy = envoy

    def next_instance(self, index: int) -> str:
        """Return a name that no other process has ever had."""
        self._spawned += 1
        return f"{self._run.name}-{self._run.term}-{index}-{self._spawned}"

    def start_worker(self, place: PlaceState) -> subprocess.Popen[bytes]:
        """Start the worker of a place, or the process that runs Envoy in place of all. Raises OSError."""
        switch = kill_switch.read(self._run.folder)
        has_room = kill_switch.fits(switch.routes)  # if not, all go to legacy until control has sent the names
        start = WorkerStart(
            index=place.index,
            instance=place.instance,
            listen_fds=tuple(listener.fileno() for listener in self._sockets.listen),
            addresses=(*self._sockets.addresses, *self._sockets.elsewhere),
            link_path=str(self._sockets.link_path),
            settings_fd=self._settings.fd,
            generation=self._settings.generation,
            killed=switch.on or not has_room,
            lifeline_fd=self._pipes.lifeline_fd,
            counts_fd=self._pipes.counts_fd,
            leaving_fd=self._pipes.leaving_fd,
            killed_routes=tuple(switch.routes) if has_room else (),
            engine=self._engine_start(),
        )
        fds = (start.settings_fd, start.lifeline_fd, start.counts_fd, start.leaving_fd)
        command = self._commands.worker if self._envoy is None else self._commands.engine
        return spawn(command, start, (*start.listen_fds, *fds), self.stderr_fd)

    def start_control(self, former_link_fd: int | None) -> tuple[subprocess.Popen[bytes], socket.socket]:
        """Start control with a lower priority; return it and our end of the channel. Raises OSError."""
        ours, theirs = socket.socketpair()
        with theirs:
            start = self._control_start(theirs.fileno(), former_link_fd)
            optional = [number for number in (former_link_fd, start.mirror_fd) if number is not None]
            fds = (start.settings_fd, start.first_settings_fd, start.link_fd, start.supervisor_fd, *optional)
            try:
                process = spawn(
                    self._commands.control, start, (*fds, *start.admin_fds, *start.receiver_fds), self.stderr_fd
                )
            except OSError:
                ours.close()
                raise
        make_nicer(process.pid, CONTROL_NICENESS)
        return process, ours

    def _control_start(self, supervisor_fd: int, former_link_fd: int | None) -> ControlStart:
        return ControlStart(
            run=self._run.name,
            config=str(self._run.config),
            folder=str(self._run.folder),
            settings_fd=self._settings.fd,
            first_settings_fd=self._settings.first_fd,
            generation=self._settings.generation,
            listen=self._listen,
            admin_fds=tuple(listener.fileno() for listener in self._sockets.admin),
            link_fd=self._sockets.link.fileno(),
            supervisor_fd=supervisor_fd,
            former_link_fd=former_link_fd,
            receiver_fds=tuple(listener.fileno() for listener in self._sockets.receiver),
            receives_at=self._sockets.receiving(),
            mirror_fd=None if self._sockets.mirror is None else self._sockets.mirror.fileno(),
            mirrors_at=self._sockets.mirrors_at,
            envoy_binary="" if self._envoy is None else self._envoy.binary,
        )

    def _engine_start(self) -> EngineStart | None:
        if self._envoy is None:
            return None
        return EngineStart(
            binary=self._envoy.binary,
            folder=str(self._run.folder),
            mirrors_at=self._sockets.mirrors_at,
            files=self._envoy.files,
            is_standby=self.stderr_fd is not None,
        )
