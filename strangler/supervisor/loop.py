"""The supervisor's loop: owns the processes, is woken by signals, by control, by other supervisors, and by the clock.

How it ends, and how it begins where it follows another supervisor:

    STANDBY --workers accept, the one before yields, control serves--> RUNNING
    RUNNING --SIGTERM--> ANNOUNCING --control has seen it--> EMPTYING --workers gone--> CLOSING --control gone--> ENDED
    RUNNING --a successor serves--> YIELDING --connections that waited are accepted--> EMPTYING
"""

import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import structlog

from strangler import __version__
from strangler.state import kill_switch
from strangler.state.folder import FolderState, hold
from strangler.state.lock import FolderError
from strangler.state.running import write_restart, write_running
from strangler.supervisor.origin import Origin
from strangler.supervisor.peer import Message, Peer, pair, restore_stderr
from strangler.supervisor.places import PlaceState, restart_delay_s
from strangler.supervisor.sockets import REBIND_S, Sockets, open_sockets
from strangler.supervisor.successor import MAX_START_S, Step, Successor, program
from strangler.wire import logs
from strangler.wire.accept import ConnectionCounts, empty_page, stop_handshakes
from strangler.wire.channel import Channel
from strangler.wire.listen import InheritedState, ListenError, activated, close_all
from strangler.wire.messages import (
    Adopt,
    Draining,
    DrainSeen,
    FrameError,
    FromSupervisor,
    Outline,
    Processes,
    ProcessInfo,
    Reload,
    StandsBy,
    Started,
    ToSupervisor,
    decode_outline,
)
from strangler.wire.notify import Notifier
from strangler.wire.process import how_it_ended, make_nicer, signals, spawn
from strangler.wire.start import ControlStart, StartError, SupervisorStart, WorkerStart, read_file, unnamed_file

ANNOUNCE_S = 1.0  # control has this long to make readiness fail
GRACE_S = 5.0  # beyond limits.drain, before a process that does not end is killed
QUIET_S = 60.0  # a process that lived this long did not crash in a loop
CONTROL_NICENESS = 10  # beyond ours: a worker goes first, and leaves control a tenth of a core that both want
MAX_REAPED = 1000  # of processes that are not ours, in one turn
LOOK_EVERY_S = 0.02  # in STANDBY: whether all workers accept
LAST_WORDS_S = 5.0  # for what workers of the supervisor before us have sent to control as they ended
LAST_S = 0.2  # in YIELDING: for those who were connecting to an address that is given up

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR2)

log = structlog.get_logger()


class SupervisorError(Exception):
    """The proxy cannot start; the message says why and the way out."""


@dataclass(frozen=True, slots=True)
class Commands:
    """What is run for each role. `-P`: modules that lie in the working directory are not taken for ours."""

    worker: Sequence[str] = (sys.executable, "-P", "-m", "strangler.worker")
    control: Sequence[str] = (sys.executable, "-P", "-m", "strangler.control")


def run(config: Path, settings_fd: int, commands: Commands | None = None) -> int:
    """Serve until a signal ends it; the exit status. Raises SupervisorError if it cannot start.

    `settings_fd` is of a file that holds the encoded settings; from now on it is ours. The environment says whether
    another supervisor is followed, or a service manager has made the sockets.
    """
    settings = decode_outline(read_file(settings_fd))
    folder = Path(settings.state).absolute()
    writer = logs.LogWriter()
    logs.configure(settings.log, "supervisor", writer)
    try:
        start = SupervisorStart.from_environ()
        inherited = InheritedState(start.listeners if start else activated())
        is_same_folder = start is not None and _is_same(folder, Path(start.folder))
        lock_fd = start.lock_fd if start is not None and is_same_folder else None
        if start is not None and lock_fd is None:
            os.close(start.lock_fd)  # of a folder that is no longer ours to hold
        with hold(folder, lock_fd, _waits) as state:
            patience_s = REBIND_S if state.was_killed else 0.0
            link_name = f"link-{start.term}.sock" if start is not None and is_same_folder else "link.sock"
            with open_sockets(settings, folder, inherited, link_name, patience_s) as sockets:
                return _Supervisor(config, settings_fd, settings, state, sockets, commands or Commands(), start).run()
    except (FolderError, ListenError, StartError) as error:
        raise SupervisorError(str(error)) from error
    finally:
        writer.close()


