"""The start of a supervisor: log, state folder and sockets, new or left by its predecessor."""

import os
from contextlib import suppress
from pathlib import Path

import structlog

from strangler import logs
from strangler.ipc.messages import Outline, decode_outline
from strangler.ipc.start import StartError, SupervisorStart, read_file
from strangler.sockets.listen import InheritedState, ListenError, activated
from strangler.state.folder import hold
from strangler.state.lock import FolderError
from strangler.supervisor.loop import Supervisor
from strangler.supervisor.sockets import REBIND_S, open_sockets
from strangler.supervisor.spawner import Commands

log = structlog.get_logger()


class SupervisorError(Exception):
    """The proxy cannot start; the message says why and the way out."""


def run(config: Path, settings_fd: int, commands: Commands | None = None) -> int:
    """Serve until a signal ends it; return the exit status. Raises SupervisorError if it cannot start.

    `settings_fd`, which is taken over, is of a file with the encoded settings. The environment shows whether there is a
    predecessor, or a service manager has made the sockets.
    """
    outline = decode_outline(read_file(settings_fd))
    writer = logs.LogWriter()
    logs.configure(outline.log, "supervisor", writer)
    try:
        return _serve(config, settings_fd, outline, commands or Commands())
    except (FolderError, ListenError, StartError) as error:
        raise SupervisorError(str(error)) from error
    finally:
        writer.close()


def _serve(config: Path, settings_fd: int, outline: Outline, commands: Commands) -> int:
    """Hold the folder and the sockets until the end. Raises FolderError, ListenError, StartError."""
    folder = Path(outline.state).absolute()
    start = SupervisorStart.from_environ()
    inherited = InheritedState(start.listeners if start else activated())
    lock_fd = _inherited_lock(start, folder)
    link_name = "link.sock" if start is None or lock_fd is None else f"link-{start.term}.sock"
    with hold(folder, lock_fd, _log_wait) as state:
        patience_s = REBIND_S if state.was_killed else 0.0
        with open_sockets(outline, folder, inherited, link_name, patience_s) as sockets:
            return Supervisor(config, settings_fd, outline, state, sockets, commands, start).run()


def _inherited_lock(start: SupervisorStart | None, folder: Path) -> int | None:
    """Return the lock of our predecessor if it uses the same folder; close that of another folder."""
    if start is None:
        return None
    if _is_same(folder, Path(start.folder)):
        return start.lock_fd
    os.close(start.lock_fd)
    return None


def _is_same(folder: Path, other: Path) -> bool:
    with suppress(OSError):
        return folder.samefile(other)
    return False


def _log_wait(pid: int) -> None:
    log.warning(
        "supervisor.waits", holder=pid, reason="another proxy drains; this one starts when it has left the state folder"
    )
