"""The process that the service manager started, once its successors serve: it stays, and stands in for them.

A container ends with its process 1, and runit, supervisord or a shell watch the process that they have started. So the
first supervisor passes signals on to the serving one, reaps dead children, and ends with the same exit status. Only
under systemd, which accepts another main process, it ends when it has drained.
"""

import os
import selectors
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress

from strangler.supervisor.peer import Peer

_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2)

_LEAVE_S = 2.0  # for a supervisor that has closed its end, until its process is gone
_LOOK_EVERY_S = 0.02


class Origin:
    """The first supervisor's end of the connection to the serving one."""

    def __init__(self, peer: Peer, pid: int) -> None:
        """`pid` is the first successor's; later ones send theirs."""
        self._peer = peer
        self._pid = pid
        self._status = 1  # for a supervisor that is killed
        self._has_ended = False
        self.end_requests = 0
        """How many signals that ask for the end have been passed on."""

    def pass_on(self, number: signal.Signals) -> None:
        """Send the signal to the supervisor that serves."""
        self._refresh()
        self.end_requests += number in (signal.SIGTERM, signal.SIGINT)
        if number in _PASSED_ON and not self._has_ended:
            with suppress(OSError):
                os.kill(self._pid, number)

    def close(self) -> None:
        self._peer.close()

    def watch(self, wakeup: socket.socket) -> int:
        """Pass signals on until the last successor has ended; return its exit status."""
        with selectors.DefaultSelector() as selector:
            selector.register(wakeup, selectors.EVENT_READ)
            selector.register(self._peer.socket, selectors.EVENT_READ)
            deadline = time.monotonic() + _LEAVE_S
            while True:
                self._refresh()
                _reap_all()
                if self._has_ended and (_has_gone(self._pid) or time.monotonic() >= deadline):
                    return self._status
                if self._has_ended:
                    time.sleep(_LOOK_EVERY_S)  # it has closed its end, and is about to leave
                    continue
                for key, _ in selector.select():
                    if key.fileobj is wakeup:
                        for number in wakeup.recv(4096):
                            self.pass_on(signal.Signals(number))
                deadline = time.monotonic() + _LEAVE_S

    def _refresh(self) -> None:
        try:
            while not self._has_ended and (messages := self._peer.receive()):
                for message in messages:
                    self._pid = message.get("pid", self._pid)
                    self._status = message.get("status", self._status)
        except EOFError:
            self._has_ended = True


class OriginLink:
    """A later supervisor's end of that connection; closed from the start if there is no such process."""

    def __init__(self, descriptor: int | None) -> None:
        self._peer = None if descriptor is None else Peer.at(descriptor)

    @property
    def fd(self) -> int | None:
        """The descriptor to leave to a successor; None if there is no such process."""
        return self._peer.socket.fileno() if self._peer is not None and self._peer.is_open else None

    def watch(self, selector: selectors.BaseSelector, on_closed: Callable[[], object]) -> None:
        """Call `on_closed` when the process is gone, after which no service manager would watch us."""
        if self._peer is not None:
            self._peer.watch(selector, lambda message: None, on_closed)

    def send(self, **message: int) -> None:
        """Send our `pid`, or at the end our `status`."""
        if self._peer is not None:
            self._peer.send(**message)

    def close(self) -> None:
        if self._peer is not None:
            self._peer.close()


def _has_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return True
    return False


def _reap_all() -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
