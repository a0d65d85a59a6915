"""The files that describe a running proxy and the outcome of its latest restart."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from strangler.state.files import RESTART, RUNNING
from strangler.state.lock import is_held, unusable


@dataclass(frozen=True, slots=True)
class Running:
    """The facts about a running proxy that other commands need. `listen` and `admin` are its actual addresses; `listen`
    is empty where no client connects, `receiver` where no mirrored request comes."""

    pid: int
    listen: str
    admin: str
    is_draining: bool = False
    takes_restarts: bool = False
    """SIGUSR2 restarts it. Versions that do not know the signal do not write this field, and would end."""
    admin_has_tls: bool = False
    admin_certificates: tuple[str, ...] = ()
    """The certificates that clients of `admin` get, as PEM; none until its TLS is served."""
    receiver: str = ""


@dataclass(frozen=True, slots=True)
class Restart:
    """The outcome of the latest restart. `number` rises by one each time."""

    number: int
    pid: int  # of the supervisor that serves now
    problem: str | None = None  # why that is still the former supervisor


def write_running(folder: Path, running: Running) -> None:
    """Replace the file. Raises FolderError."""
    try:
        _replace(folder / RUNNING, running)
    except OSError as error:
        raise unusable("write in", folder, error) from error


def read_running(folder: Path) -> Running | None:
    """Return the facts about the proxy that uses this folder; None if none runs, even if a copied file says so."""
    try:
        running = msgspec.json.decode((folder / RUNNING).read_bytes(), type=Running)
    except (OSError, msgspec.DecodeError):
        return None
    return running if is_held(folder) else None


def draining_pid(folder: Path) -> int | None:
    """Return the pid of the proxy that uses this folder, if it drains; else None."""
    running = read_running(folder)
    return running.pid if running is not None and running.is_draining else None


def remove_running(folder: Path) -> None:
    """Remove the facts about a running proxy. Raises OSError."""
    (folder / RUNNING).unlink(missing_ok=True)


def write_restart(folder: Path, pid: int, problem: str | None = None) -> None:
    """Write the outcome of a restart, for `strangler restart`. If the disk is full, that command gets no outcome."""
    before = read_restart(folder)
    with suppress(OSError):
        _replace(folder / RESTART, Restart(before.number + 1 if before else 1, pid, problem))


def read_restart(folder: Path) -> Restart | None:
    """Return the latest restart; None if there was none."""
    try:
        return msgspec.json.decode((folder / RESTART).read_bytes(), type=Restart)
    except (OSError, msgspec.DecodeError):
        return None


def _replace(path: Path, content: Running | Restart) -> None:
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    draft.write_bytes(msgspec.json.encode(content))
    draft.replace(path)  # a reader sees the whole file, or none
