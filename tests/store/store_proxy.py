"""A proxy before a PostgreSQL server that can be cut, drop all bytes in silence, and lose the response to a COMMIT."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from select import select
from typing import Final

_LOOK_EVERY_S: Final = 0.02
_MOST: Final = 1 << 16


class StoreProxy:
    """Passes bytes on, each connection in a thread of its own. `port` is where nodes connect to."""

    def __init__(self, port: int) -> None:
        self.lost = 0
        """How many responses to a COMMIT were lost."""
        self._to_lose = 0
        self._server_port = port
        self._is_cut = False
        self._is_dropping = False
        self._is_closed = False
        self._lock = threading.Lock()
        self._ends: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def cut(self) -> None:
        """End all connections, and let none begin until `restore`."""
        with self._lock:
            self._is_cut = True
            self._end_all()

    def drop(self) -> None:
        """Take bytes and connections from now on, and let nothing come out, as behind a cable that is cut."""
        self._is_dropping = True

    def restore(self) -> None:
        """Pass on what comes by new connections. Those whose bytes were dropped stay silent."""
        self._is_cut = self._is_dropping = False

    def lose(self, commits: int) -> None:
        """Lose the responses to the next COMMITs of a writer, with their connections: the server has committed."""
        self._to_lose = commits

    def close(self) -> None:
        """End all connections."""
        self._is_closed = True
        self._threads[0].join()  # from now on no connection begins
        self._listener.close()
        with self._lock:
            self._end_all()
        for thread in self._threads:
            thread.join()

    def _end_all(self) -> None:
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while not self._is_closed:
            if select([self._listener], [], [], _LOOK_EVERY_S)[0]:
                client, _ = self._listener.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(client,)))
                self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(("127.0.0.1", self._server_port)) as server:
            with self._lock:
                if self._is_cut or self._is_closed:
                    return
                self._ends |= {client, server}
            try:
                self._pass_on(client, server)
            finally:
                with self._lock:
                    self._ends -= {client, server}

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        is_reader = False
        while not self._is_dropping:
            for source in select([client, server], [], [], _LOOK_EVERY_S)[0]:
                data = source.recv(_MOST)
                if self._is_dropping:
                    break
                if not data:
                    return
                (server if source is client else client).sendall(data)
                is_reader = is_reader or b" reader" in data[:500]  # the name of the connection
                if source is client and b"COMMIT" in data and not is_reader and self._is_to_be_lost():
                    server.recv(_MOST)  # it has committed
                    return
        ends = [client, server]
        while ends and not self._is_closed:  # neither end hears of the other's
            ready = select(ends, [], [], _LOOK_EVERY_S)[0]
            ends = [end for end in ends if end not in ready or end.recv(_MOST)]

    def _is_to_be_lost(self) -> bool:
        with self._lock:
            if self._to_lose == 0:
                return False
            self._to_lose -= 1
            self.lost += 1
            return True


@contextmanager
def store_proxy(port: int) -> Iterator[StoreProxy]:
    """Put a proxy before a port."""
    proxy = StoreProxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
