"""Listening sockets: made once by the supervisor and inherited by the workers, so that no connection is refused.

A supervisor may get them from its predecessor (`strangler.ipc.start.SupervisorStart`), or from the service manager
(sd_listen_fds(3)).
"""

import errno
import grp
import os
import socket
import stat
import tempfile
from collections.abc import MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from strangler.core.listener_settings import UNIX, Address
from strangler.ipc.start import ListenerGroup

BACKLOG = 4096  # connections that wait while a worker is replaced; the system caps it at net.core.somaxconn
MAX_LOCAL_PATH_BYTES = 100  # sun_path holds 104 bytes on BSD and macOS, 108 on Linux (unix(7)), one of them NUL


class ListenError(Exception):
    """A socket cannot listen; the message names the address, the reason and the way out."""


_FIRST_ACTIVATED_FD = 3  # SD_LISTEN_FDS_START
_KEYS_BY_NAME = {"listen": "listen", "admin": "admin.listen", "receiver": "receiver.listen"}


def activated(environ: MutableMapping[str, str] = os.environ) -> tuple[ListenerGroup, ...]:
    """Return the sockets that the service manager passes to this process, and take them out of the environment.

    A socket named `listen`, `admin` or `receiver` (FileDescriptorName=) is for that key of routes.yaml, whatever its
    address there; any other is found by its address. Raises ListenError for what is no listening TCP socket.
    """
    pid, count, names = (environ.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"))
    if pid != str(os.getpid()) or not count.isdecimal():
        return ()
    by_key: dict[str, list[int]] = {}
    for offset in range(int(count)):
        name = [*names.split(":"), *[""] * int(count)][offset]
        by_key.setdefault(_KEYS_BY_NAME.get(name, ""), []).append(_checked(_FIRST_ACTIVATED_FD + offset))
    return tuple(ListenerGroup(key, "", tuple(fds), is_activated=True) for key, fds in by_key.items())


def _checked(descriptor: int) -> int:
    way_out = "in the socket unit write ListenStream= with an address and a port, and Accept=no"
    try:
        os.set_inheritable(descriptor, False)
        with socket.socket(fileno=os.dup(descriptor)) as listener:
            is_tcp = listener.family in (socket.AF_INET, socket.AF_INET6) and listener.type == socket.SOCK_STREAM
            if not is_tcp or not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                raise ListenError(f"LISTEN_FDS: descriptor {descriptor} is no listening TCP socket; {way_out}")
    except OSError as error:
        raise ListenError(f"LISTEN_FDS: descriptor {descriptor} is no socket: {error.strerror}; {way_out}") from error
    return descriptor


@dataclass(slots=True)
class InheritedState:
    """The listening sockets that this process inherits, and which of them have been taken so far."""

    groups: Sequence[ListenerGroup] = ()
    _taken: set[int] = field(default_factory=set)

    def take_key(self, key: str, address: Address) -> list[socket.socket]:
        """Take the sockets of a key that were for this address, or else those for which the service manager chooses
        the address. Each is taken once: a key may have several listeners."""
        own = [group for group in self.groups if group.key == key and group.address == str(address)]
        activated = [group for group in self.groups if group.key == key and group.is_activated]
        return self._take_all(own) or ([] if address.unix_path is not None else self._take_all(activated))

    def take_at(self, host: str, port: int) -> socket.socket | None:
        """Take the socket that listens at exactly this address, whatever its key was."""
        for group in self.groups:
            for descriptor in group.fds:
                if descriptor not in self._taken and _address_of(descriptor) == Address(host, port):
                    return self._take(descriptor)
        return None

    def has_activated(self, sockets: Sequence[socket.socket]) -> bool:
        """Return whether the service manager made any of these sockets, and keeps it open."""
        activated = {descriptor for group in self.groups if group.is_activated for descriptor in group.fds}
        return any(listener.fileno() in activated for listener in sockets)

    def close_rest(self) -> tuple[int, ...]:
        """Close the sockets not taken; return their descriptors. Raises ListenError for the service manager's."""
        rest = [(group, fd) for group in self.groups for fd in group.fds if fd not in self._taken]
        for group, descriptor in rest:
            if group.is_activated:
                raise ListenError(
                    f"LISTEN_FDS: nothing in routes.yaml listens at {_address_of(descriptor)};"
                    " write it there, or FileDescriptorName=listen (or admin, receiver) into the socket unit"
                )
            os.close(descriptor)
        return tuple(descriptor for _, descriptor in rest)

    def _take_all(self, groups: Sequence[ListenerGroup]) -> list[socket.socket]:
        descriptors = [descriptor for group in groups for descriptor in group.fds if descriptor not in self._taken]
        return list(map(self._take, descriptors))

    def _take(self, descriptor: int) -> socket.socket:
        self._taken.add(descriptor)
        listener = socket.socket(fileno=descriptor)
        if listener.family != socket.AF_UNIX:  # by default the service manager does not set it
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.setblocking(False)
        return listener


def _address_of(descriptor: int) -> Address:
    with socket.socket(fileno=os.dup(descriptor)) as listener:
        return where(listener)


def listen_at(
    address: Address,
    key: str,
    inherited: InheritedState | None = None,
    *,
    mode: int | None = None,
    group: str | None = None,
) -> list[socket.socket]:
    """One listening socket for each address that the host stands for, all on one port.

    `key` is where routes.yaml says the address, for the message. Port 0: the system chooses, see `where`. What is
    inherited is taken rather than made. `mode` and `group` are those of a unix socket.
    """
    inherited = inherited or InheritedState()
    sockets = inherited.take_key(key, address)
    if sockets:
        return sockets
    if address.unix_path is not None:
        return [listen_at_path(address.unix_path, key, mode, group)]
    refusal: OSError | None = None
    port = address.port
    for family, host in _resolve(address, key):
        try:
            sockets.append(inherited.take_at(host, port) or _listen(family, host, port))
        except OSError as error:
            refusal = error
            if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                continue  # a name may stand for an IPv6 address on a machine without IPv6
            break
        port = sockets[0].getsockname()[1]
    if refusal is not None and (not sockets or refusal.errno == errno.EADDRINUSE):
        close_all(sockets)
        raise ListenError(_explain(address, key, refusal, bool(inherited.groups)))
    return sockets


def bind_briefly(address: Address, key: str, *, is_shared: bool = False) -> None:
    """Bind an address as another program is about to, and give it up again. Raises ListenError if that fails.

    `is_shared`: the other program may share it with those that share it, too (SO_REUSEPORT).
    """
    if address.unix_path is not None:
        _check_free(address.unix_path, key)
        return
    refusal: OSError | None = None
    for family, host in _resolve(address, key):
        try:
            with socket.socket(family, socket.SOCK_STREAM) as tried:
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if is_shared:
                    tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                if family == socket.AF_INET6:
                    tried.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
                tried.bind((host, address.port))
        except OSError as error:
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                raise ListenError(_explain(address, key, error, has_inherited=False)) from error
            refusal = error
        else:
            return
    if refusal is not None:
        raise ListenError(_explain(address, key, refusal, has_inherited=False))


def where(listener: socket.socket) -> Address:
    """The address that it really listens at."""
    if listener.family == socket.AF_UNIX:
        return Address(f"{UNIX}{listener.getsockname()}", 0)
    host, port = listener.getsockname()[:2]
    return Address(host, port)


def listen_at_path(path: str, key: str, mode: int | None, group: str | None) -> socket.socket:
    """Return a unix socket that listens at a path. The file of one that nobody serves is made again; a live socket and
    any other file stay, and raise ListenError."""
    if len(os.fsencode(path)) > MAX_LOCAL_PATH_BYTES:
        raise ListenError(f"{key}: the path {path} is longer than {MAX_LOCAL_PATH_BYTES} bytes; choose a shorter one")
    group_id = -1 if group is None else _group_id(group, key)
    _check_free(path, key)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o777 & ~(0o660 if mode is None else mode))  # it never stands there with other permissions
    try:
        with suppress(FileNotFoundError):
            os.unlink(path)  # of a program that has ended
        listener.bind(path)
        os.chown(path, -1, group_id)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        remove_dead(path)
        way_out = "make the folder, or choose another path" if error.errno == errno.ENOENT else "choose another path"
        raise ListenError(f"{key}: cannot listen at {UNIX}{path}: {error.strerror}; {way_out}") from error
    finally:
        os.umask(before)
    return listener


