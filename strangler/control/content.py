"""The content of routes.yaml at one moment, and whether it looks partly written."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from strangler.config import mounts, pem_files
from strangler.config.include import find_files
from strangler.config.reader import MAX_BYTES
from strangler.control.watching import has_writer

Stamp = tuple[int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class Content:
    """A file's content, and what the system knows about the file."""

    data: bytes | None = field(default=None, repr=False)  # None: there is no file, or it cannot be read
    reason: str = ""  # why it cannot be read
    errno: int = 0  # the number of that error
    file: tuple[int, int] | None = None  # device and inode
    has_writer: bool | None = None  # a process has it open for writing; None: unknown
    is_replaced: bool = False  # it is mounted, and the file outside has been replaced since
    digest: bytes = field(init=False, default=b"")

    def __post_init__(self) -> None:
        if self.data is not None:
            object.__setattr__(self, "digest", hashlib.sha256(self.data).digest())

    @property
    def key(self) -> tuple[bytes, str, bool]:
        """The facts that make it worth loading the settings again when they change."""
        return self.digest, self.reason, self.is_replaced

    @property
    def text(self) -> str:
        """The content as text, with undecodable bytes replaced."""
        return (self.data or b"").decode("utf-8-sig", "replace")


@dataclass(frozen=True, slots=True)
class Contents:
    """The content of routes.yaml, of the files that it includes, and of the certificate files that it names."""

    main: Content = Content()
    included: Mapping[Path, Content] = field(default_factory=dict)
    pem: Mapping[Path, Content] = field(default_factory=dict)

    @property
    def key(self) -> tuple[object, ...]:
        """The facts that make it worth loading the settings again when they change."""
        named = (*self.included.items(), *self.pem.items())
        return self.main.key, *((path, content.key) for path, content in named)

    @property
    def digest(self) -> str:
        """The SHA-256 of routes.yaml; with included files that of the digests of all, routes.yaml first. Nodes whose
        files are in different folders have the same."""
        if not self.included:
            return self.main.digest.hex()
        digests = (self.main.digest, *(self.included[path].digest for path in sorted(self.included)))
        return hashlib.sha256(b"".join(digests)).hexdigest()

    @property
    def has_writer(self) -> bool | None:
        """Whether a process has one of the files open for writing; None if unknown."""
        known = {content.has_writer for content in (self.main, *self.included.values())}
        return True if True in known else None if None in known else False

    @property
    def replaced(self) -> Path | None:
        """The first included file that is mounted and whose file outside has been replaced since."""
        return next((path for path, content in self.included.items() if content.is_replaced), None)


def read_contents(
    path: Path,
    mounted: str | None,
    include: tuple[str, ...],
    pem: tuple[Path, ...] = (),
    *,
    asks_for_writers: bool = True,
) -> Contents:
    """Read routes.yaml, the files that its patterns match, and certificate files."""
    main = read_content(path, mounted, asks_for_writers=asks_for_writers)
    found = find_files(path, include)
    return Contents(
        main,
        {each_path: read_content(each_path, None, asks_for_writers=asks_for_writers) for each_path in found},
        {each_path: _pem_content(each_path) for each_path in pem},
    )


def _pem_content(path: Path) -> Content:
    content = pem_files.read_content(path)
    return _unreadable(content) if isinstance(content, OSError) else Content(content)


def _unreadable(error: OSError) -> Content:
    return Content(reason=error.strerror or str(error), errno=error.errno or 0)


def stamps(path: Path, include: tuple[str, ...]) -> tuple[object, ...]:
    """Return a value that changes when routes.yaml or an included file is replaced, written, added or removed."""
    return tuple((each_path, stamp(each_path)) for each_path in (path, *find_files(path, include)))


def read_content(path: Path, mounted: str | None, *, asks_for_writers: bool = True) -> Content:
    """Read a file. `mounted`: the file that was mounted at its path at first, None if there was none.

    The check for writers can delay one for a moment, so it is not made every time.
    """
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            return Content(
                data=file.read(MAX_BYTES + 1),
                file=(status.st_dev, status.st_ino),
                has_writer=has_writer(file.fileno()) if asks_for_writers else None,
                is_replaced=mounts.is_replaced(status) or (mounted is not None and _has_another(path, mounted)),
            )
    except OSError as error:
        return _unreadable(error)


def _has_another(path: Path, mounted: str) -> bool:
    """Return whether the mounted file has lost its name outside. A folder above it may be renamed freely."""
    now = mounts.mounted_file(path)
    return now is not None and Path(now).name != Path(mounted).name


def stamp(path: Path) -> Stamp | None:
    """Return a value that changes when the file is replaced or written, whatever its date; None if there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size


def is_cut(before: str, after: str) -> bool:
    """Return whether a text may be partly written: it is shorter than before, and ends differently."""
    if len(after) >= len(before):
        return False
    return _last_line(before) != _last_line(after) or (before.endswith("\n") and not after.endswith("\n"))


def _last_line(text: str) -> str:
    return text.rstrip().rpartition("\n")[2]
