"""The supervisor's loop, woken by signals, by control, by other supervisors, and by the clock."""

import os
import selectors
import signal
import socket
import time
from pathlib import Path

import structlog

from strangler.engine.living import FOLDER as ENVOY_FOLDER
from strangler.engine.living import kill_all as kill_envoys
from strangler.ipc.messages import (
    AdminCertificates,
    Adopt,
    DrainSeen,
    Outline,
    Processes,
    ProcessInfo,
    Reload,
    StandsBy,
    Started,
    ToSupervisor,
)
from strangler.ipc.process import signals
from strangler.ipc.start import EnvoyChoice, SupervisorStart
from strangler.state.folder import FolderState
from strangler.supervisor.adopted_settings import AdoptedSettings
from strangler.supervisor.announcement import Announcement
from strangler.supervisor.child_processes import ChildProcesses
from strangler.supervisor.control_process import ControlProcess
from strangler.supervisor.handover import Handover
from strangler.supervisor.launcher import SuccessorLauncher
from strangler.supervisor.origin import OriginLink
from strangler.supervisor.phase import LifecycleState, Phase
from strangler.supervisor.predecessor import Predecessor
from strangler.supervisor.reaper import reap_orphans
from strangler.supervisor.registration import Registration
from strangler.supervisor.service_manager import ServiceManager
from strangler.supervisor.shutdown import Shutdown
from strangler.supervisor.sockets import Sockets
from strangler.supervisor.spawner import Commands, RunInfo, Spawner
from strangler.supervisor.takeover import Takeover
from strangler.supervisor.worker_pipes import WorkerPipes
from strangler.supervisor.workers import Workers

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR2)

log = structlog.get_logger()


