"""What a child process is started with: a small JSON in one environment variable and inherited descriptors.

The settings travel through an inherited file without a name: neither environment nor command line carries them
(they may hold secrets), and a worker starts even while control is down.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import msgspec

VARIABLE = "STRANGLER_START"


@dataclass(frozen=True, slots=True)
class WorkerStart:
    """The start of one worker process. `instance` names this process and no other, ever."""

    index: int  # 0 to workers - 1; a worker that replaces a dead one takes over its index
    instance: str
    listen_fds: tuple[int, ...]  # bound and listening, shared by all workers
    link_path: str  # control's local socket; always listening while the supervisor lives
    settings_fd: int
    generation: int
    killed: bool  # the kill switch, as it stood when the process was started
    lifeline_fd: int  # reads end-of-file when the whole proxy ends, and when the supervisor is gone, however that came
    counts_fd: int  # the page where each worker says how many connections it has: `strangler.wire.accept`
    leaving_fd: int  # a pipe to the supervisor: a worker that begins to drain says its instance, in a line

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> "WorkerStart":
        """Raises StartError if this process was not started by a supervisor."""
        return _read(cls, environ)

    def settings(self) -> bytes:
        """The encoded settings of `generation`; for `strangler.wire.messages.decode_settings`."""
        return read_file(self.settings_fd)


@dataclass(frozen=True, slots=True)
class ControlStart:
    """The start of the control process."""

    run: str  # this supervisor's life: names of worker instances begin with it
    config: str  # path of routes.yaml
    folder: str  # the state folder, held by the supervisor
    settings_fd: int  # the last good settings
    first_settings_fd: int  # those the supervisor began with: sockets and state folder follow them
    generation: int
    listen: str  # where the proxy really listens: `127.0.0.1:8080`
    admin_fds: tuple[int, ...]
    link_fd: int  # a listening local socket
    supervisor_fd: int  # one end of a socket pair; end-of-file: the supervisor is gone

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> "ControlStart":
        """Raises StartError if this process was not started by a supervisor."""
        return _read(cls, environ)


class StartError(Exception):
    """The process was started by hand, or by a supervisor of another version."""


def to_environ(start: WorkerStart | ControlStart) -> dict[str, str]:
    """The variable that a child reads its start from."""
    return {VARIABLE: msgspec.json.encode(start).decode()}


def unnamed_file(content: bytes) -> int:
    """A file descriptor of a file that has no name and holds `content`; the caller closes it."""
    descriptor = _open_unnamed()
    write_file(descriptor, content)
    return descriptor


def write_file(descriptor: int, content: bytes) -> None:
    """Append all of it."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def read_file(descriptor: int) -> bytes:
    """All that the file holds, wherever its offset stands: several processes share it."""
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


def _open_unnamed() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("strangler-settings")
    import tempfile

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
