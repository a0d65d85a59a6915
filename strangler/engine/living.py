"""The Envoys of a state folder that live, whoever has started them.

Each has a folder of its own, numbered in the order of their start. Envoy inherits the locked descriptor of a file
there, so the lock shows that it lives, even if the process that started it was killed; no pid that is used again can
mislead.
"""

import os
import shutil
import signal
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from strangler.engine.ownership import is_locked
from strangler.engine.sockets_in_folders import short_path
from strangler.engine.written_files import put

FOLDER: Final = "envoy"
"""The folder of all Envoys within the state folder."""

LOCK: Final = "lock"
RECORD: Final = "envoy.json"
ADMIN_SOCKET: Final = "admin.sock"

KILL_S: Final = 2.0
"""How long a killed Envoy may take to end."""

_LOOK_EVERY_S: Final = 0.01
_CREDENTIALS: Final = struct.Struct("3i")


@dataclass(frozen=True, slots=True)
class EnvoyRecord:
    """The facts about a started Envoy that a later process needs."""

    pid: int
    epoch: int  # of the hot restarts since the first of its kind
    base_id: int  # by which those of a hot restart find each other
    version: str
    options: tuple[str, ...]  # of the command, without those of the hot restart
    bootstrap: str  # a digest of that file
    is_draining: bool = False  # it takes no new connections


@dataclass(frozen=True, slots=True)
class LivingEnvoy:
    """An Envoy that lives now."""

    number: int
    folder: Path
    record: EnvoyRecord | None = field(compare=False)
    """None: the process that started it was killed before it had written the record."""

    @property
    def pid(self) -> int | None:
        """The process; None if it cannot be known."""
        return self.record.pid if self.record is not None else _listener_pid(self.folder / ADMIN_SOCKET)


def living(folder: Path) -> list[LivingEnvoy]:
    """Return the Envoys that live below a folder, the oldest first."""
    return [LivingEnvoy(number, path, read_record(path)) for number, path in numbered(folder) if is_locked(path / LOCK)]


def numbered(folder: Path) -> list[tuple[int, Path]]:
    """Return the folders of Envoys, living or dead, the oldest first."""
    return sorted(_numbered(folder))


def next_number(folder: Path) -> int:
    """Return a number that is above all others."""
    return max((number for number, _ in numbered(folder)), default=0) + 1


def write_record(folder: Path, record: EnvoyRecord) -> None:
    """Write what is known of an Envoy into its folder. Raises OSError."""
    put(folder, RECORD, msgspec.json.encode(record))


def read_record(folder: Path) -> EnvoyRecord | None:
    """Return what is known of an Envoy; None if nothing is."""
    try:
        return msgspec.json.decode((folder / RECORD).read_bytes(), type=EnvoyRecord)
    except (OSError, msgspec.DecodeError):
        return None


def remove_dead(folder: Path) -> None:
    """Remove what Envoys that have ended have left: their folders, and, if none lives, the sockets of hot restarts."""
    is_one_alive = False
    for _, path in numbered(folder):
        if is_locked(path / LOCK):
            is_one_alive = True
        else:
            _forget(path)
    if not is_one_alive:
        for left in folder.glob("hot_*"):
            with suppress(OSError):
                left.unlink()


def kill_all(folder: Path, patience_s: float = KILL_S) -> None:
    """Kill the Envoys that live below a folder, wait for their end, and remove what they leave."""
    deadline = time.monotonic() + patience_s
    while (left := living(folder)) and time.monotonic() < deadline:
        for envoy in left:
            if envoy.pid is not None:
                with suppress(OSError):
                    os.kill(envoy.pid, signal.SIGKILL)
        time.sleep(_LOOK_EVERY_S)
    remove_dead(folder)


def _forget(path: Path) -> None:
    record = read_record(path)
    if record is not None and not _is_used(path.parent, record.base_id):
        with suppress(OSError):  # Envoy leaves 104 bytes there, which nobody else would remove
            os.unlink(f"/dev/shm/envoy_shared_memory_{record.base_id * 10}")  # noqa: S108 - the name that Envoy gives it
    shutil.rmtree(path, ignore_errors=True)


def _is_used(folder: Path, base_id: int) -> bool:
    return any(envoy.record is not None and envoy.record.base_id == base_id for envoy in living(folder))


def _numbered(folder: Path) -> Iterator[tuple[int, Path]]:
    with suppress(OSError):
        for path in folder.iterdir():
            if path.name.isdecimal() and path.is_dir():
                yield int(path.name), path


def _listener_pid(path: Path) -> int | None:
    """Return the process that listens at a unix socket, as the system knows it."""
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(1.0)
        with short_path(path.parent, path.name) as short:
            client.connect(short)
        found = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        return int(_CREDENTIALS.unpack(found)[0])
    return None