class Supervisor:
    """One thread, one loop. Each part of its life has an owner; the loop calls the owner that has to act."""

    def __init__(
        self,
        config: Path,
        settings_fd: int,
        outline: Outline,
        state: FolderState,
        sockets: Sockets,
        commands: Commands,
        start: SupervisorStart | None,
        envoy: EnvoyChoice | None = None,
    ) -> None:
        """`settings_fd`, which is taken over, is of a file that holds the encoded settings. `start`: None for a
        supervisor without a predecessor; `envoy`: None for one with workers."""
        self._run = _run_info(config, state.folder, start)
        self._sockets = sockets
        self._state = state
        self._has_own_envoy = envoy is not None and not envoy.files
        self._life = life = LifecycleState(Phase.RUNNING if start is None else Phase.STANDBY)
        self._selector = selectors.DefaultSelector()
        self._clock = clock = time.monotonic
        self._started = time.time()
        self._settings = AdoptedSettings(settings_fd, start.generation + 1 if start else 1, outline.limits.drain_s)
        self._pipes = WorkerPipes()
        self._service_manager = ServiceManager()
        self._registration = Registration(state, sockets, admin_has_tls=outline.admin.tls is not None)
        self._origin_link = OriginLink(start.origin_fd if start else None)
        self._predecessor = Predecessor(start, not state.is_ours, life, clock, self._on_other_program)
        spawner = Spawner(
            self._run,
            commands,
            sockets,
            self._settings,
            self._pipes,
            start.stderr_fd if start is not None else None,
            envoy,
        )
        self._control = ControlProcess(life, self._selector, self._on_message)
        self._workers = Workers(outline.workers, self._pipes, has_envoy=envoy is not None)
        self._children = ChildProcesses(life, self._control, self._workers, spawner, self._predecessor)
        self._announcement = Announcement(life, self._workers, sockets, self._service_manager, self._predecessor)
        self._shutdown = Shutdown(life, self._children, sockets, self._settings, clock)
        launcher = SuccessorLauncher(
            self._run, state.lock_fd, sockets, self._settings, self._service_manager, self._origin_link
        )
        self._handover = Handover(
            life,
            self._children,
            self._registration,
            self._service_manager,
            self._origin_link,
            self._shutdown,
            launcher,
            self._selector,
            clock,
            self._on_other_program,
        )
        self._takeover = Takeover(
            life,
            self._predecessor,
            self._registration,
            self._origin_link,
            spawner,
            self._children,
            self._shutdown,
        )
        self._share_listeners()

    def run(self) -> int:
        """Serve until the end; return the exit status."""
        with signals(_SIGNALS) as wakeup:
            self._watch(wakeup)
            if self._life.phase is Phase.RUNNING:
                self._registration.publish()
                self._log_started()
            try:
                while self._life.phase is not Phase.ENDED:
                    self._turn()
            finally:
                self._release()
            log.info("supervisor.ended", status=self._life.exit_status)
            if self._handover.origin is not None:
                return self._handover.origin.watch(wakeup)
        return self._life.exit_status

    def _watch(self, wakeup: socket.socket) -> None:
        """Register all that may wake the loop, as callbacks that get the events of the selector."""
        self._selector.register(wakeup, selectors.EVENT_READ, lambda events: self._on_signals(wakeup.recv(4096)))
        self._selector.register(self._pipes.farewells_fd, selectors.EVENT_READ, lambda events: self._on_farewells())
        self._predecessor.watch(self._selector)
        self._origin_link.watch(self._selector, self._on_origin_gone)

    def _turn(self) -> None:
        if self._children.start_due(self._clock()):
            self._publish_processes()
        for key, events in self._selector.select(self._wait_s()):
            key.data(events)
        if self._children.reap(self._clock(), self._takeover.fail):
            self._publish_processes()
        self._handover.reap()
        reap_orphans(self._children.pids | self._handover.pids)
        self._handover.advance(self._clock())
        if self._predecessor.forget_if_due(self._clock()):
            self._publish_processes()
        if self._life.phase is not Phase.STANDBY:  # until then our predecessor does it
            self._service_manager.feed(self._clock())
        self._announcement.advance()
        self._shutdown.advance()

    def _wait_s(self) -> float | None:
        now = self._clock()
        next_time = min(
            self._life.deadline,
            self._children.next_due,
            self._handover.next_due,
            self._announcement.next_look(now),
            self._predecessor.forget_due,
            self._service_manager.feed_due if self._life.phase is not Phase.STANDBY else float("inf"),
        )
        return None if next_time == float("inf") else max(0.0, next_time - now)

    def _release(self) -> None:
        """Release everything, whatever ended the loop."""
        self._handover.release()
        self._children.kill()
        if self._has_own_envoy and self._state.is_ours:  # the process that runs it would have ended it, in time
            kill_envoys(self._run.folder / ENVOY_FOLDER)
        self._origin_link.send(status=self._life.exit_status)
        self._origin_link.close()
        self._predecessor.close()
        self._control.disconnect()
        self._selector.close()
        self._pipes.close()
        self._settings.close()

    # What wakes the loop

    def _on_signals(self, numbers: bytes) -> None:
        for number in numbers:
            self._on_signal(signal.Signals(number))

    def _on_signal(self, number: signal.Signals) -> None:
        origin = self._handover.origin
        if self._handover.is_done and origin is not None:
            origin.pass_on(number)  # it is meant for the proxy
            if origin.end_requests > 1:  # at once
                self._life.enter(Phase.ENDED)
        elif number is signal.SIGHUP:
            log.info("supervisor.reload_asked")
            if self._predecessor.has_left_folder:  # else control has not begun, and will load the present file
                self._control.send(Reload())
        elif number is signal.SIGUSR2:
            self._handover.begin()
        elif number in (signal.SIGTERM, signal.SIGINT):
            self._end(number)

    def _on_farewells(self) -> None:
        """Start other workers at once for those that were signalled to drain."""
        instances = self._pipes.read_farewells()
        if self._life.phase is Phase.RUNNING:
            self._workers.replace(instances)

    def _on_message(self, message: ToSupervisor) -> None:
        match message:
            case DrainSeen():
                self._shutdown.on_announced()
            case StandsBy():
                self._announcement.control_stands_by = True
            case Started():
                self._announcement.serves_admin = True
                if self._takeover.try_serve():
                    self._log_started()
            case AdminCertificates(certificates):
                self._registration.note_admin(certificates, is_published=self._life.phase is Phase.RUNNING)
            case Adopt():
                if self._settings.try_adopt(message) and self._life.phase is Phase.RUNNING:
                    self._workers.fit(message.workers)

    def _on_other_program(self) -> None:
        """Handle that our predecessor has made way or is gone, or that a successor is started or has failed."""
        self._share_listeners()
        self._publish_processes()

    def _on_origin_gone(self) -> None:
        """Drain, since the process that the service manager watches was killed."""
        self._origin_link.close()
        if self._life.phase is Phase.RUNNING:
            self._end(signal.SIGTERM)

    # What follows

    def _end(self, number: signal.Signals) -> None:
        if self._life.phase is Phase.STANDBY:
            self._takeover.fail(f"{number.name} came")
        elif self._life.phase is Phase.RUNNING:
            self._drain(number)
        else:
            self._shutdown.end_at_once(number)

    def _drain(self, number: signal.Signals) -> None:
        if self._handover.successor is not None:
            self._handover.fail(f"{number.name} came")
        log.info("supervisor.draining", signal=number.name, drain_s=self._shutdown.drain_s)
        self._service_manager.stopping()
        self._registration.publish_draining()
        self._shutdown.announce()

    def _log_started(self) -> None:
        running = self._registration.running
        admin = f"https://{running.admin}" if running.admin_has_tls else running.admin
        log.info(
            "supervisor.started",
            listen=self._sockets.listening(),
            admin=admin,
            config=str(self._run.config),
            **({"receiver": running.receiver} if running.receiver else {}),
        )

    def _publish_processes(self) -> None:
        """Send control the list of running processes."""
        if not self._predecessor.has_left_folder:  # control begins with our first message
            return
        own = ProcessInfo("supervisor", 0, self._run.name, os.getpid(), self._started, 0)
        processes = [own, *self._children.infos(), *self._predecessor.workers]
        self._control.send(Processes(processes, self._handover.successor is not None))

    def _share_listeners(self) -> None:
        """Publish to our workers whether others accept at their sockets: if so, what waits there survives our end."""
        has_neighbour = self._predecessor.shares_listeners or self._handover.successor is not None
        self._pipes.counts.is_shared = self._sockets.is_activated or has_neighbour


def _run_info(config: Path, folder: Path, start: SupervisorStart | None) -> RunInfo:
    if start is not None:
        return RunInfo(start.run, start.term, config, folder)
    return RunInfo(f"{int(time.time()):x}-{os.getpid()}", 1, config, folder)
