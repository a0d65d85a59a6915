"""A server of an upstream: plain or TLS, on TCP or on a unix socket. It may ask for certificates, and end rudely.

It runs in threads on the system's sockets, so that alerts of TLS are sent as OpenSSL sends them: the server side of
asyncio closes without them.
"""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Self

import trustme
from cryptography import x509

End = Literal["keep", "close_notify", "cut"]
"""The things that may follow a response: the next request, an end in good order, or the end of TCP alone."""

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_CLIENT_HELLO = b"\x16\x03"
_PATIENCE_S = 10.0


class Server:
    """Responds to every request with `response`. Keeps what it read, and the names that clients sent by SNI."""

    def __init__(
        self,
        context: ssl.SSLContext | None = None,
        unix_path: Path | None = None,
        response: bytes = OK,
        end: End = "keep",
    ) -> None:
        self.requests: list[bytes] = []
        self.server_names: list[str | None] = []
        self.subjects: list[str | None] = []
        """The common names of the certificates that clients had, by connection."""
        self.connections = 0
        self.response = response
        self.end: End = end
        self.context = context
        self.wait: Callable[[], object] = lambda: None
        """Called between the response and the end of its connection."""
        self._unix_path = unix_path
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        if context is not None:
            context.sni_callback = self._see_name

    def __enter__(self) -> Self:
        self._listener = socket.socket(socket.AF_INET if self._unix_path is None else socket.AF_UNIX)
        self._listener.bind(("127.0.0.1", 0) if self._unix_path is None else str(self._unix_path))
        self._listener.listen()
        self.port = 0 if self._unix_path is not None else int(self._listener.getsockname()[1])
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(_PATIENCE_S)

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _see_name(self, _socket: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        self.server_names.append(name)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.add(connection)
            self._start(lambda connection=connection: self._serve(connection))  # type: ignore[misc]

    def _serve(self, raw: socket.socket) -> None:
        connection = raw
        try:
            raw.settimeout(_PATIENCE_S)
            if self.context is not None:
                connection = self.context.wrap_socket(raw, server_side=True, suppress_ragged_eofs=True)
                self._open.add(connection)
                self.subjects.append(_common_name(connection))
            while self._respond(connection):
                pass
            self.wait()
            _close(connection, self.end)
        except (OSError, ValueError):  # ssl.SSLError is one; the client may leave at any moment
            pass
        finally:
            self._open.discard(raw)
            self._open.discard(connection)
            connection.close()
            raw.close()

    def _respond(self, connection: socket.socket) -> bool:
        """Respond to one request; False once there is no other."""
        received = b""
        while b"\r\n\r\n" not in received:
            data = connection.recv(65536)
            if not data:
                return False
            received += data
            if received.startswith(_CLIENT_HELLO):
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                return False
        head, _, body = received.partition(b"\r\n\r\n")
        size = int((head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]) or 0)
        while len(body) < size:
            body += connection.recv(65536)
        self.requests.append(head + b"\r\n\r\n" + body)
        connection.sendall(self.response)
        return self.end == "keep"


def _common_name(connection: ssl.SSLSocket) -> str | None:
    encoded = connection.getpeercert(binary_form=True)
    if encoded is None:
        return None
    (name,) = x509.load_der_x509_certificate(encoded).subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(name.value)


def _close(connection: socket.socket, end: End) -> None:
    if not isinstance(connection, ssl.SSLSocket):
        return
    if end == "close_notify":
        connection.setblocking(False)  # it is sent, and nothing is waited for
        with contextlib.suppress(OSError):
            connection.unwrap()
    socket.socket(fileno=connection.detach()).close()


class Authorities:
    """One authority for servers, one for clients, and one that nobody trusts, with their files for `Settings.files`."""

    def __init__(self) -> None:
        self.servers, self.clients, self.strangers = trustme.CA(), trustme.CA(), trustme.CA()
        self.files = {
            "/tls/ca.pem": self.servers.cert_pem.bytes(),
            "/tls/other-ca.pem": self.strangers.cert_pem.bytes(),
            **self._client("client", self.clients),
            **self._client("stranger", self.strangers),
        }

    def _client(self, name: str, authority: trustme.CA) -> dict[str, bytes]:
        """Return a pair in two files, and in one."""
        made = authority.issue_cert(f"{name}.internal", common_name=name)
        chain = b"".join(pem.bytes() for pem in made.cert_chain_pems)
        key = made.private_key_pem.bytes()
        return {f"/tls/{name}.pem": chain, f"/tls/{name}.key": key, f"/tls/{name}-both.pem": key + chain}

    def server(
        self, *names: str, asks: bool = False, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    ) -> ssl.SSLContext:
        """Return the context of a server with a certificate for `names`. `asks`: for a client's certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.maximum_version = newest
        self.servers.issue_cert(*names).configure_cert(context)
        if asks:
            context.verify_mode = ssl.CERT_REQUIRED
            self.clients.configure_trust(context)
        return context
