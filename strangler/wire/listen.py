"""Sockets that listen: made once by the supervisor, inherited by those who accept, so that no connection is refused."""

import errno
import os
import socket
import tempfile
from contextlib import suppress
from pathlib import Path

from strangler.core.settings import Address

BACKLOG = 4096  # connections that wait while a worker is replaced; the system caps it at net.core.somaxconn
MAX_LOCAL_PATH_BYTES = 100  # sun_path holds 104 bytes on BSD and macOS, 108 on Linux (unix(7)), one of them NUL


class ListenError(Exception):
    """A socket cannot listen; the message says where, why, and the way out."""


def listen_at(address: Address, key: str) -> list[socket.socket]:
    """One listening socket for each address that the host stands for, all on one port.

    `key` is where routes.yaml says the address, for the message. Port 0: the system chooses, see `where`.
    """
    sockets: list[socket.socket] = []
    refusal: OSError | None = None
    port = address.port
    for family, host in _resolve(address, key):
        try:
            sockets.append(_listen(family, host, port))
        except OSError as error:
            refusal = error
            if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                continue  # a name may stand for an IPv6 address on a machine without IPv6
            break
        port = sockets[0].getsockname()[1]
    if refusal is not None and (not sockets or refusal.errno == errno.EADDRINUSE):
        close_all(sockets)
        raise ListenError(_explain(address, key, refusal))
    return sockets


def where(listener: socket.socket) -> Address:
    """The address that it really listens at."""
    host, port = listener.getsockname()[:2]
    return Address(host, port)


def listen_locally(folder: Path) -> tuple[socket.socket, Path]:
    """The link's listening socket in `folder`, or in a private temporary folder if the path would be too long.

    Only this user can connect: the folder has mode 0700.
    """
    path = folder / "link.sock"
    if len(os.fsencode(path)) > MAX_LOCAL_PATH_BYTES:
        path = Path(tempfile.mkdtemp(prefix="strangler-")) / "link.sock"
    with suppress(FileNotFoundError):
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(os.fspath(path))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise ListenError(f"state: cannot make a socket at {path}: {error.strerror}") from error
    return listener, path


def close_all(sockets: list[socket.socket]) -> None:
    """Close and forget them."""
    while sockets:
        sockets.pop().close()


def _resolve(address: Address, key: str) -> list[tuple[socket.AddressFamily, str]]:
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ListenError(f"{key}: cannot resolve {address.host}: {error.strerror}") from error
    return list(dict.fromkeys((family, str(sockaddr[0])) for family, _, _, _, sockaddr in found))


def _listen(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # accepted connections inherit it
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def _explain(address: Address, key: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"{key}: {address} is taken by another program; stop it, or choose another port"
    if error.errno == errno.EACCES:
        return f"{key}: not allowed to listen at {address}; ports below 1024 need a privilege, choose a higher one"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{key}: {address.host} is not an address of this machine"
    return f"{key}: cannot listen at {address}: {error.strerror}"
