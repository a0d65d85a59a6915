"""The bytes of a file or of standard input: decompressed as they come, hashed, cut into blocks of whole lines."""

import hashlib
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Final

from strangler.imports.values import ImportRefusedError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CHUNK_BYTES: Final = 256 * 1024
MAX_LINE_BYTES: Final = 64 * 1024
ZSTD_WINDOW_LOG: Final = 27
"""128 MiB, what `zstd --long` uses."""

_OTHER_FORMS: Final = (
    (b"BZh", "is compressed with bzip2: `bzip2 -dc {name} | … -` reads it"),
    (b"\xfd7zXZ\0", "is compressed with xz: `xz -dc {name} | … -` reads it"),
    (b"PK\x03\x04", "is a zip archive: unpack it first"),
    (b"\xff\xfe", "is UTF-16: `iconv -f UTF-16 -t UTF-8 {name} | … -` reads it"),
    (b"\xfe\xff", "is UTF-16: `iconv -f UTF-16 -t UTF-8 {name} | … -` reads it"),
)
_BOM: Final = b"\xef\xbb\xbf"


class BrokenError(Exception):
    """The compressed bytes are damaged, or end too early (`is_cut`)."""

    def __init__(self, *, is_cut: bool) -> None:
        self.is_cut = is_cut


class SourceState:
    """A file that is read once, from start to end. `is_cut`: its compressed bytes ended too early."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self.name = name
        self.is_cut = False
        self._hash = hashlib.sha256()
        self._chunks = self._plain(file)

    @property
    def digest(self) -> str:
        """The SHA-256 of what was read so far, after decompression."""
        return self._hash.hexdigest()

    def chunks(self) -> Iterator[bytes]:
        """Yield what is left, in pieces of any length. A byte order mark at the start is left out."""
        return self._chunks

    def _plain(self, file: IO[bytes]) -> Iterator[bytes]:
        head = _head(file, self.name)
        for magic, text in _OTHER_FORMS:
            if head.startswith(magic):
                raise ImportRefusedError(f"{self.name} {text.format(name=self.name)}")
        raw = _chained(head, file, self.name)
        pieces = raw if (unpacked := _unpacking(head)) is None else unpacked(raw)
        is_first = True
        try:
            for piece in pieces:
                self._hash.update(piece)
                yield piece.removeprefix(_BOM) if is_first else piece
                is_first = False
        except BrokenError:
            self.is_cut = True


def _piece(file: IO[bytes], size: int, name: str) -> bytes:
    """Return the next bytes. Raises ImportRefusedError."""
    try:
        return file.read(size)
    except OSError as error:
        raise ImportRefusedError(f"{name} cannot be read: {error.strerror or error}") from error


def _head(file: IO[bytes], name: str) -> bytes:
    """Return the first bytes, as many as are needed to recognise a form; a pipe may give fewer at once."""
    head = b""
    while len(head) < CHUNK_BYTES and (piece := _piece(file, CHUNK_BYTES - len(head), name)):
        head += piece
    return head


def _chained(head: bytes, file: IO[bytes], name: str) -> Iterator[bytes]:
    if head:
        yield head
    while piece := _piece(file, CHUNK_BYTES, name):
        yield piece


def _unpacking(head: bytes) -> Callable[[Iterator[bytes]], Iterator[bytes]] | None:
    if head.startswith(b"\x1f\x8b"):
        return gunzip
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        return _unzstd
    return None


def gunzip(raw: Iterator[bytes]) -> Iterator[bytes]:
    """Undo gzip, member by member (RFC 1952 section 2.2); zeros behind the last member are padding.

    Raises BrokenError, after all that could be read.
    """
    stream = zlib.decompressobj(31)
    is_begun = False
    for chunk in raw:
        data, is_full = chunk if is_begun else chunk.lstrip(b"\0"), False
        while data or is_full:
            is_begun = True
            try:
                piece = stream.decompress(data, CHUNK_BYTES)
            except zlib.error as error:
                raise BrokenError(is_cut=False) from error
            if piece:
                yield piece
            data, is_full = stream.unconsumed_tail, len(piece) == CHUNK_BYTES
            if stream.eof:
                data, is_full = stream.unused_data.lstrip(b"\0"), False
                stream, is_begun = zlib.decompressobj(31), False
    if is_begun:
        raise BrokenError(is_cut=True)


def _unzstd(raw: Iterator[bytes]) -> Iterator[bytes]:
    """Undo zstd, frame by frame (RFC 8878 section 3)."""
    options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: ZSTD_WINDOW_LOG}
    stream = zstd.ZstdDecompressor(options=options)
    is_begun = False
    for chunk in raw:
        data = chunk
        while data or (is_begun and not stream.needs_input):
            is_begun = True
            try:
                piece = stream.decompress(data, CHUNK_BYTES)
            except zstd.ZstdError as error:
                raise BrokenError(is_cut=False) from error
            data = b""
            if piece:
                yield piece
            if stream.eof:
                data, stream, is_begun = stream.unused_data, zstd.ZstdDecompressor(options=options), False
    if is_begun:
        raise BrokenError(is_cut=True)


def blocks(chunks: Iterator[bytes]) -> Iterator[tuple[list[bytes], bool]]:
    """Yield lists of lines, and whether the last one ended without a line break (the end of the file).

    A line of more than MAX_LINE_BYTES is cut to one byte more, which says that it was too long.
    """
    rest = b""
    for chunk in chunks:
        lines = (rest + chunk).split(b"\n") if len(rest) <= MAX_LINE_BYTES else _continued(rest, chunk)
        rest = lines.pop()[: MAX_LINE_BYTES + 1]
        if lines:
            yield lines, False
    if rest:
        yield [rest], True


def _continued(rest: bytes, chunk: bytes) -> list[bytes]:
    """Return the lines of a chunk whose first one goes on with a line that is too long already."""
    _, found, after = chunk.partition(b"\n")
    return [rest, *after.split(b"\n")] if found else [rest]
