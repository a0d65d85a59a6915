"""Writing a recording: into `PATH.part`, which becomes PATH when it is whole, readable by its owner only."""

import errno
import fcntl
import os
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

import msgspec

from strangler.recordings.recorded import MAX_LINE_BYTES, Header, RecordedPair
from strangler.recordings.recording_reader import RecordingError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

FRAME_BYTES: Final = 4 * 1024 * 1024
"""The text after which a new zstd frame begins: a file that is cut loses no more."""
_MODE: Final = 0o600
_MANY_BYTES: Final = 256 * 1024
_OPTIONS: Final[dict[int, int]] = {
    zstd.CompressionParameter.compression_level: 3,
    zstd.CompressionParameter.checksum_flag: 1,
}


class RecordingWriter:
    """A recording that is written. `with` renames it at the end, or removes it if an error ended it."""

    def __init__(self, path: Path, header: Header, *, force: bool = False, keeps: bool = False) -> None:
        """Make `PATH.part`, and write the header. `force` replaces a file. `keeps`: whatever ends it, the pairs that
        are whole stay, since they cannot be recorded again. Raises RecordingError."""
        self._path = path
        self._part = path.with_name(path.name + ".part")
        self._force = force
        self._keeps = keeps
        self._pairs = self._whole_pairs = 0
        self._whole_bytes = self._written_bytes = 0
        self._encoder = msgspec.json.Encoder()
        self._stream = zstd.ZstdCompressor(options=_OPTIONS)
        self._lines: list[bytes] = []
        self._waiting_bytes = self._frame_bytes = 0
        if not force and os.path.lexists(path):
            raise self._exists()
        self._descriptor = self._opened()
        self._write_line(self._encoder.encode(header), ends_frame=True)

    def write(self, pair: RecordedPair) -> bool:
        """Write a pair; return False if its line would be longer than a reader takes. Raises RecordingError."""
        line = self._encoder.encode(pair)
        if len(line) > MAX_LINE_BYTES:
            return False
        self._pairs += 1
        self._write_line(line)
        return True

    def end_frame(self) -> None:
        """Write what is left as a frame of its own: so much is readable whatever comes. Raises RecordingError."""
        if self._frame_bytes:
            self._flush(zstd.ZstdCompressor.FLUSH_FRAME)

    def close(self) -> None:
        """Write what is left and give the file its name. Raises RecordingError; no file of that name is left then."""
        self._flush(zstd.ZstdCompressor.FLUSH_FRAME)
        try:
            os.fsync(self._descriptor)
            self._give_name()
        except OSError as error:
            raise self._given_up(error) from error
        os.close(self._descriptor)
        self._descriptor = -1

    def discard(self) -> None:
        """Remove what was written."""
        if self._descriptor < 0:
            return
        with suppress(OSError):
            self._part.unlink()
        os.close(self._descriptor)
        self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and not self._keeps:
            self.discard()
        elif self._descriptor >= 0:
            self.close()

    def _write_line(self, line: bytes, *, ends_frame: bool = False) -> None:
        """Take a line. The header is a frame of its own: a file that is cut later is still a recording."""
        self._lines += (line, b"\n")
        self._waiting_bytes += len(line) + 1
        self._frame_bytes += len(line) + 1
        is_full = ends_frame or self._frame_bytes >= FRAME_BYTES
        if not is_full and self._waiting_bytes < _MANY_BYTES:
            return
        self._flush(zstd.ZstdCompressor.FLUSH_FRAME if is_full else zstd.ZstdCompressor.FLUSH_BLOCK)

    def _flush(self, mode: Literal[0, 1, 2]) -> None:
        try:
            self._compress(mode)
        except OSError as error:
            raise self._given_up(error) from error

    def _given_up(self, error: OSError) -> RecordingError:
        """End the file, and return why: it is removed, or keeps its whole frames where that is wanted."""
        if not self._keeps or not self._whole_pairs:
            self.discard()
            return self._failure(error)
        kept = self._path
        try:
            os.ftruncate(self._descriptor, self._whole_bytes)
            self._give_name()
        except OSError:
            kept = self._part
        os.close(self._descriptor)
        self._descriptor = -1
        why = "there is such a file by now" if error.errno == errno.EEXIST else error.strerror or error
        pairs = f"pairs 1 to {self._whole_pairs:,} of {self._pairs:,} are in {kept}"
        return RecordingError(f"{self._path} cannot be written: {why}; {pairs}")

    def _compress(self, mode: Literal[0, 1, 2]) -> None:
        data = self._stream.compress(b"".join(self._lines), mode)
        self._lines.clear()
        self._waiting_bytes = 0
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        self._written_bytes += len(data)
        if mode == zstd.ZstdCompressor.FLUSH_FRAME:
            self._frame_bytes = 0
            self._whole_bytes, self._whole_pairs = self._written_bytes, self._pairs

    def _opened(self) -> int:
        """Open `PATH.part`, and empty one that a killed process left. Raises RecordingError."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(self._part, flags, _MODE)
        except OSError as error:
            raise self._failure(error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(descriptor), os.lstat(self._part)):
                raise BlockingIOError(errno.EAGAIN, "taken")
            os.fchmod(descriptor, _MODE)
            os.ftruncate(descriptor, 0)
        except (BlockingIOError, FileNotFoundError) as error:
            os.close(descriptor)
            raise RecordingError(f"{self._path} is being written by another process") from error
        except OSError as error:
            os.close(descriptor)
            raise self._failure(error) from error
        return descriptor

    def _give_name(self) -> None:
        """Give the file its name; without `force` only if there is none of that name now. Raises OSError."""
        if self._force:
            self._part.replace(self._path)
            return
        try:
            os.link(self._part, self._path)
        except OSError as error:
            if error.errno == errno.EEXIST or os.path.lexists(self._path):
                raise
            self._part.replace(self._path)  # a file system without links
            return
        self._part.unlink()

    def _exists(self) -> RecordingError:
        return RecordingError(f"{self._path} exists: name another file, or replace it with --force")

    def _failure(self, error: OSError) -> RecordingError:
        if error.errno == errno.EEXIST:
            return self._exists()
        return RecordingError(f"{self._path} cannot be written: {error.strerror or error}; nothing was kept of it")
