"""The restart: a new program is started beside this one, and takes over once it serves."""

import selectors
import subprocess
from collections.abc import Callable
from contextlib import suppress

import structlog

from strangler.supervisor.child_processes import ChildProcesses
from strangler.supervisor.launcher import SuccessorLauncher
from strangler.supervisor.origin import Origin, OriginLink
from strangler.supervisor.peer import Message
from strangler.supervisor.phase import LifecycleState, Phase
from strangler.supervisor.places import kill_late
from strangler.supervisor.registration import Registration
from strangler.supervisor.service_manager import ServiceManager
from strangler.supervisor.shutdown import GRACE_S, Shutdown
from strangler.supervisor.successor import MAX_START_S, Step, Successor, program

log = structlog.get_logger()


class Handover:
    """The owner of at most one successor, and of earlier ones that failed and still drain."""

    def __init__(
        self,
        life: LifecycleState,
        children: ChildProcesses,
        registration: Registration,
        service_manager: ServiceManager,
        origin_link: OriginLink,
        shutdown: Shutdown,
        launcher: SuccessorLauncher,
        selector: selectors.BaseSelector,
        clock: Callable[[], float],
        on_change: Callable[[], object],
    ) -> None:
        """`on_change` is called when a successor begins to share our sockets, or ends."""
        self.successor: Successor | None = None
        self.origin: Origin | None = None
        """The role of this process once a successor serves, if the service manager knows it."""
        self.is_done = False
        self._life = life
        self._children = children
        self._registration = registration
        self._service_manager = service_manager
        self._origin_link = origin_link
        self._shutdown = shutdown
        self._launcher = launcher
        self._selector = selector
        self._clock = clock
        self._on_change = on_change
        self._failed: list[subprocess.Popen[bytes]] = []

    @property
    def next_due(self) -> float:
        """The time at which to call `advance`, even if nothing happens."""
        return self.successor.next_due if self.successor is not None else float("inf")

    @property
    def pids(self) -> set[int]:
        """The ids of the successors that have not been reaped."""
        present = {self.successor.process.pid} if self.successor is not None else set[int]()
        return present | {process.pid for process in self._failed}

    def reap(self) -> None:
        """Forget the successors that failed and have ended."""
        self._failed = [process for process in self._failed if process.poll() is None]

    def begin(self) -> None:
        """Start the program again, beside us."""
        if self.successor is not None:
            log.warning("supervisor.restart_under_way", successor=self.successor.process.pid)
            return
        if self._life.phase is not Phase.RUNNING:
            self._log_failure("the proxy is ending, or not yet ready")
            return
        command = program()
        log.info("supervisor.restarting", command=" ".join(command))
        self._service_manager.reloading()
        try:
            self.successor, self.origin = self._launcher.start(command, self._clock() + MAX_START_S)
        except OSError as error:
            self._service_manager.ready()
            self._log_failure(f"{command[0]} cannot be started: {error.strerror}")
            return
        self.successor.peer.watch(self._selector, self._on_message, self._on_silence)
        self._on_change()

    def advance(self, now: float) -> None:
        """Take the next step if its time, or the event that it waits for, has come."""
        successor = self.successor
        if successor is None or self._life.phase is not Phase.RUNNING:
            return
        control = self._children.control.place
        if successor.has_died:
            self.fail(successor.reason())
        elif now >= successor.deadline:
            self.fail(f"it did not get ready within {MAX_START_S:.0f} s: {successor.reason()}")
        elif successor.step is Step.CLEARING and control.process is None:
            self._yield_to(successor)
        elif successor.step is Step.CLEARING and now >= successor.clear_deadline:
            kill_late([control])
            successor.clear_deadline = float("inf")

    def fail(self, reason: str, *, is_ending: bool = False) -> None:
        """Go on as before. `is_ending`: the successor has reported the failure itself, and drains."""
        successor = self.successor
        assert successor is not None
        if is_ending:
            self._failed.append(successor.process)
        else:
            successor.kill()
        output = successor.output()
        self._forget_successor()
        if self.origin is not None:
            self.origin.close()
            self.origin = None
        self._children.control.stay(self._clock())
        self._registration.retake()
        self._service_manager.ready()
        self._log_failure(reason, output)

    def release(self) -> None:
        """Kill, at our end, the successors that do not serve: one that is not yet ready, and those that failed."""
        if self.successor is not None:
            if not self.is_done:
                self.successor.kill()
            self._forget_successor()
        for process in self._failed:
            process.kill()
            process.wait()

    def _on_message(self, message: Message) -> None:
        successor = self.successor
        if successor is None or successor.step is Step.SERVING:
            return
        if "failed" in message:
            self.fail(str(message["failed"]), is_ending=True)
        elif "ready" in message and successor.step is Step.STARTING:
            self._clear_for(successor, message)
        elif "serving" in message and successor.step is Step.YIELDED:
            self._hand_over(successor)

    def _on_silence(self) -> None:
        """Handle the end of the connection: the successor is about to end, by itself or not."""
        assert self.successor is not None
        if self._life.phase is not Phase.RUNNING:
            self._forget_successor()
            return
        with suppress(subprocess.TimeoutExpired):
            self.successor.process.wait(1.0)
        self.fail(self.successor.reason())

    def _clear_for(self, successor: Successor, message: Message) -> None:
        """End our control, since the successor's waits for the state folder."""
        successor.step = Step.CLEARING
        successor.unwanted = tuple(message.get("unwanted", ()))
        successor.has_our_folder = message.get("same_folder", True)
        self._children.control.place.dismiss()
        successor.clear_deadline = self._clock() + GRACE_S

    def _yield_to(self, successor: Successor) -> None:
        """Leave the folder to the successor, and name the workers that will go on to report."""
        successor.step = Step.YIELDED
        yours = [
            {"instance": info.instance, "pid": info.pid, "started": info.started}
            for info in self._children.workers.infos()
        ]
        successor.peer.send(yours=yours)

    def _hand_over(self, successor: Successor) -> None:
        """Release what belongs to the successor, now that it serves, and drain."""
        successor.step = Step.SERVING
        pid = successor.process.pid
        log.info("supervisor.handed_over", successor=pid, drain_s=self._shutdown.drain_s)
        self._service_manager.hand_over(pid)
        self.is_done = True
        self._registration.leave_to(pid, successor.has_our_folder)
        self._origin_link.close()
        self._shutdown.yield_to_successor(successor.unwanted)

    def _forget_successor(self) -> None:
        assert self.successor is not None
        self.successor.close()
        self.successor = None
        self._on_change()

    def _log_failure(self, reason: str, output: str = "") -> None:
        more = {"output": output} if output and output != reason else {}
        log.error("supervisor.restart_failed", reason=reason, **more)
        self._registration.note_failed_restart(reason)
