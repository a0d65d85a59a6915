"""A proxy before a server that can drop all bytes in silence, as a cut cable does."""

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class DroppingProxy:
    """Passes bytes on until `drop`; from then on it takes them, and connections, and nothing comes out."""

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._is_dropping = threading.Event()
        self._is_closed = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def drop(self) -> None:
        """Drop all from now on."""
        self._is_dropping.set()

    def restore(self) -> None:
        """Pass on what comes from now on, by new connections; the former ones stay cut."""
        self._is_dropping.clear()

    def close(self) -> None:
        """End all connections."""
        self._is_closed.set()
        self._thread.join()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector, self._listener:
            selector.register(self._listener, selectors.EVENT_READ)
            cut: set[socket.socket] = set()
            while not self._is_closed.is_set():
                ready = selector.select(0.02)
                if self._is_dropping.is_set():
                    cut |= {key.fileobj for key in selector.get_map().values() if key.data}  # type: ignore[misc]
                for key, _ in ready:
                    if key.data is None:
                        self._accept(selector, cut)
                    else:
                        self._pass_on(selector, key.fileobj, key.data, key.fileobj in cut)  # type: ignore[arg-type]
            for key in list(selector.get_map().values()):
                key.fileobj.close()  # type: ignore[union-attr]

    def _accept(self, selector: selectors.BaseSelector, cut: set[socket.socket]) -> None:
        client, _ = self._listener.accept()
        upstream = socket.create_connection(("127.0.0.1", self._server_port))
        if self._is_dropping.is_set():
            cut |= {client, upstream}
        selector.register(client, selectors.EVENT_READ, upstream)
        selector.register(upstream, selectors.EVENT_READ, client)

    def _pass_on(
        self, selector: selectors.BaseSelector, source: socket.socket, target: socket.socket, is_cut: bool
    ) -> None:
        data = b""
        with suppress(OSError):
            data = source.recv(1 << 16)
        if is_cut:
            if not data:  # the end is dropped, too
                selector.unregister(source)
                source.close()
            return
        if data:
            with suppress(OSError):
                target.sendall(data)
                return
        for end in (source, target):
            if end.fileno() != -1:
                with suppress(KeyError):
                    selector.unregister(end)
                end.close()


@contextmanager
def dropping(port: int) -> Iterator[DroppingProxy]:
    """Put a proxy before a port."""
    proxy = DroppingProxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
