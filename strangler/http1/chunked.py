# Compiled with mypyc: see docs/hot-path.md.
"""The chunked transfer coding (RFC 9112 section 7.1), strict: what is not exactly right is an error, never a guess."""

import re

from strangler.core.http.headers import passing_trailers

_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?")
_TRAILER = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
_MAX_SIZE_LINE = 1024
_MAX_TRAILERS = 16 * 1024

_SIZE, _DATA, _DATA_END, _TRAILERS, _DONE = range(5)


class ChunkedError(ValueError):
    """The bytes are not a chunked body."""


class ChunkedDecoder:
    """Takes a chunked body apart as it arrives. Chunk data is counted, not parsed byte by byte."""

    __slots__ = ("_line", "_remaining", "_state", "_trailer_bytes", "trailers")

    def __init__(self) -> None:
        self._state = _SIZE
        self._remaining = 0
        self._line = b""
        self._trailer_bytes = 0
        self.trailers: list[tuple[bytes, bytes]] = []

    @property
    def is_done(self) -> bool:
        return self._state == _DONE

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Return the payload found in `data`, and the bytes behind the body's end (empty until it `is_done`).

        Raises ChunkedError where the coding is broken.
        """
        pieces: list[bytes] = []
        at = 0
        end = len(data)
        while at < end:
            if self._state == _DATA:
                piece = data[at : at + self._remaining]
                pieces.append(piece)
                at += len(piece)
                self._remaining -= len(piece)
                if not self._remaining:
                    self._state = _DATA_END
                continue
            if self._state == _DONE:
                break
            line, at = self._take_line(data, at)
            if line is not None:
                self._read_line(line)
        payload = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return payload, data[at:] if at < end else b""

    def _take_line(self, data: bytes, at: int) -> tuple[bytes | None, int]:
        """Return the line that ends in `data`, or None if none does yet, without CRLF; and where the next begins."""
        newline = data.find(b"\n", at)
        stop = len(data) if newline < 0 else newline + 1
        line = self._line + data[at:stop]
        if (len(line) > _MAX_SIZE_LINE and self._state != _TRAILERS) or len(line) > _MAX_TRAILERS:
            raise ChunkedError("a line is too long")
        if newline < 0:
            if self._state == _DATA_END and line not in (b"", b"\r"):
                raise ChunkedError("a chunk is longer than its size")
            self._line = line
            return None, stop
        self._line = b""
        if not line.endswith(b"\r\n"):
            raise ChunkedError("a line does not end in CRLF")
        return line[:-2], stop

    def _read_line(self, line: bytes) -> None:
        if self._state == _DATA_END:
            if line:
                raise ChunkedError("a chunk is longer than its size")
            self._state = _SIZE
        elif self._state == _SIZE:
            self._read_size(line)
        elif line:
            self._read_trailer(line)
        else:
            self._state = _DONE

    def _read_size(self, line: bytes) -> None:
        match = _SIZE_LINE.fullmatch(line)
        if match is None:
            raise ChunkedError("not a chunk size")
        self._remaining = int(match[1], 16)
        self._state = _DATA if self._remaining else _TRAILERS

    def _read_trailer(self, line: bytes) -> None:
        self._trailer_bytes += len(line)
        match = _TRAILER.fullmatch(line)
        if match is None or self._trailer_bytes > _MAX_TRAILERS:
            raise ChunkedError("not a trailer field")
        self.trailers.append((match[1], match[2].rstrip(b" \t")))


def chunk(data: bytes) -> tuple[bytes, bytes, bytes]:
    """Return one chunk, ready for `writelines`. Empty data would end the body: the caller must not pass it."""
    return b"%x\r\n" % len(data), data, b"\r\n"


def last_chunk(trailers: list[tuple[bytes, bytes]]) -> bytes:
    """Return the end of a chunked body, with those of its trailer fields that may be passed on."""
    if not trailers:
        return b"0\r\n\r\n"
    return b"0\r\n" + b"".join(b"%b: %b\r\n" % field for field in passing_trailers(trailers)) + b"\r\n"
