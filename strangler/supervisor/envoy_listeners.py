"""The addresses that Envoy listens at by itself: they are tried beforehand, for clear errors."""

import os
import socket
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from strangler.core.listener_settings import UNIX, Address, ListenerSettings
from strangler.engine.living import FOLDER, living
from strangler.sockets.listen import MAX_LOCAL_PATH_BYTES, InheritedState, ListenError, bind_briefly, listen_at

MIRRORS: Final = "mirrors"
"""The key of the socket for mirrored requests among those that a supervisor leaves to the next one."""

_SOCKET_NAME: Final = "receiver.sock"
_LOOK_EVERY_S: Final = 0.1


class EnvoyListeners:
    """The addresses of clients where Envoy serves, and the socket that it sends mirrored requests to."""

    def __init__(self, folder: Path, former_folder: Path | None, *, is_elsewhere: bool) -> None:
        """`former_folder` is the state folder of our predecessor. `is_elsewhere`: somebody else runs Envoy."""
        self._folder = folder
        self._folders = (folder,) if former_folder is None else (folder, former_folder)
        self._is_elsewhere = is_elsewhere

    def check(self, listeners: Sequence[ListenerSettings], inherited: InheritedState, patience_s: float) -> None:
        """Raise ListenError if Envoy could not listen; what is taken is tried again for `patience_s`.

        An address that an Envoy of ours has will be handed over, whether our predecessor runs it or a killed proxy has
        left it.
        """
        for group in inherited.groups:
            if group.key == "listen" and group.is_activated:
                raise ListenError(
                    "LISTEN_FDS: with `engine: envoy` Envoy listens for clients itself; take `listen` out of the socket"
                    " unit"
                )
            if group.key == "listen":
                raise ListenError(
                    "engine: a restart without a gap cannot change it to envoy; stop the proxy and start it"
                )
        for listener in () if self._is_elsewhere else listeners:
            if listener.address.port == 0 and listener.address.unix_path is None:
                raise ListenError(f"listen: {listener.address}: Envoy cannot choose the port; name it")
            self._try_patiently(listener.address, time.monotonic() + patience_s)

    def mirror_socket(self, inherited: InheritedState) -> socket.socket:
        """Return the socket for mirrored requests, which a successor goes on to listen at. Raises ListenError."""
        for group in inherited.groups:
            if group.key == MIRRORS and self._folder.samefile(self._folders[-1]):
                path = group.address.removeprefix(UNIX)
                return listen_at(Address(f"{UNIX}{path}", 0), MIRRORS, inherited, mode=0o600)[0]
        path = str(self._folder / _SOCKET_NAME)
        if len(os.fsencode(path)) > MAX_LOCAL_PATH_BYTES:
            path = str(Path(tempfile.mkdtemp(prefix="strangler-")) / _SOCKET_NAME)
        return listen_at(Address(f"{UNIX}{path}", 0), MIRRORS, mode=0o600)[0]

    def _try_patiently(self, address: Address, deadline: float) -> None:
        while True:
            try:
                bind_briefly(address, "listen")
                return
            except ListenError:
                if self._is_ours(address):
                    return
                if time.monotonic() >= deadline:
                    raise
            time.sleep(_LOOK_EVERY_S)

    def _is_ours(self, address: Address) -> bool:
        """Return whether an Envoy of ours may have the address: it lets others of its user share it."""
        if not any(living(folder / FOLDER) for folder in self._folders):
            return False
        try:
            bind_briefly(address, "listen", is_shared=True)
        except ListenError:
            return False
        return True
