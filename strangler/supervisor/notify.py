"""Messages to the service manager that started the proxy: the protocol of sd_notify(3), one datagram per message."""

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress

_SOCKET = "NOTIFY_SOCKET"
_INTERVAL = "WATCHDOG_USEC"
_WATCHED = "WATCHDOG_PID"

MAX_WAIT_S = 0.5
"""How long to wait for a service manager that is slow to read, once the system's queue of messages is full."""


class Notifier:
    """The proxy's end of the protocol; it sends nothing if no service manager listens."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._path = environ.get(_SOCKET, "")
        self.watchdog_s = _watchdog_s(environ) if self._path else None
        """The interval of `WATCHDOG=1`: half of the service manager's, as it advises; None: it does not watch."""

    @property
    def is_heard(self) -> bool:
        return bool(self._path)

    def send(self, *lines: str) -> None:
        """Send the assignments as one message. A service manager that is gone is no reason to fail."""
        if not self._path:
            return
        address = f"\0{self._path[1:]}" if self._path.startswith("@") else self._path
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(MAX_WAIT_S)
            sender.sendto("\n".join(lines).encode(), address)

    def reloading(self) -> None:
        """Report that a reload or restart has begun, which `READY=1` ends."""
        self.send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")


def without_watched_pid(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process that is to be watched instead of this one."""
    return {name: value for name, value in environ.items() if name != _WATCHED}


def _watchdog_s(environ: Mapping[str, str]) -> float | None:
    interval, pid = environ.get(_INTERVAL, ""), environ.get(_WATCHED, "")
    if not interval.isdecimal() or int(interval) == 0 or pid not in ("", str(os.getpid())):
        return None
    return int(interval) / 2e6
