"""The start of a child process: a small JSON in one environment variable and inherited descriptors.

The settings travel through an inherited file without a name: neither environment nor command line carries them
(they may hold secrets), and a worker starts even while control is down.
"""

import os
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import TypeVar

import msgspec

VARIABLE = "STRANGLER_START"
SUCCESSION_VARIABLE = "STRANGLER_SUCCESSION"


@dataclass(frozen=True, slots=True)
class EnvoyChoice:
    """The Envoy that the options of `strangler serve` name."""

    binary: str = ""  # its path; empty: there is none
    files: str = ""  # the folder of one that somebody else runs; empty: it is run here


@dataclass(frozen=True, slots=True)
class EngineStart:
    """The start of the process that runs Envoy, beyond that of a worker."""

    binary: str  # the path of Envoy; empty: none is run
    folder: str  # the state folder
    mirrors_at: str  # the path of the unix socket that mirrored requests go to
    files: str = ""  # the folder of an Envoy that somebody else runs; empty: it is run here
    is_standby: bool = False  # the supervisor does not serve yet: what cannot begin ends at once, and says why


@dataclass(frozen=True, slots=True)
class WorkerStart:
    """The start of one worker process. `instance` is never used for another process."""

    index: int  # 0 to workers - 1; a worker that replaces a dead one takes over its index
    instance: str
    listen_fds: tuple[int, ...]  # bound and listening, shared by all workers
    addresses: tuple[str, ...]  # of each of them, as routes.yaml writes it; with Envoy, of what it listens at
    link_path: str  # control's local socket; always listening while the supervisor lives
    settings_fd: int
    generation: int
    killed: bool  # the state of the kill switch when the process was started
    lifeline_fd: int  # reads end-of-file when the whole proxy ends, or the supervisor is gone for any reason
    counts_fd: int  # the page where each worker publishes its number of connections: `strangler.sockets.accept`
    leaving_fd: int  # a pipe to the supervisor: a worker that begins to drain writes its instance, in a line
    killed_routes: tuple[str, ...] = ()  # those that the kill switch was on for by themselves then
    engine: EngineStart | None = None  # for the process that runs Envoy in place of all workers

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> "WorkerStart":
        """Read the start from the environment. Raises StartError if no supervisor started this process."""
        return _read(cls, environ)

    def settings(self) -> bytes:
        """Return the encoded settings of `generation`, for `strangler.ipc.messages.decode_settings`."""
        return read_file(self.settings_fd)


@dataclass(frozen=True, slots=True)
class ControlStart:
    """The start of the control process."""

    run: str  # the id of this supervisor's run: names of worker instances begin with it
    config: str  # path of routes.yaml
    folder: str  # the state folder, held by the supervisor
    settings_fd: int  # the last good settings
    first_settings_fd: int  # the settings that the supervisor began with: sockets and state folder follow them
    generation: int
    listen: str  # where the proxy really listens: `127.0.0.1:8080`
    admin_fds: tuple[int, ...]
    link_fd: int  # a listening local socket
    supervisor_fd: int  # one end of a socket pair; end-of-file: the supervisor is gone
    former_link_fd: int | None = None  # `link_fd` of the supervisor before this one, whose workers drain
    receiver_fds: tuple[int, ...] = ()
    receives_at: str = ""  # where the receiver really listens; empty: there is none
    mirror_fd: int | None = None  # a listening local socket, where Envoy sends mirrored requests; None: no Envoy runs
    mirrors_at: str = ""  # its path
    envoy_binary: str = ""  # the path of Envoy, which validates settings; empty: there is none

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> "ControlStart":
        """Read the start from the environment. Raises StartError if no supervisor started this process."""
        return _read(cls, environ)


@dataclass(frozen=True, slots=True)
class ListenerGroup:
    """The listening sockets of one key of routes.yaml, as one program leaves them to the next."""

    key: str  # `listen`, `admin.listen` or `receiver.listen`; empty: the service manager did not name it
    address: str  # as in routes.yaml: `localhost:8080`
    fds: tuple[int, ...]
    is_activated: bool = False  # the service manager made them, and keeps them open


@dataclass(frozen=True, slots=True)
class SupervisorStart:
    """The start of a supervisor that follows one which still serves. Programs of other versions read it, too: fields
    that are added later have a default."""

    run: str
    term: int  # the number of this supervisor in its run: 2 is the first successor
    generation: int
    version: str
    folder: str
    lock_fd: int  # the lock of `folder`: every process that has it open holds it
    listeners: tuple[ListenerGroup, ...]
    link_fd: int  # the predecessor's socket, where its workers go on to report
    channel_fd: int  # one end of a socket pair; the predecessor has the other
    stderr_fd: int  # standard error once this one serves; until then errors go to a file, for the case of a failure
    origin_fd: int | None = None  # to the process that the service manager knows, if that one stays

    @classmethod
    def from_environ(cls, environ: MutableMapping[str, str] = os.environ) -> "SupervisorStart | None":
        """Take the start out of the environment; None if there is no predecessor. Raises StartError."""
        text = environ.pop(SUCCESSION_VARIABLE, None)
        if text is None:
            return None
        try:
            start = msgspec.json.decode(text, type=cls)
        except msgspec.DecodeError as error:
            raise StartError(f"{SUCCESSION_VARIABLE} cannot be read: {error}; stop the proxy and start it") from error
        for descriptor in start.fds:
            os.set_inheritable(descriptor, False)
        return start

    @property
    def fds(self) -> tuple[int, ...]:
        """All inherited descriptors."""
        own = (self.lock_fd, self.link_fd, self.channel_fd, self.stderr_fd)
        origin = () if self.origin_fd is None else (self.origin_fd,)
        return (*own, *origin, *(fd for group in self.listeners for fd in group.fds))

    def to_environ(self) -> dict[str, str]:
        return {SUCCESSION_VARIABLE: msgspec.json.encode(self).decode()}


class StartError(Exception):
    """The process was started by hand, or by a supervisor of another version."""


def to_environ(start: WorkerStart | ControlStart) -> dict[str, str]:
    """Return the environment variable that a child reads its start from."""
    return {VARIABLE: msgspec.json.encode(start).decode()}


def read_file(descriptor: int) -> bytes:
    """Return the file's whole content, whatever its offset, which several processes share."""
    size = os.fstat(descriptor).st_size
    chunks: list[bytes] = []
    while size:
        chunk = os.pread(descriptor, size, sum(map(len, chunks)))
        if not chunk:
            raise StartError(f"file descriptor {descriptor} ends {size} bytes early")
        chunks.append(chunk)
        size -= len(chunk)
    return b"".join(chunks)


_Start = TypeVar("_Start", WorkerStart, ControlStart)


def _read(kind: type[_Start], environ: Mapping[str, str]) -> _Start:
    text = environ.get(VARIABLE)
    if text is None:
        raise StartError(f"{VARIABLE} is not set: this program is started by `strangler serve`, not by hand")
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError as error:
        raise StartError(f"{VARIABLE} cannot be read: {error}; is the supervisor of another version?") from error