def remove_dead(path: str) -> None:
    """Remove the file of a unix socket, unless somebody serves it: a successor may."""
    with suppress(OSError):
        if stat.S_ISSOCK(os.lstat(path).st_mode) and not _is_served(path):
            os.unlink(path)


def _check_free(path: str, key: str) -> None:
    try:
        found = os.lstat(path)
    except OSError:
        return  # there is none; what else is wrong shows when it is made
    if not stat.S_ISSOCK(found.st_mode):
        raise ListenError(f"{key}: {path} is there already, and is no socket; choose another path")
    if _is_served(path):
        raise ListenError(f"{key}: {UNIX}{path} is taken by another program; stop it, or choose another path")


def _is_served(path: str) -> bool:
    """Tell whether a program listens at a unix socket. What cannot be asked counts as served, and stays."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(1.0)
        try:
            client.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
    return True


def _group_id(group: str, key: str) -> int:
    if group.isdecimal():
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise ListenError(f"{key}: there is no group '{group}' on this machine") from None


def listen_locally(folder: Path, name: str = "link.sock") -> tuple[socket.socket, Path]:
    """Make the link's listening socket in `folder`, or in a private temporary folder if the path would be too long.

    Only this user can connect: the folder has mode 0700.
    """
    path = folder / name
    if len(os.fsencode(path)) > MAX_LOCAL_PATH_BYTES:
        path = Path(tempfile.mkdtemp(prefix="strangler-")) / name
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
    """Close the sockets and empty the list."""
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
            takes_ipv4 = host == "::"
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not takes_ipv4))
        listener.bind((host, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def _explain(address: Address, key: str, error: OSError, has_inherited: bool) -> str:
    if error.errno == errno.EADDRINUSE and has_inherited:
        return (
            f"{key}: {address} is taken, by another program or by a listener of the running proxy that overlaps with it"
            " (as 0.0.0.0 does with 127.0.0.1); choose another port, or stop the proxy and start it"
        )
    if error.errno == errno.EADDRINUSE:
        return f"{key}: {address} is taken by another program; stop it, or choose another port"
    if error.errno == errno.EACCES:
        return f"{key}: not allowed to listen at {address}; ports below 1024 need a privilege, choose a higher one"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{key}: {address.host} is not an address of this machine"
    return f"{key}: cannot listen at {address}: {error.strerror}"
