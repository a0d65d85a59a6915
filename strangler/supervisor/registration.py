"""The entry of the proxy in the state folder: which process serves, where, and how the latest restart went."""

import os
from contextlib import suppress
from dataclasses import replace

from strangler.state.folder import FolderState
from strangler.state.lock import FolderError
from strangler.state.running import write_restart, write_running
from strangler.supervisor.sockets import Sockets


class Registration:
    """Writes the entry, which other commands read."""

    def __init__(self, state: FolderState, sockets: Sockets, *, admin_has_tls: bool = False) -> None:
        self.running = replace(sockets.running(), admin_has_tls=admin_has_tls)
        self._state = state

    def publish(self) -> None:
        """Write where this proxy serves. Raises FolderError."""
        write_running(self._state.folder, self.running)

    def note_admin(self, certificates: tuple[str, ...], *, is_published: bool) -> None:
        """Note how the admin listener is served from now on, and write it, if possible and `is_published`."""
        before = self.running
        self.running = replace(before, admin_has_tls=bool(certificates), admin_certificates=certificates)
        if is_published and self.running != before:
            with suppress(FolderError):
                self.publish()

    def take(self) -> None:
        """Take the folder, and write where this proxy serves. Raises FolderError, OSError."""
        self._state.take()
        self.publish()

    def retake(self) -> None:
        """Take the folder again after a failed successor, which may have written its own entry. Raises OSError."""
        self._state.take()
        with suppress(FolderError):
            self.publish()

    def publish_draining(self) -> None:
        """Write, if possible, that this proxy drains, so that a proxy started now can wait for it."""
        with suppress(FolderError):
            write_running(self._state.folder, replace(self.running, is_draining=True))

    def leave_to(self, pid: int, has_our_folder: bool) -> None:
        """Note that another process serves now, which also has the folder unless it uses another one."""
        self._state.is_ours = not has_our_folder
        write_restart(self._state.folder, pid)

    def note_failed_restart(self, reason: str) -> None:
        """Note that this process goes on, and why."""
        write_restart(self._state.folder, os.getpid(), reason)
