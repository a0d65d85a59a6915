"""The listening sockets of a supervisor: new, or left to it by its predecessor or the service manager."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from strangler.core.settings import Address
from strangler.ipc.messages import Outline
from strangler.ipc.start import ListenerGroup
from strangler.sockets.listen import InheritedState, ListenError, close_all, listen_at, listen_locally, where
from strangler.state.running import Running

REBIND_S = 5.0  # the workers of a killed supervisor have this long to give up the port


@dataclass(frozen=True, slots=True)
class Sockets:
    """All listening sockets. `groups` has the descriptors of each key, for a successor."""

    listen: list[socket.socket]
    admin: list[socket.socket]
    link: socket.socket
    link_path: Path
    groups: tuple[ListenerGroup, ...]
    unwanted: tuple[int, ...]  # descriptors of our predecessor that we do not listen at
    is_activated: bool  # the service manager keeps sockets of `listen` open, even without us

    def running(self, is_draining: bool = False) -> Running:
        """Return the facts about this proxy that other commands need."""
        listen, admin = str(where(self.listen[0])), str(where(self.admin[0]))
        return Running(os.getpid(), listen, admin, is_draining, takes_restarts=True)


@contextmanager
def open_sockets(
    settings: Outline, folder: Path, inherited: InheritedState, link_name: str, patience_s: float
) -> Iterator[Sockets]:
    """Listen until the end. A port that is still taken is tried again for `patience_s`. Raises ListenError."""
    listen = _listen_patiently(settings.listen, "listen", inherited, patience_s)
    admin: list[socket.socket] = []
    try:
        admin = _listen_patiently(settings.admin.listen, "admin.listen", inherited, patience_s)
        unwanted = inherited.close_rest()
        groups = tuple(
            ListenerGroup(key, str(address), tuple(map(socket.socket.fileno, sockets)), key in inherited.activated_keys)
            for key, address, sockets in (
                ("listen", settings.listen, listen),
                ("admin.listen", settings.admin.listen, admin),
            )
        )
        link, path = listen_locally(folder, link_name)
        with link:
            yield Sockets(listen, admin, link, path, groups, unwanted, "listen" in inherited.activated_keys)
            path.unlink(missing_ok=True)
    finally:
        close_all(listen)
        close_all(admin)


def _listen_patiently(address: Address, key: str, inherited: InheritedState, patience_s: float) -> list[socket.socket]:
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return listen_at(address, key, inherited)
        except ListenError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(0.1)
