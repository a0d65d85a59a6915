"""The start of a supervisor: log, state folder and sockets, new or left by its predecessor."""

import os
from contextlib import suppress
from pathlib import Path

import structlog

from strangler import logs
from strangler.engine.binary import BinaryError, find
from strangler.ipc.messages import Outline, decode_outline
from strangler.ipc.start import EnvoyChoice, StartError, SupervisorStart, read_file
from strangler.sockets.listen import InheritedState, ListenError, activated
from strangler.state.folder import hold
from strangler.state.lock import FolderError
from strangler.supervisor.envoy_listeners import EnvoyListeners
from strangler.supervisor.loop import Supervisor
from strangler.supervisor.sockets import REBIND_S, open_sockets
from strangler.supervisor.spawner import Commands

log = structlog.get_logger()


class SupervisorError(Exception):
    """The proxy cannot start; the message says why and the way out."""


def run(config: Path, settings_fd: int, commands: Commands | None = None, envoy: EnvoyChoice | None = None) -> int:
    """Serve until a signal ends it; return the exit status. Raises SupervisorError if it cannot start.

    `settings_fd`, which is taken over, is of a file with the encoded settings. The environment shows whether there is a
    predecessor, or a service manager has made the sockets. `envoy` counts with `engine: envoy`.
    """
    outline = decode_outline(read_file(settings_fd))
    writer = logs.LogWriter()
    logs.configure(outline.log, "supervisor", writer)
    try:
        has_envoy = outline.engine == "envoy" and outline.workers > 0
        choice = _located(envoy or EnvoyChoice()) if has_envoy else None
        return _serve(config, settings_fd, outline, commands or Commands(), choice)
    except (BinaryError, FolderError, ListenError, StartError) as error:
        raise SupervisorError(str(error)) from error
    finally:
        writer.close()


def _serve(config: Path, settings_fd: int, outline: Outline, commands: Commands, envoy: EnvoyChoice | None) -> int:
    """Hold the folder and the sockets until the end. Raises FolderError, ListenError, StartError."""
    folder = Path(outline.state).absolute()
    start = SupervisorStart.from_environ()
    inherited = InheritedState(start.listeners if start else activated())
    lock_fd = _inherited_lock(start, folder)
    link_name = "link.sock" if start is None or lock_fd is None else f"link-{start.term}.sock"
    with hold(folder, lock_fd, _log_wait) as state:
        patience_s = REBIND_S if state.was_killed else 0.0
        envoys = None if envoy is None else _listeners(folder, start, envoy)
        with open_sockets(outline, folder, inherited, link_name, patience_s, envoys) as sockets:
            return Supervisor(config, settings_fd, outline, state, sockets, commands, start, envoy).run()


def _located(choice: EnvoyChoice) -> EnvoyChoice:
    """Return the choice with the path of the Envoy that is found, so that all processes use one. Raises BinaryError."""
    if choice.binary or choice.files:
        return choice
    return EnvoyChoice(find(choice.binary).path)


def _listeners(folder: Path, start: SupervisorStart | None, envoy: EnvoyChoice) -> EnvoyListeners:
    former = None if start is None else Path(start.folder)
    return EnvoyListeners(folder, former, is_elsewhere=bool(envoy.files))


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