def _is_same(folder: Path, other: Path) -> bool:
    with suppress(OSError):
        return folder.samefile(other)
    return False


def _waits(pid: int) -> None:
    log.warning(
        "supervisor.waits", holder=pid, reason="another proxy drains; this one starts when it has left the state folder"
    )


class _Phase(Enum):
    STANDBY = "standby"
    RUNNING = "running"
    ANNOUNCING = "announcing"
    YIELDING = "yielding"
    EMPTYING = "emptying"
    CLOSING = "closing"
    ENDED = "ended"


class _Supervisor:
    """Owns the processes. One thread, one loop, woken by signals, by control, and by the clock."""

    def __init__(
        self,
        config: Path,
        settings_fd: int,
        settings: Outline,
        state: FolderState,
        sockets: Sockets,
        commands: Commands,
        start: SupervisorStart | None,
    ) -> None:
        self._config = config
        self._state = state
        self._folder = state.folder
        self._sockets = sockets
        self._running = sockets.running()
        self._commands = commands
        self._start_of_ours = start
        self._run_name = start.run if start else f"{int(time.time()):x}-{os.getpid()}"
        self._term = self._last_term = start.term if start else 1
        self._spawned = 0
        self._generation = start.generation + 1 if start else 1
        self._drain_s = settings.limits.drain_s
        self._first_settings_fd = settings_fd
        self._settings_fd = os.dup(self._first_settings_fd)
        self._lifeline_fd, life_fd = os.pipe()
        self._life_fd: int | None = life_fd  # nobody writes to it; its end tells the workers that all of it ends
        self._farewells_fd, self._leaving_fd = os.pipe()
        self._counts_fd = unnamed_file(empty_page())
        self._counts = ConnectionCounts(self._counts_fd)
        self._control = PlaceState("control", 0)
        self._workers = [PlaceState("worker", index) for index in range(settings.workers)]
        self._channel: Channel | None = None
        self._phase = _Phase.RUNNING if start is None else _Phase.STANDBY
        self._deadline = float("inf")
        self._exit_status = 0
        self._has_failed_beside = False
        self._selector = selectors.DefaultSelector()
        self._started = time.time()
        self._notifier = Notifier()
        self._watchdog_due = 0.0 if self._notifier.watchdog_s else float("inf")
        self._former = Peer.at(start.channel_fd) if start else None  # to the supervisor before us, while it lives
        self._former_workers: list[ProcessInfo] = []
        self._former_link_fd: int | None = None
        self._forget_due = float("inf")
        self._serves_admin = False
        self._stands_by = False  # our control is loaded, and waits
        self._is_announced = start is None and not self._notifier.is_heard
        """Whoever waits for us has been told that all workers accept: the supervisor before us, or systemd."""
        self._is_same_folder = not state.is_ours
        self._has_folder = start is None
        self._to_origin = Peer.at(start.origin_fd) if start and start.origin_fd is not None else None
        self._successor: Successor | None = None
        self._origin: Origin | None = None  # the first supervisor stays as that, when a successor serves
        self._has_handed_over = self._is_end_passed_on = False
        self._lost: list[subprocess.Popen[bytes]] = []  # successors that failed and drain what they had accepted
        self._adopt_former_link()
        self._share_listeners()

    def run(self) -> int:
        with signals(_SIGNALS) as wakeup:
            self._selector.register(wakeup, selectors.EVENT_READ)
            self._selector.register(self._farewells_fd, selectors.EVENT_READ)
            for peer in (self._former, self._to_origin):
                if peer is not None:
                    self._selector.register(peer.socket, selectors.EVENT_READ)
            if self._phase is _Phase.RUNNING:
                write_running(self._folder, self._running)
                self._log_started()
            try:
                while self._phase is not _Phase.ENDED:
                    self._turn(wakeup)
            finally:
                self._release()
            log.info("supervisor.ended", status=self._exit_status)
            if self._origin is not None:
                self._exit_status = self._origin.watch(wakeup)
        return self._exit_status

    def _log_started(self) -> None:
        log.info("supervisor.started", listen=self._running.listen, admin=self._running.admin, config=str(self._config))

    def _turn(self, wakeup: socket.socket) -> None:
        self._start_due()
        for key, events in self._selector.select(self._wait_s()):
            if key.fileobj is wakeup:
                for number in wakeup.recv(4096):
                    self._on_signal(signal.Signals(number))
            elif key.fileobj == self._farewells_fd:
                self._on_farewells()
            elif not self._on_peer(key.fileobj):
                self._on_channel(events)
        self._reap()
        self._reap_others()
        self._watch_over_successor()
        self._forget_former()
        self._feed_watchdog()
        self._advance()

    def _wait_s(self) -> float | None:
        feed = self._watchdog_due if self._phase is not _Phase.STANDBY else float("inf")
        times = [
            self._deadline,
            feed,
            self._forget_due,
            *(place.due for place in self._places() if place.due is not None),
        ]
        if self._successor is not None:
            times += [self._successor.deadline, self._successor.clear_deadline]
        if not self._is_announced:
            times.append(time.monotonic() + LOOK_EVERY_S)
        next_time = min(times)
        return None if next_time == float("inf") else max(0.0, next_time - time.monotonic())

    def _feed_watchdog(self) -> None:
        if self._phase is _Phase.STANDBY or time.monotonic() < self._watchdog_due:  # the one before us does it
            return
        if self._notifier.watchdog_s:
            self._notifier.send("WATCHDOG=1")
            self._watchdog_due = time.monotonic() + self._notifier.watchdog_s

    def _places(self) -> list[PlaceState]:
        return [self._control, *self._workers]

    # Starting and restarting

    def _start_due(self) -> None:
        due = [place for place in self._places() if place.due is not None and place.due <= time.monotonic()]
        for place in due:
            self._start(place)
        if due:
            self._tell_processes()

    def _start(self, place: PlaceState) -> None:
        place.due = None
        place.begun, place.started = time.monotonic(), time.time()
        self._spawned += 1
        place.instance = f"{self._run_name}-{self._term}-{place.index}-{self._spawned}"
        try:
            place.process = self._spawn_control() if place is self._control else self._spawn_worker(place)
        except OSError as error:  # out of processes or memory: try again, as after a death
            self._schedule(place, f"cannot be started: {error.strerror}")
            return
        log.info(f"{place.role}.started", index=place.index, child_pid=place.process.pid)

    @property
    def _stderr_fd(self) -> int | None:
        """Where our children's standard error goes, if it is not ours."""
        start = self._start_of_ours
        return start.stderr_fd if start is not None and self._phase is _Phase.STANDBY else None

    def _spawn_worker(self, place: PlaceState) -> subprocess.Popen[bytes]:
        start = WorkerStart(
            index=place.index,
            instance=place.instance,
            listen_fds=tuple(listener.fileno() for listener in self._sockets.listen),
            link_path=str(self._sockets.link_path),
            settings_fd=self._settings_fd,
            generation=self._generation,
            killed=kill_switch.read(self._folder).on,
            lifeline_fd=self._lifeline_fd,
            counts_fd=self._counts_fd,
            leaving_fd=self._leaving_fd,
        )
        fds = (start.settings_fd, start.lifeline_fd, start.counts_fd, start.leaving_fd)
        return spawn(self._commands.worker, start, (*start.listen_fds, *fds), self._stderr_fd)

    def _spawn_control(self) -> subprocess.Popen[bytes]:
        ours, theirs = socket.socketpair()
        with theirs:
            start = ControlStart(
                run=self._run_name,
                config=str(self._config),
                folder=str(self._folder),
                settings_fd=self._settings_fd,
                first_settings_fd=self._first_settings_fd,
                generation=self._generation,
                listen=self._running.listen,
                admin_fds=tuple(listener.fileno() for listener in self._sockets.admin),
                link_fd=self._sockets.link.fileno(),
                supervisor_fd=theirs.fileno(),
                former_link_fd=self._former_link_fd,
            )
            fds: tuple[int, ...] = (start.settings_fd, start.first_settings_fd, start.link_fd, start.supervisor_fd)
            if start.former_link_fd is not None:
                fds += (start.former_link_fd,)
            try:
                process = spawn(self._commands.control, start, (*fds, *start.admin_fds), self._stderr_fd)
            except OSError:
                ours.close()
                raise
        make_nicer(process.pid, CONTROL_NICENESS)
        self._close_channel()
        self._channel = Channel(ours, self._selector)
        return process

    def _reap(self) -> None:
        dead = [
            (place, place.process.returncode)
            for place in self._places()
            if place.process is not None and place.process.poll() is not None
        ]
        for place, status in dead:
            self._on_death(place, how_it_ended(status))
        if dead:
            self._tell_processes()

    def _reap_others(self) -> None:
        """As process 1 we inherit what others in the container leave behind: nobody else would let go of it."""
        ours = {place.process.pid for place in self._places() if place.process is not None}
        ours |= {self._successor.process.pid} if self._successor is not None else set()
        self._lost = [process for process in self._lost if process.poll() is None]
        ours |= {process.pid for process in self._lost}
        for _ in range(MAX_REAPED):
            try:
                dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:  # there are none at all
                return
            if dead is None or dead.si_pid in ours:  # ours has died just now: its signal wakes us again
                return
            os.waitpid(dead.si_pid, 0)
            log.debug("supervisor.reaped", child_pid=dead.si_pid)

    def _on_death(self, place: PlaceState, how: str) -> None:
        place.process = None
        if place is self._control:
            self._close_channel()
        elif not place.has_successor:
            self._counts.tell(place.index, None)  # the others are not to hold back for it
        if self._phase is _Phase.STANDBY:
            self._fail(f"{place.role} {place.index} ended before it was ready ({how}); what it wrote is in the log")
        if place.is_leaving or self._phase is not _Phase.RUNNING:
            log.info(f"{place.role}.ended", index=place.index, how=how)
            if place in self._workers:
                self._workers.remove(place)
            return
        self._schedule(place, how)

    def _schedule(self, place: PlaceState, how: str) -> None:
        """Have a place filled again: at once the first time, ever later while it keeps dying."""
        now = time.monotonic()
        place.failures = 1 if now - place.begun >= QUIET_S else place.failures + 1
        place.restarts += 1
        delay_s = restart_delay_s(place.failures)
        place.due = now + delay_s
        event = f"{place.role}.died" if place.failures == 1 else f"{place.role}.crash_loop"
        log.error(event, index=place.index, how=how, deaths_in_a_row=place.failures, restart_in_s=delay_s)

    def _fit_workers(self, count: int) -> None:
        staying = sorted((place for place in self._workers if not place.is_leaving), key=lambda place: place.index)
        self._workers += [PlaceState("worker", index) for index in range(len(staying), count)]
        for place in staying[count:]:
            place.is_leaving, place.due = True, None
            if place.process is None:
                self._workers.remove(place)
            place.signal(signal.SIGTERM)

    def _on_farewells(self) -> None:
        """Workers that drain because someone told them to: their successors need not wait until that is done."""
        instances = os.read(self._farewells_fd, 65536).decode().split()
        for place in [place for place in self._workers if place.instance in instances]:
            if place.is_leaving or self._phase is not _Phase.RUNNING:
                continue
            log.info("worker.leaving", index=place.index)
            place.is_leaving = place.has_successor = True
            self._workers.append(PlaceState("worker", place.index, restarts=place.restarts + 1))

    # Talking with control

    def _on_channel(self, events: int) -> None:
        if self._channel is None:
            return
        try:
            messages = self._channel.turn(events)
        except (EOFError, FrameError) as error:  # without this channel control is of no use: have it replaced
            log.debug("control.channel_lost", reason=str(error))
            self._close_channel()
            if self._phase is _Phase.RUNNING and not self._control.is_leaving:
                self._control.signal(signal.SIGKILL)
            return
        for message in messages:
            self._on_message(message)

    def _on_message(self, message: ToSupervisor) -> None:
        match message:
            case DrainSeen():
                if self._phase is _Phase.ANNOUNCING:
                    self._deadline = 0.0
            case StandsBy():
                self._stands_by = True
            case Started():
                self._on_control_started()
            case Adopt():
                self._adopt(message)

    def _adopt(self, message: Adopt) -> None:
        try:
            settings_fd = unnamed_file(message.settings)
        except OSError as error:  # out of memory: a worker that starts now begins with older settings
            log.error("supervisor.settings_not_kept", generation=message.generation, reason=error.strerror)
            return
        os.close(self._settings_fd)
        self._settings_fd, self._generation = settings_fd, message.generation
        self._drain_s = message.drain_s
        if self._phase is _Phase.RUNNING:
            self._fit_workers(message.workers)

    def _tell(self, message: FromSupervisor) -> None:
        if self._channel is not None:
            self._channel.send(message)

    def _tell_processes(self) -> None:
        if not self._has_folder:  # control begins with the first word from us
            return
        own = ProcessInfo("supervisor", 0, self._run_name, os.getpid(), self._started, 0)
        children = [place.info(place.process.pid) for place in self._places() if place.process is not None]
        self._tell(Processes([own, *children, *self._former_workers]))

    def _close_channel(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    # Following another supervisor

    def _forget_former(self) -> None:
        """Once its workers' last reports have been read, nobody comes from there any more."""
        if time.monotonic() < self._forget_due:
            return
        self._forget_due, self._former_workers = float("inf"), []
        if self._former_link_fd is not None:
            os.close(self._former_link_fd)
            self._former_link_fd = None
        self._tell_processes()

    def _adopt_former_link(self) -> None:
        """Let workers that still drain report to our control, if they speak as ours do and count in the same folder."""
        start = self._start_of_ours
        if start is None:
            return
        if self._is_same_folder and start.version == __version__:
            self._former_link_fd = start.link_fd
        else:
            os.close(start.link_fd)

    def _advance_running(self) -> None:
        """Say to systemd, once, that all workers accept and the admin listener is served."""
        if not self._is_announced and self._serves_admin and self._counts.accepting(len(self._workers)):
            self._is_announced = True
            self._notifier.send("READY=1")

    def _advance_standby(self) -> None:
        """Say so once all workers accept and control is loaded."""
        if self._former is None or self._is_announced or not self._stands_by:
            return
        if self._counts.accepting(len(self._workers)):
            self._is_announced = True
            self._former.send(ready=True, unwanted=self._sockets.unwanted, same_folder=self._is_same_folder)

    def _on_former(self, message: Message) -> None:
        if "yours" in message and self._phase is _Phase.STANDBY:
            if self._former_link_fd is not None:
                self._former_workers = [
                    ProcessInfo("leaving", 0, one["instance"], one["pid"], one["started"], 0)
                    for one in message["yours"]
                ]
            self._has_folder = True
            self._tell_processes()

    def _on_former_gone(self) -> None:
        """It has drained, or was killed: then what it held is ours."""
        assert self._former is not None
        self._selector.unregister(self._former.socket)
        self._former.close()
        self._former = None
        self._forget_due = time.monotonic() + LAST_WORDS_S
        self._share_listeners()
        if self._phase is _Phase.STANDBY and not self._has_folder:
            self._has_folder = True
        self._tell_processes()

    def _on_control_started(self) -> None:
        self._serves_admin = True
        if self._phase is not _Phase.STANDBY:
            return
        try:
            self._take_office()
        except (FolderError, OSError) as error:
            self._fail(str(error))

    def _take_office(self) -> None:
        """From now on we are the proxy, and the one before us only ends."""
        start = self._start_of_ours
        assert start is not None
        self._state.take()
        write_running(self._folder, self._running)
        if self._former is not None:
            self._former.send(serving=True)
        if self._to_origin is not None:
            self._to_origin.send(pid=os.getpid())
        restore_stderr(start.stderr_fd)
        self._phase = _Phase.RUNNING
        self._is_announced = True
        self._log_started()

    def _fail(self, reason: str) -> None:
        """We cannot serve: say why, and let what our workers have accepted finish."""
        if self._phase is not _Phase.STANDBY:
            return
        log.error("supervisor.start_failed", reason=reason)
        if self._former is not None:
            self._has_failed_beside = True  # it goes on at these sockets, also once it has let go of us
            self._former.send(failed=reason)
        self._workers = [place for place in self._workers if place.process is not None]
        self._control.due = None
        self._empty()
        self._is_announced = True
        self._exit_status = 1

    # Being followed

    def _restart(self) -> None:
        """Start the program anew, beside us."""
        if self._successor is not None:
            log.warning("supervisor.restart_under_way", successor=self._successor.process.pid)
            return
        if self._phase is not _Phase.RUNNING:
            self._say_restart_failed("the proxy is about to end, or not yet ready")
            return
        command = program()
        log.info("supervisor.restarting", command=" ".join(command))
        self._notifier.reloading()
        self._last_term += 1
        offered = pair() if self._to_origin is None and not self._notifier.is_heard else None
        origin = offered[1] if offered else self._to_origin.socket if self._to_origin else None
        start = SupervisorStart(
            run=self._run_name,
            term=self._last_term,
            generation=self._generation,
            version=__version__,
            folder=str(self._folder),
            lock_fd=self._state.lock_fd,
            listeners=self._sockets.groups,
            link_fd=self._sockets.link.fileno(),
            channel_fd=-1,
            stderr_fd=-1,
            origin_fd=origin.fileno() if origin is not None else None,
        )
        try:
            self._successor = Successor(command, start, time.monotonic() + MAX_START_S)
        except OSError as error:
            self._say_restart_failed(f"{command[0]} cannot be started: {error.strerror}")
            return
        finally:
            if offered is not None:
                offered[1].close()
        self._origin = Origin(offered[0], self._successor.process.pid) if offered is not None else None
        self._selector.register(self._successor.peer.socket, selectors.EVENT_READ)
        self._share_listeners()

    def _on_successor(self, successor: Successor, message: Message) -> None:
        if "failed" in message:
            self._on_successor_failed(str(message["failed"]), is_ending=True)
        elif "ready" in message and successor.step is Step.STARTING:
            successor.step = Step.CLEARING
            successor.unwanted = tuple(message.get("unwanted", ()))
            successor.has_our_folder = message.get("same_folder", True)
            self._control.is_leaving, self._control.due = True, None
            self._control.signal(signal.SIGTERM)
            successor.clear_deadline = time.monotonic() + GRACE_S
        elif "serving" in message and successor.step is Step.YIELDED:
            self._hand_over(successor)

    def _watch_over_successor(self) -> None:
        successor = self._successor
        if successor is None or self._phase is not _Phase.RUNNING:
            return
        now = time.monotonic()
        if successor.has_died:
            self._on_successor_failed(successor.reason())
        elif now >= successor.deadline:
            self._on_successor_failed(f"it did not get ready within {MAX_START_S:.0f} s: {successor.reason()}")
        elif successor.step is Step.CLEARING and self._control.process is None:
            successor.step = Step.YIELDED
            infos = [place.info(place.process.pid) for place in self._workers if place.process is not None]
            yours = [{"instance": one.instance, "pid": one.pid, "started": one.started} for one in infos]
            successor.peer.send(yours=yours)
        elif successor.step is Step.CLEARING and now >= successor.clear_deadline:
            log.error("control.killed", index=0, reason="it did not end in time")
            self._control.signal(signal.SIGKILL)
            successor.clear_deadline = float("inf")

    def _on_successor_failed(self, reason: str, is_ending: bool = False) -> None:
        """Go on as if nothing had happened. `is_ending`: the successor said so itself, and drains."""
        successor = self._successor
        assert successor is not None
        if is_ending:
            self._lost.append(successor.process)
        else:
            successor.kill()
        output = successor.output()
        self._forget_successor()
        if self._origin is not None:
            self._origin.close()
            self._origin = None
        self._control.is_leaving = False
        if self._control.process is None:
            self._control.due = time.monotonic()
        self._state.take()
        with suppress(FolderError):  # as it was before: the successor may have written its own
            write_running(self._folder, self._running)
        self._notifier.send("READY=1")
        self._say_restart_failed(reason, output)

    def _say_restart_failed(self, reason: str, output: str = "") -> None:
        more = {"output": output} if output and output != reason else {}
        log.error("supervisor.restart_failed", reason=reason, **more)
        write_restart(self._folder, os.getpid(), reason)

    def _hand_over(self, successor: Successor) -> None:
        """It serves: let go of all that is its own now, and drain."""
        pid = successor.process.pid
        log.info("supervisor.handed_over", successor=pid, drain_s=self._drain_s)
        self._notifier.send(f"MAINPID={pid}", "READY=1")
        self._watchdog_due = float("inf")
        self._has_handed_over = True
        self._state.is_ours = not successor.has_our_folder
        write_restart(self._folder, pid)
        successor.deadline = float("inf")
        close_all(self._sockets.admin)
        if self._to_origin is not None:
            self._selector.unregister(self._to_origin.socket)
            self._to_origin.close()
            self._to_origin = None
        self._workers = [place for place in self._workers if place.process is not None]
        given_up = [one for one in self._sockets.listen if one.fileno() in successor.unwanted]
        for listener in given_up:
            with suppress(OSError):  # not on this system: a few may be reset
                stop_handshakes(listener)
        self._enter(_Phase.YIELDING, LAST_S if given_up else 0.0)

    def _give_up_successor(self) -> None:
        """At the end: one that does not serve yet ends with us."""
        if self._successor is None:
            return
        if not self._has_handed_over:
            self._successor.kill()
        self._forget_successor()

    def _forget_successor(self) -> None:
        assert self._successor is not None
        self._selector.unregister(self._successor.peer.socket)
        self._successor.close()
        self._successor = None
        self._share_listeners()

    def _share_listeners(self) -> None:
        """Tell our workers whether others accept at their sockets: then whoever waits there is not lost with us."""
        others = self._former is not None or self._successor is not None or self._has_failed_beside
        self._counts.is_shared = self._sockets.is_activated or others

    def _on_peer(self, end: object) -> bool:
        """Messages of another supervisor; False if it is not one that has something to say."""
        if self._former is not None and end is self._former.socket:
            self._receive(self._former, self._on_former, self._on_former_gone)
        elif self._to_origin is not None and end is self._to_origin.socket:
            self._receive(self._to_origin, lambda message: None, self._on_origin_gone)
        elif self._successor is not None and end is self._successor.peer.socket:
            successor = self._successor
            self._receive(successor.peer, lambda message: self._on_successor(successor, message), self._on_silence)
        else:
            return False
        return True

    def _receive(self, peer: Peer, heard: Callable[[Message], object], gone: Callable[[], object]) -> None:
        try:
            messages = peer.receive()
        except EOFError:
            gone()
            return
        for message in messages:
            heard(message)

    def _on_silence(self) -> None:
        """The successor has closed its end: it is about to end, by itself or not."""
        assert self._successor is not None
        if self._phase is _Phase.RUNNING:
            with suppress(subprocess.TimeoutExpired):
                self._successor.process.wait(1.0)
            self._on_successor_failed(self._successor.reason())
        else:
            self._forget_successor()

    def _on_origin_gone(self) -> None:
        """The process that the service manager knows was killed: nobody would watch over us."""
        assert self._to_origin is not None
        self._selector.unregister(self._to_origin.socket)
        self._to_origin.close()
        self._to_origin = None
        if self._phase is _Phase.RUNNING:
            self._end(signal.SIGTERM)

    # Ending

    def _on_signal(self, number: signal.Signals) -> None:
        if self._has_handed_over and self._origin is not None:
            self._origin.pass_on(number)  # whoever sends it means the proxy
            if number in (signal.SIGTERM, signal.SIGINT):
                if self._is_end_passed_on:  # asked for twice: at once
                    self._phase = _Phase.ENDED
                self._is_end_passed_on = True
            return
        if number is signal.SIGHUP:
            log.info("supervisor.reload_asked")
            if self._has_folder:  # else control has not begun, and will load what there is
                self._tell(Reload())
        elif number is signal.SIGUSR2:
            self._restart()
        elif number in (signal.SIGTERM, signal.SIGINT):
            self._end(number)

    def _end(self, number: signal.Signals) -> None:
        if self._phase is _Phase.STANDBY:
            self._fail(f"{number.name} came")
            return
        if self._phase is not _Phase.RUNNING:
            log.warning("supervisor.ends_at_once", signal=number.name)
            self._exit_status = 128 + number
            self._phase = _Phase.ENDED
            return
        if self._successor is not None:
            self._on_successor_failed(f"{number.name} came")
        log.info("supervisor.draining", signal=number.name, drain_s=self._drain_s)
        self._notifier.send("STOPPING=1")
        with suppress(FolderError):  # whoever is started meanwhile does not know that it may wait
            write_running(self._folder, self._sockets.running(is_draining=True))
        self._workers = [place for place in self._workers if place.process is not None]
        self._control.due = None
        self._enter(_Phase.ANNOUNCING, ANNOUNCE_S)
        self._tell(Draining())

    def _enter(self, phase: _Phase, at_most_s: float) -> None:
        self._phase = phase
        self._deadline = time.monotonic() + at_most_s

    def _advance(self) -> None:
        """Take as many steps towards the end as can be taken now."""
        before = None
        while before is not self._phase:
            before = self._phase
            is_late = time.monotonic() >= self._deadline
            if self._phase is _Phase.STANDBY:
                self._advance_standby()
            elif self._phase is _Phase.RUNNING:
                self._advance_running()
            elif self._phase is _Phase.ANNOUNCING:
                self._advance_announcing(is_late)
            elif self._phase is _Phase.YIELDING and is_late:
                self._empty()
            elif self._phase is _Phase.EMPTYING:
                self._advance_emptying(is_late)
            elif self._phase is _Phase.CLOSING:
                self._advance_closing(is_late)

    def _advance_announcing(self, is_late: bool) -> None:
        if is_late or self._channel is None:
            self._empty()

    def _empty(self) -> None:
        close_all(self._sockets.listen)  # the workers hold it too, and close it as they drain
        self._cut_lifeline()  # first: so they know that nobody else will accept what waits
        for place in self._workers:
            place.signal(signal.SIGTERM)
        self._enter(_Phase.EMPTYING, self._drain_s + GRACE_S)

    def _cut_lifeline(self) -> None:
        if self._life_fd is not None:
            os.close(self._life_fd)
            self._life_fd = None

    def _advance_emptying(self, is_late: bool) -> None:
        if self._workers:
            self._kill_late(self._workers, is_late)
            return
        self._control.signal(signal.SIGTERM)
        self._enter(_Phase.CLOSING, GRACE_S)

    def _advance_closing(self, is_late: bool) -> None:
        if self._control.process is not None:
            self._kill_late([self._control], is_late)
            return
        self._phase = _Phase.ENDED

    def _kill_late(self, places: list[PlaceState], is_late: bool) -> None:
        if not is_late:
            return
        for place in places:
            log.error(f"{place.role}.killed", index=place.index, reason="it did not end in time")
            place.signal(signal.SIGKILL)
        self._exit_status = 1
        self._deadline = float("inf")  # what is killed ends; SIGCHLD wakes us

    def _release(self) -> None:
        """Leave nothing behind, whatever ended the loop."""
        self._give_up_successor()
        for place in self._places():
            place.signal(signal.SIGKILL)
            if place.process is not None:
                place.process.wait()
        for process in self._lost:
            process.kill()
            process.wait()
        if self._to_origin is not None:
            self._to_origin.send(status=self._exit_status)
        for peer in (self._former, self._to_origin):
            if peer is not None:
                peer.close()
        self._close_channel()
        self._selector.close()
        self._counts.close()
        self._cut_lifeline()
        pipes = (self._lifeline_fd, self._farewells_fd, self._leaving_fd)
        fds = (self._settings_fd, self._first_settings_fd, self._counts_fd, *pipes)
        for descriptor in fds:
            os.close(descriptor)
