"""The parent of all other processes: binds the sockets, starts, restarts what dies, drains.

It reads no request, and routes.yaml never, so there is little that could end it. What it has to know of a reload
(the last good settings, for workers that start later) control tells it. How it ends:

    RUNNING --SIGTERM--> ANNOUNCING --control has seen it--> EMPTYING --workers gone--> CLOSING --control gone--> ENDED
"""

import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import structlog

from strangler.control import kill_switch
from strangler.control.folder import FolderError, Running, hold, write_running
from strangler.core.settings import Address
from strangler.wire import logs
from strangler.wire.accept import ConnectionCounts, empty_page
from strangler.wire.channel import Channel
from strangler.wire.listen import ListenError, close_all, listen_at, listen_locally, where
from strangler.wire.messages import (
    Draining,
    DrainSeen,
    FrameError,
    FromSupervisor,
    Outline,
    Processes,
    ProcessInfo,
    Reload,
    ToSupervisor,
    decode_outline,
)
from strangler.wire.process import how_it_ended, make_nicer, signals, spawn
from strangler.wire.start import ControlStart, WorkerStart, read_file, unnamed_file

ANNOUNCE_S = 1.0  # control has this long to make readiness fail
GRACE_S = 5.0  # beyond limits.drain, before a process that does not end is killed
QUIET_S = 60.0  # a process that lived this long did not crash in a loop
FIRST_DELAY_S = 0.5
MAX_DELAY_S = 30.0
CONTROL_NICENESS = 10  # beyond ours: a worker goes first, and leaves control a tenth of a core that both want
MAX_REAPED = 1000  # of processes that are not ours, in one turn
REBIND_S = 5.0  # the workers of a killed supervisor have this long to give up the port

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)

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

    `settings_fd` is of a file that holds the encoded settings; from now on it is ours.
    """
    settings = decode_outline(read_file(settings_fd))
    folder = Path(settings.state).absolute()
    writer = logs.LogWriter()
    logs.configure(settings.log, "supervisor", writer)
    try:
        with hold(folder) as was_killed, _sockets(settings, folder, was_killed) as sockets:
            write_running(folder, sockets.running())
            return _Supervisor(config, settings_fd, settings, folder, sockets, commands or Commands()).run()
    except (FolderError, ListenError) as error:
        raise SupervisorError(str(error)) from error
    finally:
        writer.close()


def restart_delay_s(failures: int) -> float:
    """How long to wait before a process that died `failures` times in a row is started again: at first, not at all."""
    if failures <= 1:
        return 0.0
    return min(FIRST_DELAY_S * 2.0 ** min(failures - 2, 16), MAX_DELAY_S)


@dataclass(frozen=True, slots=True)
class _Sockets:
    listen: list[socket.socket]
    admin: list[socket.socket]
    link: socket.socket
    link_path: Path

    def running(self) -> Running:
        return Running(os.getpid(), str(where(self.listen[0])), str(where(self.admin[0])))


@contextmanager
def _sockets(settings: Outline, folder: Path, was_killed: bool) -> Iterator[_Sockets]:
    patience_s = REBIND_S if was_killed else 0.0
    listen = _listen_patiently(settings.listen, "listen", patience_s)
    admin: list[socket.socket] = []
    try:
        admin = _listen_patiently(settings.admin.listen, "admin.listen", patience_s)
        link, path = listen_locally(folder)
        with link:
            yield _Sockets(listen, admin, link, path)
            path.unlink(missing_ok=True)
    finally:
        close_all(listen)
        close_all(admin)


def _listen_patiently(address: Address, key: str, patience_s: float) -> list[socket.socket]:
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return listen_at(address, key)
        except ListenError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(0.1)


class _Phase(Enum):
    RUNNING = "running"
    ANNOUNCING = "announcing"
    EMPTYING = "emptying"
    CLOSING = "closing"
    ENDED = "ended"


@dataclass(slots=True)
class _PlaceState:
    """A place for one process, filled again when the process dies."""

    role: str
    index: int
    due: float | None = 0.0  # when to fill it, on the monotonic clock; None: not now
    process: subprocess.Popen[bytes] | None = None
    instance: str = ""
    started: float = 0.0  # Unix time
    begun: float = 0.0  # the same on the monotonic clock
    restarts: int = 0
    failures: int = 0  # deaths in a row
    is_leaving: bool = False
    has_successor: bool = False


class _Supervisor:
    """Owns the processes. One thread, one loop, woken by signals, by control, and by the clock."""

    def __init__(
        self, config: Path, settings_fd: int, settings: Outline, folder: Path, sockets: _Sockets, commands: Commands
    ) -> None:
        self._config = config
        self._folder = folder
        self._sockets = sockets
        self._running = sockets.running()
        self._commands = commands
        self._run_name = f"{int(time.time()):x}-{os.getpid()}"
        self._spawned = 0
        self._generation = 1
        self._drain_s = settings.limits.drain_s
        self._first_settings_fd = settings_fd
        self._settings_fd = os.dup(self._first_settings_fd)
        self._lifeline_fd, life_fd = os.pipe()
        self._life_fd: int | None = life_fd  # nobody writes to it; its end tells the workers that all of it ends
        self._farewells_fd, self._leaving_fd = os.pipe()
        self._counts_fd = unnamed_file(empty_page())
        self._counts = ConnectionCounts(self._counts_fd)
        self._control = _PlaceState("control", 0)
        self._workers = [_PlaceState("worker", index) for index in range(settings.workers)]
        self._channel: Channel | None = None
        self._phase = _Phase.RUNNING
        self._deadline = float("inf")
        self._exit_status = 0
        self._selector = selectors.DefaultSelector()
        self._started = time.time()

    def run(self) -> int:
        with signals(_SIGNALS) as wakeup:
            self._selector.register(wakeup, selectors.EVENT_READ)
            self._selector.register(self._farewells_fd, selectors.EVENT_READ)
            log.info(
                "supervisor.started",
                listen=self._running.listen,
                admin=self._running.admin,
                config=str(self._config),
            )
            try:
                while self._phase is not _Phase.ENDED:
                    self._turn(wakeup)
            finally:
                self._release()
        log.info("supervisor.ended", status=self._exit_status)
        return self._exit_status

    def _turn(self, wakeup: socket.socket) -> None:
        self._start_due()
        for key, events in self._selector.select(self._wait_s()):
            if key.fileobj is wakeup:
                for number in wakeup.recv(4096):
                    self._on_signal(signal.Signals(number))
            elif key.fileobj == self._farewells_fd:
                self._on_farewells()
            else:
                self._on_channel(events)
        self._reap()
        self._reap_others()
        self._advance()

    def _wait_s(self) -> float | None:
        next_time = min([self._deadline, *(place.due for place in self._places() if place.due is not None)])
        return None if next_time == float("inf") else max(0.0, next_time - time.monotonic())

    def _places(self) -> list[_PlaceState]:
        return [self._control, *self._workers]

    # Starting and restarting

    def _start_due(self) -> None:
        due = [place for place in self._places() if place.due is not None and place.due <= time.monotonic()]
        for place in due:
            self._start(place)
        if due:
            self._tell_processes()

    def _start(self, place: _PlaceState) -> None:
        place.due = None
        place.begun, place.started = time.monotonic(), time.time()
        self._spawned += 1
        place.instance = f"{self._run_name}-{place.index}-{self._spawned}"
        try:
            place.process = self._spawn_control() if place is self._control else self._spawn_worker(place)
        except OSError as error:  # out of processes or memory: try again, as after a death
            self._schedule(place, f"cannot be started: {error.strerror}")
            return
        log.info(f"{place.role}.started", index=place.index, child_pid=place.process.pid)

    def _spawn_worker(self, place: _PlaceState) -> subprocess.Popen[bytes]:
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
        return spawn(self._commands.worker, start, (*start.listen_fds, *fds))

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
            )
            fds = (start.settings_fd, start.first_settings_fd, start.link_fd, start.supervisor_fd)
            try:
                process = spawn(self._commands.control, start, (*fds, *start.admin_fds))
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
        for _ in range(MAX_REAPED):
            try:
                dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:  # there are none at all
                return
            if dead is None or dead.si_pid in ours:  # ours has died just now: its signal wakes us again
                return
            os.waitpid(dead.si_pid, 0)
            log.debug("supervisor.reaped", child_pid=dead.si_pid)

    def _on_death(self, place: _PlaceState, how: str) -> None:
        place.process = None
        if place is self._control:
            self._close_channel()
        elif not place.has_successor:
            self._counts.tell(place.index, None)  # the others are not to hold back for it
        if place.is_leaving or self._phase is not _Phase.RUNNING:
            log.info(f"{place.role}.ended", index=place.index, how=how)
            if place in self._workers:
                self._workers.remove(place)
            return
        self._schedule(place, how)

    def _schedule(self, place: _PlaceState, how: str) -> None:
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
        self._workers += [_PlaceState("worker", index) for index in range(len(staying), count)]
        for place in staying[count:]:
            place.is_leaving, place.due = True, None
            if place.process is None:
                self._workers.remove(place)
            _signal(place, signal.SIGTERM)

    def _on_farewells(self) -> None:
        """Workers that drain because someone told them to: their successors need not wait until that is done."""
        instances = os.read(self._farewells_fd, 65536).decode().split()
        for place in [place for place in self._workers if place.instance in instances]:
            if place.is_leaving or self._phase is not _Phase.RUNNING:
                continue
            log.info("worker.leaving", index=place.index)
            place.is_leaving = place.has_successor = True
            self._workers.append(_PlaceState("worker", place.index, restarts=place.restarts + 1))

    # Talking with control

    def _on_channel(self, events: int) -> None:
        if self._channel is None:
            return
        try:
            messages = self._channel.turn(events)
        except (EOFError, FrameError) as error:  # without this channel control is of no use: have it replaced
            log.debug("control.channel_lost", reason=str(error))
            self._close_channel()
            if self._phase is _Phase.RUNNING:
                _signal(self._control, signal.SIGKILL)
            return
        for message in messages:
            self._on_message(message)

    def _on_message(self, message: ToSupervisor) -> None:
        if isinstance(message, DrainSeen):
            if self._phase is _Phase.ANNOUNCING:
                self._deadline = 0.0
            return
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
        own = ProcessInfo("supervisor", 0, self._run_name, os.getpid(), self._started, 0)
        children = [_info(place, place.process) for place in self._places() if place.process is not None]
        self._tell(Processes([own, *children]))

    def _close_channel(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    # Ending

    def _on_signal(self, number: signal.Signals) -> None:
        if number is signal.SIGHUP:
            log.info("supervisor.reload_asked")
            self._tell(Reload())
        elif number in (signal.SIGTERM, signal.SIGINT):
            self._end(number)

    def _end(self, number: signal.Signals) -> None:
        if self._phase is not _Phase.RUNNING:
            log.warning("supervisor.ends_at_once", signal=number.name)
            self._exit_status = 128 + number
            self._phase = _Phase.ENDED
            return
        log.info("supervisor.draining", signal=number.name, drain_s=self._drain_s)
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
            if self._phase is _Phase.ANNOUNCING:
                self._advance_announcing(is_late)
            elif self._phase is _Phase.EMPTYING:
                self._advance_emptying(is_late)
            elif self._phase is _Phase.CLOSING:
                self._advance_closing(is_late)

    def _advance_announcing(self, is_late: bool) -> None:
        if not is_late and self._channel is not None:
            return
        close_all(self._sockets.listen)  # the workers hold it too, and close it as they drain
        self._cut_lifeline()  # first: so they know that nobody else will accept what waits
        for place in self._workers:
            _signal(place, signal.SIGTERM)
        self._enter(_Phase.EMPTYING, self._drain_s + GRACE_S)

    def _cut_lifeline(self) -> None:
        if self._life_fd is not None:
            os.close(self._life_fd)
            self._life_fd = None

    def _advance_emptying(self, is_late: bool) -> None:
        if self._workers:
            self._kill_late(self._workers, is_late)
            return
        _signal(self._control, signal.SIGTERM)
        self._enter(_Phase.CLOSING, GRACE_S)

    def _advance_closing(self, is_late: bool) -> None:
        if self._control.process is not None:
            self._kill_late([self._control], is_late)
            return
        self._phase = _Phase.ENDED

    def _kill_late(self, places: list[_PlaceState], is_late: bool) -> None:
        if not is_late:
            return
        for place in places:
            log.error(f"{place.role}.killed", index=place.index, reason="it did not end in time")
            _signal(place, signal.SIGKILL)
        self._exit_status = 1
        self._deadline = float("inf")  # what is killed ends; SIGCHLD wakes us

    def _release(self) -> None:
        """Leave nothing behind, whatever ended the loop."""
        for place in self._places():
            _signal(place, signal.SIGKILL)
            if place.process is not None:
                place.process.wait()
        self._close_channel()
        self._selector.close()
        self._counts.close()
        self._cut_lifeline()
        pipes = (self._lifeline_fd, self._farewells_fd, self._leaving_fd)
        fds = (self._settings_fd, self._first_settings_fd, self._counts_fd, *pipes)
        for descriptor in fds:
            os.close(descriptor)


def _signal(place: _PlaceState, number: signal.Signals) -> None:
    if place.process is not None:
        place.process.send_signal(number)


def _info(place: _PlaceState, process: subprocess.Popen[bytes]) -> ProcessInfo:
    return ProcessInfo(place.role, place.index, place.instance, process.pid, place.started, place.restarts)
