"""Undoing content codings (RFC 9110 section 8.4), for the comparison only and never beyond a limit."""

import sys
import zlib
from collections.abc import Callable

import brotli

from strangler.core.compare.model.media import is_charset
from strangler.core.compare.model.values import Reason

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAX_DECODED_BYTES = 16 * 1024 * 1024
_MAX_CODINGS = 4
"""More than any server stacks: each coding multiplies what a few bytes can cost."""
_ZSTD_WINDOW_LOG = 23
"""8 MiB, the largest window that a zstd response may require (RFC 9659)."""


class _BrokenError(Exception):
    """The bytes are not what their coding says."""


class _BombError(Exception):
    """The decoded bytes exceed the limit."""


def undo_codings(body: bytes, content_encoding: list[bytes], limit: int = MAX_DECODED_BYTES) -> bytes | Reason:
    """Return the body before coding, or the reason: `too_large` beyond `limit` bytes, `decode` if a coding is broken or
    unknown, or if there are too many. An empty body (HEAD, 304) stays empty, and names that are no coding are skipped.
    """
    names = [name.strip(b" \t\"'").lower() for value in content_encoding for name in value.split(b",")]
    names = [name for name in names if name and not _is_none(name)]
    if not body:
        return body
    if len(names) > _MAX_CODINGS or any(name not in _CODINGS for name in names):
        return Reason.DECODE
    try:
        for name in reversed(names):
            body = _CODINGS[name](body, limit)
    except _BombError:
        return Reason.TOO_LARGE
    except _BrokenError:
        return Reason.DECODE
    return body if len(body) <= limit else Reason.TOO_LARGE


_NO_CODINGS = frozenset(
    b"identity none null no off false plain text raw binary 7bit 8bit chunked default uncompressed unencoded".split()
)
"""Names that servers write where there is no coding: transfer encodings of e-mail, and words for none."""


def _is_none(name: bytes) -> bool:
    """Return True for a name that is no content coding, above all charsets and media types."""
    if name in _NO_CODINGS or b"/" in name:
        return True
    try:
        return name not in _CODINGS and is_charset(name.decode("ascii").removeprefix("charset="))
    except UnicodeDecodeError:
        return False


def _gzip(body: bytes, limit: int) -> bytes:
    """Undo gzip, member by member (RFC 1952 section 2.2); zeros after them are ignored, as gzip does."""
    parts: list[bytes] = []
    while body.strip(b"\0") or not parts:
        part, body = _inflated(body, limit, zlib.MAX_WBITS | 16)
        parts.append(part)
        limit -= len(part)
    return b"".join(parts)


def _deflate(body: bytes, limit: int) -> bytes:
    """Undo deflate: zlib data (RFC 9110 section 8.4.1.2), or the bare deflate data that some servers send."""
    is_zlib = len(body) > 1 and body[0] & 15 == 8 and (body[0] << 8 | body[1]) % 31 == 0
    decoded, rest = _inflated(body, limit, zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS)
    if rest:
        raise _BrokenError
    return decoded


def _inflated(body: bytes, limit: int, window_bits: int) -> tuple[bytes, bytes]:
    """Return the decoded bytes of one stream, and what follows it."""
    stream = zlib.decompressobj(window_bits)
    try:
        decoded = stream.decompress(body, limit + 1)
    except zlib.error as error:
        raise _BrokenError from error
    if len(decoded) > limit:
        raise _BombError
    if not stream.eof:
        raise _BrokenError
    return decoded, stream.unused_data


def _brotli(body: bytes, limit: int) -> bytes:
    stream = brotli.Decompressor()
    try:
        decoded: bytes = stream.process(body, output_buffer_limit=limit + 1)
    except brotli.error as error:
        raise _BrokenError from error
    if len(decoded) > limit:
        raise _BombError
    if not stream.is_finished():
        raise _BrokenError
    return decoded


def _zstd(body: bytes, limit: int) -> bytes:
    """Undo zstd, frame by frame (RFC 8878 section 3)."""
    parts: list[bytes] = []
    while body:
        stream = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG})
        try:
            part = stream.decompress(body, limit + 1)
        except zstd.ZstdError as error:
            raise _BrokenError from error
        limit -= len(part)
        if limit < 0:
            raise _BombError
        if not stream.eof:
            raise _BrokenError
        parts.append(part)
        body = stream.unused_data
    return b"".join(parts)


_CODINGS: dict[bytes, Callable[[bytes, int], bytes]] = {
    b"gzip": _gzip,
    b"x-gzip": _gzip,
    b"deflate": _deflate,
    b"br": _brotli,
    b"zstd": _zstd,
}
