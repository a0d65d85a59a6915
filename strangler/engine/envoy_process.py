"""One Envoy as a process: its command, its start, and what shows that it has ended."""

import asyncio
import hashlib
import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import msgspec

from strangler.core.settings import Settings
from strangler.engine.admin_socket import AdminSocket
from strangler.engine.binary import EnvoyBinary
from strangler.engine.living import ADMIN_SOCKET, BASE_ID, LOCK, EnvoyRecord, LivingEnvoy, write_record
from strangler.engine.log_lines import FORMAT, EnvoyLog
from strangler.engine.ownership import try_lock
from strangler.envoy.resources import BOOTSTRAP, Resource
from strangler.ipc.process import how_it_ended

_HIDDEN: Final = "STRANGLER_"
"""Variables that begin so are not Envoy's business: one of them is a secret."""

LOG_LEVEL: Final = "warning"
PARENT_GRACE_S: Final = 1


def options(settings: Settings) -> tuple[str, ...]:
    """Return the options of the command that follow from the settings. A change of them is a hot restart."""
    drain_s = max(1, round(settings.limits.drain_s))
    return (
        *("--concurrency", str(max(1, settings.workers))),
        *("--drain-time-s", str(drain_s), "--drain-strategy", "immediate"),
        *("--parent-shutdown-time-s", str(drain_s + PARENT_GRACE_S)),
    )


def digest(bootstrap: Resource) -> str:
    """Return a digest of a bootstrap, by which two can be compared."""
    return hashlib.sha256(msgspec.json.encode(bootstrap, order="sorted")).hexdigest()


def _fixed_options() -> tuple[str, ...]:
    return (
        *("-c", BOOTSTRAP, "--reject-unknown-dynamic-fields"),
        *("--log-level", LOG_LEVEL, "--log-format", FORMAT),
        *("--socket-path", "../hot", "--socket-mode", "600"),
    )


def _restart_options(parent: LivingEnvoy | None) -> tuple[str, ...]:
    """Return the options of a hot restart, or those of a first start, which leaves an id for the next one."""
    if parent is None or parent.record is None or parent.base_id is None:
        return ("--use-dynamic-base-id", "--base-id-path", BASE_ID)
    return ("--base-id", str(parent.base_id), "--restart-epoch", str(parent.record.epoch + 1))


class EnvoyProcess:
    """An Envoy that this process watches: its child, or one that an earlier process has started."""

    def __init__(
        self,
        envoy: LivingEnvoy,
        pid: int,
        log: EnvoyLog,
        loop: asyncio.AbstractEventLoop,
        on_end: Callable[[], object],
        child: "subprocess.Popen[bytes] | None" = None,
    ) -> None:
        """Watch it. Raises OSError if it has gone already."""
        self.envoy = envoy
        self.pid = pid
        self.log = log
        self.admin = AdminSocket(envoy.folder / ADMIN_SOCKET)
        self.ended = asyncio.Event()
        self._child = child
        self._report_end = on_end
        self._loop = loop
        self._pid_fd: int | None = os.pidfd_open(pid)
        loop.add_reader(self._pid_fd, self._on_end)

    @property
    def has_ended(self) -> bool:
        return self.ended.is_set()

    @property
    def how(self) -> str:
        """How it has ended, in words."""
        status = None if self._child is None else self._child.poll()
        return (
            "it was started by an earlier process, so its status is not known"
            if status is None
            else how_it_ended(status)
        )

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        if self._pid_fd is not None and not self.has_ended:
            with suppress(OSError):
                signal.pidfd_send_signal(self._pid_fd, number)

    def note_draining(self) -> None:
        """Write down that it takes no new connections, so that a process which adopts it starts another one."""
        if self.envoy.record is not None:
            with suppress(OSError):
                write_record(self.envoy.folder, replace(self.envoy.record, is_draining=True))

    def close(self) -> None:
        """Stop watching, and read the rest of its log."""
        self.log.close()
        if self._pid_fd is not None:
            self._loop.remove_reader(self._pid_fd)
            os.close(self._pid_fd)
            self._pid_fd = None

    def _on_end(self) -> None:
        if self._pid_fd is not None:
            self._loop.remove_reader(self._pid_fd)
        self.ended.set()
        self._report_end()


@dataclass(frozen=True, slots=True)
class Command:
    """The part of a command that differs. `options` are those of the settings, `bootstrap` is the digest of that file;
    `parent` is the Envoy that this one takes over from: its listening sockets, and what it counts."""

    options: tuple[str, ...]
    bootstrap: str
    parent: LivingEnvoy | None = None


def start(
    binary: EnvoyBinary,
    place: LivingEnvoy,
    command: Command,
    loop: asyncio.AbstractEventLoop,
    on_end: Callable[[], object],
) -> EnvoyProcess:
    """Start Envoy in a folder that has its files. Raises OSError."""
    folder = place.folder
    log = EnvoyLog(folder, loop)
    lock_fd = try_lock(folder / LOCK)
    assert lock_fd is not None, "the folder is new"
    output_fd = log.writing_end()
    arguments = [binary.path, *_fixed_options(), *command.options, *_restart_options(command.parent)]
    child: subprocess.Popen[bytes] | None = None
    try:
        child = _spawn(arguments, folder, output_fd, lock_fd)
        record = _record(binary, child.pid, command)
        write_record(folder, record)
        return EnvoyProcess(replace(place, record=record), child.pid, log, loop, on_end, child)
    except OSError:
        if child is not None:
            child.kill()
            child.wait()
        log.close()
        raise
    finally:
        os.close(output_fd)
        os.close(lock_fd)


def _spawn(command: list[str], folder: Path, output_fd: int, lock_fd: int) -> "subprocess.Popen[bytes]":
    """Start a process that goes on if this one is killed. Its folder is its working directory: paths stay short."""
    return subprocess.Popen(  # noqa: S603 - the program that the operator names, no shell
        command,
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith(_HIDDEN)},
        pass_fds=(lock_fd,),
        stdin=subprocess.DEVNULL,
        stdout=output_fd,
        stderr=output_fd,
        process_group=0,
    )


def _record(binary: EnvoyBinary, pid: int, command: Command) -> EnvoyRecord:
    epoch, base_id, parent = 0, None, command.parent
    if parent is not None and parent.record is not None and parent.base_id is not None:
        epoch, base_id = parent.record.epoch + 1, parent.base_id
    return EnvoyRecord(pid, epoch, base_id, binary.version, command.options, command.bootstrap)
