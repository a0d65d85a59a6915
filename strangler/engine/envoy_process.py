"""One Envoy as a process: its command, its start, and what shows that it has ended."""

import asyncio
import errno
import hashlib
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import msgspec

from strangler.core.settings import Settings
from strangler.engine import detached
from strangler.engine.admin_socket import AdminSocket
from strangler.engine.binary import EnvoyBinary
from strangler.engine.living import ADMIN_SOCKET, LOCK, EnvoyRecord, LivingEnvoy, write_record
from strangler.engine.log_lines import FORMAT, EnvoyLog
from strangler.engine.ownership import try_lock
from strangler.envoy.resources import BOOTSTRAP, Resource
from strangler.ipc.process import how_it_ended

_HIDDEN: Final = "STRANGLER_"
"""Variables that begin so are not Envoy's business: one of them is a secret."""

LOG_LEVEL: Final = "warning"
MAX_BASE_ID: Final = 200_000_000
"""Envoy multiplies it by ten, and has 31 bits for that."""

PARENT_GRACE_S: Final = 1
SPAWN_TIMEOUT_S: Final = 20.0


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


class EnvoyProcess:
    """An Envoy that this process watches, whoever has started it: it is nobody's child, so its status is not known."""

    def __init__(
        self,
        envoy: LivingEnvoy,
        pid: int,
        log: EnvoyLog,
        loop: asyncio.AbstractEventLoop,
        on_end: Callable[[], object],
    ) -> None:
        """Watch it. Raises OSError if it has gone already."""
        self.envoy = envoy
        self.pid = pid
        self.log = log
        self.admin = AdminSocket(envoy.folder / ADMIN_SOCKET)
        self.ended = asyncio.Event()
        self._report_end = on_end
        self._loop = loop
        self._pid_fd: int | None = os.pidfd_open(pid)
        loop.add_reader(self._pid_fd, self._on_end)

    @property
    def has_ended(self) -> bool:
        return self.ended.is_set()

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
    record = _record(binary, command)
    arguments = [binary.path, *_fixed_options(), *command.options, *_epoch_options(record)]
    pid: int | None = None
    try:
        pid = _spawn(arguments, folder, output_fd, lock_fd)
        record = replace(record, pid=pid)
        write_record(folder, record)
        return EnvoyProcess(replace(place, record=record), pid, log, loop, on_end)
    except (OSError, subprocess.TimeoutExpired) as error:
        if pid is not None:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        log.close()
        if isinstance(error, OSError):
            raise
        raise OSError(errno.EAGAIN, f"its process has not begun within {SPAWN_TIMEOUT_S:.0f} s") from None
    finally:
        os.close(output_fd)
        os.close(lock_fd)


def _spawn(command: list[str], folder: Path, output_fd: int, lock_fd: int) -> int:
    """Start a process that goes on if this one is killed; return its pid. Raises OSError.

    The folder is its working directory, which keeps paths short.
    """
    done = subprocess.run(  # noqa: S603 - our own program, and the one that the operator names
        [sys.executable, "-I", "-S", detached.__file__, *command],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith(_HIDDEN)},
        pass_fds=(lock_fd,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=output_fd,
        timeout=SPAWN_TIMEOUT_S,
        check=False,
    )
    pid, _, _ = done.stdout.partition(b"\n")
    if done.returncode or not pid.isdigit():
        raise OSError(errno.EAGAIN, f"its process cannot be made: {how_it_ended(done.returncode)}")
    return int(pid)


def _record(binary: EnvoyBinary, command: Command) -> EnvoyRecord:
    """Return the record of an Envoy that is about to start."""
    former = None if command.parent is None else command.parent.record
    epoch, base_id = (0, secrets.randbelow(MAX_BASE_ID) + 1) if former is None else (former.epoch + 1, former.base_id)
    return EnvoyRecord(0, epoch, base_id, binary.version, command.options, command.bootstrap)


def _epoch_options(record: EnvoyRecord) -> tuple[str, ...]:
    return ("--base-id", str(record.base_id), "--restart-epoch", str(record.epoch))
