"""The listening sockets of a supervisor: new, or left to it by its predecessor or the service manager."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from strangler.core.listener_settings import Address, ListenerSettings
from strangler.ipc.messages import Outline
from strangler.ipc.start import ListenerGroup
from strangler.sockets.listen import (
    InheritedState,
    ListenError,
    close_all,
    listen_at,
    listen_locally,
    remove_dead,
    where,
)
from strangler.state.running import Running
from strangler.supervisor.envoy_listeners import MIRRORS, EnvoyListeners

REBIND_S = 5.0  # the workers of a killed supervisor have this long to give up the port


@dataclass(frozen=True, slots=True)
class Sockets:
    """All listening sockets. `groups` says which descriptors serve which key, for a successor; `addresses` says of each
    socket of `listen` which address of routes.yaml it is for."""

    listen: list[socket.socket]
    addresses: list[str]
    admin: list[socket.socket]
    link: socket.socket
    link_path: Path
    groups: tuple[ListenerGroup, ...]
    unwanted: tuple[int, ...]  # descriptors of our predecessor that we do not listen at
    is_activated: bool  # the service manager keeps sockets of `listen` open, even without us
    receiver: list[socket.socket] = field(default_factory=list)
    mirror: socket.socket | None = None
    """Where Envoy sends mirrored requests; None: workers serve."""
    elsewhere: tuple[str, ...] = ()
    """The addresses that Envoy listens at by itself."""

    def listening(self) -> str:
        """Return every address that clients connect to, as the system has bound it."""
        return ", ".join([*self.elsewhere, *(str(where(listener)) for listener in self.listen)])

    def receiving(self) -> str:
        """Return every address that mirrored requests come to, as the system has bound it."""
        return ", ".join(str(where(listener)) for listener in self.receiver)

    @property
    def mirrors_at(self) -> str:
        """The path where Envoy sends mirrored requests; empty where workers serve."""
        return "" if self.mirror is None else str(self.mirror.getsockname())

    def running(self) -> Running:
        """Return the facts about this proxy that other commands need, as far as the sockets show them."""
        listen = next(iter([*self.elsewhere, *(str(where(listener)) for listener in self.listen)]), "")
        return Running(os.getpid(), listen, str(where(self.admin[0])), takes_restarts=True, receiver=self.receiving())


@contextmanager
def open_sockets(
    settings: Outline,
    folder: Path,
    inherited: InheritedState,
    link_name: str,
    patience_s: float,
    envoys: EnvoyListeners | None = None,
) -> Iterator[Sockets]:
    """Listen, until the end. Raises ListenError; a port that is still taken is tried again for `patience_s`.

    `envoys`: Envoy listens for clients, in place of us.
    """
    by_address: dict[str, list[socket.socket]] = {}
    admin: list[socket.socket] = []
    receiver: list[socket.socket] = []
    mirror: list[socket.socket] = []
    try:
        if envoys is not None:
            envoys.check(settings.listeners, inherited, patience_s)
        for listener in settings.listeners if envoys is None else ():  # all of them, before any serves
            sockets = _listen_patiently(listener, "listen", inherited, patience_s)
            by_address[str(listener.address)] = sockets
        admin = _listen_patiently(ListenerSettings(settings.admin.listen), "admin.listen", inherited, patience_s)
        places = [
            *(("listen", address, sockets) for address, sockets in by_address.items()),
            ("admin.listen", str(settings.admin.listen), admin),
        ]
        if settings.receiver is not None:
            at = ListenerSettings(settings.receiver.listen)
            receiver = _listen_patiently(at, "receiver.listen", inherited, patience_s)
            places.append(("receiver.listen", str(at.address), receiver))
        if envoys is not None:
            mirror = [envoys.mirror_socket(inherited)]
            places.append((MIRRORS, str(where(mirror[0])), mirror))
        unwanted = inherited.close_rest()
        groups = tuple(
            ListenerGroup(key, address, tuple(map(socket.socket.fileno, sockets)), inherited.has_activated(sockets))
            for key, address, sockets in places
        )
        listen = [listener for sockets in by_address.values() for listener in sockets]
        addresses = [address for address, sockets in by_address.items() for _ in sockets]
        link, path = listen_locally(folder, link_name)
        with link:
            is_activated = inherited.has_activated(listen)
            yield Sockets(
                listen,
                addresses,
                admin,
                link,
                path,
                groups,
                unwanted,
                is_activated,
                receiver,
                mirror[0] if mirror else None,
                () if envoys is None else tuple(str(listener.address) for listener in settings.listeners),
            )
            path.unlink(missing_ok=True)
    finally:
        for sockets in by_address.values():
            close_all(sockets)
        close_all(admin)
        close_all(receiver)
        left = [] if envoys is None else [str(where(each).unix_path) for each in mirror]
        close_all(mirror)
        left += [address.unix_path for address in _addresses(settings) if address.unix_path is not None]
        for path_left in left:
            remove_dead(path_left)


def _addresses(settings: Outline) -> list[Address]:
    """Return all addresses that may be unix sockets."""
    receiver = [] if settings.receiver is None else [settings.receiver.listen]
    return [*(listener.address for listener in settings.listeners), *receiver]


def _listen_patiently(
    listener: ListenerSettings, key: str, inherited: InheritedState, patience_s: float
) -> list[socket.socket]:
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return listen_at(listener.address, key, inherited, mode=listener.mode, group=listener.group)
        except ListenError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(0.1)
