"""A proxy before a PostgreSQL server that loses the response to a COMMIT: it has committed, and nobody knows."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from select import select


class LossyProxy:
    """Passes bytes on. `lose` lets the responses to the next COMMITs be lost, with their connections."""

    def __init__(self, port: int) -> None:
        self.lost = 0
        self._to_lose = 0
        self._server_port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._is_closed = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def lose(self, commits: int) -> None:
        """Lose the responses to the next COMMITs."""
        self._to_lose = commits

    def close(self) -> None:
        """End all connections."""
        self._is_closed.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while not self._is_closed.is_set():
            if select([self._listener], [], [], 0.05)[0]:
                client, _ = self._listener.accept()
                thread = threading.Thread(target=self._pass_on, args=(client,))
                self._threads.append(thread)
                thread.start()

    def _pass_on(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._server_port)) as server, suppress(OSError):
            is_reader = False
            while not self._is_closed.is_set():
                for source in select([client, server], [], [], 0.05)[0]:
                    data = source.recv(1 << 16)
                    if not data:
                        return
                    (server if source is client else client).sendall(data)
                    is_reader = is_reader or b" reader" in data[:500]  # the name of the connection
                    if source is client and b"COMMIT" in data and self._to_lose and not is_reader:
                        self._to_lose -= 1
                        self.lost += 1
                        server.recv(1 << 16)  # it has committed
                        return


@contextmanager
def lossy(port: int) -> Iterator[LossyProxy]:
    """Put a proxy before a port."""
    proxy = LossyProxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
