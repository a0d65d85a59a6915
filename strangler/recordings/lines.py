"""The lines of a recording's file: decompressed as they come, in constant memory, over damaged places."""

import sys
from collections.abc import Iterator
from enum import StrEnum
from typing import IO, Final, TypeAlias

from strangler.imports.source_bytes import CHUNK_BYTES, ZSTD_WINDOW_LOG, BrokenError, gunzip
from strangler.recordings.recorded import MAX_LINE_BYTES

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_GZIP_MAGIC: Final = b"\x1f\x8b"


class BadReason(StrEnum):
    """Why a line gave no pair."""

    NOT_JSON = "not JSON"
    NOT_A_PAIR = "not a pair of request and response"
    TOO_LONG = f"longer than {MAX_LINE_BYTES >> 20} MiB"
    CUT = "cut off before its end"
    DAMAGED = "in a damaged part of the compressed file, of which the rest is lost"


Piece: TypeAlias = "bytes | BadReason"


def plain_pieces(file: IO[bytes]) -> Iterator[Piece]:
    """Yield the decompressed bytes of a file in pieces; CUT or DAMAGED where some of them are lost. Raises OSError."""
    head = file.read(CHUNK_BYTES)
    while 0 < len(head) < len(_ZSTD_MAGIC) and (more := file.read(CHUNK_BYTES)):
        head += more
    raw = _chained(head, file)
    if head.startswith(_ZSTD_MAGIC):
        return _unzstd(raw)
    return _gunzip(raw) if head.startswith(_GZIP_MAGIC) else raw


def _chained(head: bytes, file: IO[bytes]) -> Iterator[bytes]:
    piece = head
    while piece:
        yield piece
        piece = file.read(CHUNK_BYTES)


def _unzstd(raw: Iterator[bytes]) -> Iterator[Piece]:
    """Undo zstd, frame by frame (RFC 8878 section 3); behind a damaged frame it goes on with the next."""
    options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: ZSTD_WINDOW_LOG}
    stream, is_begun, is_lost = zstd.ZstdDecompressor(options=options), False, False
    given = b""  # what the stream was given last: in a damaged part, the next frame is looked for in it
    is_start = False  # a frame begins with `given`
    for chunk in raw:
        data = given + chunk if is_lost and not is_begun else chunk
        while data or (is_begun and not stream.needs_input):
            if is_lost and not is_begun:
                start = data.find(_ZSTD_MAGIC)
                if start < 0:
                    given = data[1 - len(_ZSTD_MAGIC) :]
                    break
                data = data[start:]
            if data:
                given, is_start = data, not is_begun
            try:
                piece = stream.decompress(data, CHUNK_BYTES)
            except zstd.ZstdError:
                if not is_lost:
                    yield BadReason.DAMAGED
                data, given, is_lost, is_begun = given[is_start:], b"", True, False
                stream = zstd.ZstdDecompressor(options=options)
                continue
            data, is_begun = b"", True
            if piece:
                is_lost = False
                yield piece
            if stream.eof:
                data, is_begun = stream.unused_data, False
                stream = zstd.ZstdDecompressor(options=options)
    if is_begun and not is_lost:
        yield BadReason.CUT


def _gunzip(raw: Iterator[bytes]) -> Iterator[Piece]:
    """Undo gzip; behind a damaged place nothing can be found again."""
    try:
        yield from gunzip(raw)
    except BrokenError as error:
        yield BadReason.CUT if error.is_cut else BadReason.DAMAGED


def numbered_lines(pieces: Iterator[Piece]) -> Iterator[tuple[int, Piece]]:
    """Yield each line with its number from 1, without its line break, or the reason why it is lost.

    A line beyond MAX_LINE_BYTES is passed over in constant memory. A last line without a line break is yielded as CUT
    if the file ended too early, else as it is.
    """
    waiting: list[bytes] = []
    number, size = 1, 0
    for piece in pieces:
        if isinstance(piece, BadReason):
            yield number, piece
            number, size = number + 1, 0
            waiting.clear()
            continue
        *ended, rest = piece.split(b"\n")
        for line in ended:
            size += len(line)
            waiting.append(line)
            yield number, BadReason.TOO_LONG if size > MAX_LINE_BYTES else b"".join(waiting)
            number, size = number + 1, 0
            waiting.clear()
        size += len(rest)
        if size > MAX_LINE_BYTES:
            waiting.clear()
        elif rest:
            waiting.append(rest)
    if size:
        yield number, BadReason.TOO_LONG if size > MAX_LINE_BYTES else b"".join(waiting)
