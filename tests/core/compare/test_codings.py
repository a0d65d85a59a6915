"""Content codings are undone on both sides, within a limit."""

import gzip
import zlib

import brotli
import pytest
from backports import zstd

from strangler.core.compare import Outcome, Reason, Response
from strangler.core.compare.codings import MAX_DECODED_BYTES, undo_codings
from tests.core.compare.responses import compared, response

PLAIN = b'{"a": [1, 2, 3]}' * 3


def raw_deflate(data: bytes) -> bytes:
    return zlib.compress(data, wbits=-15)


CODED = {
    "gzip": (gzip.compress(PLAIN), b"gzip"),
    "gzip, upper case": (gzip.compress(PLAIN), b"GZIP"),
    "x-gzip": (gzip.compress(PLAIN), b"x-gzip"),
    "gzip of two members": (gzip.compress(PLAIN[:5]) + gzip.compress(PLAIN[5:]), b"gzip"),
    "gzip with padding": (gzip.compress(PLAIN) + b"\0\0\0", b"gzip"),
    "deflate": (zlib.compress(PLAIN), b"deflate"),
    "deflate without its wrapper": (raw_deflate(PLAIN), b"deflate"),
    "br": (brotli.compress(PLAIN), b"br"),
    "zstd": (zstd.compress(PLAIN), b"zstd"),
    "zstd of two frames": (zstd.compress(PLAIN[:5]) + zstd.compress(PLAIN[5:]), b"zstd"),
    "identity": (PLAIN, b"identity"),
    "a charset": (PLAIN, b"utf-8"),
    "a charset, quoted and spelt out": (PLAIN, b'"charset=UTF-8"'),
    "another charset": (PLAIN, b"ISO-8859-1"),
    "none": (PLAIN, b"none"),
    "binary": (PLAIN, b"Binary"),
    "7bit": (PLAIN, b"7bit"),
    "8bit": (PLAIN, b" 8bit "),
    "a framing": (PLAIN, b"chunked"),
    "a media type": (PLAIN, b"application/json"),
    "nothing": (PLAIN, b""),
    "a charset beside a coding": (gzip.compress(PLAIN), b"utf-8, gzip"),
    "many that are none": (PLAIN, b"none, utf-8, binary, identity, 8bit, none"),
    "stacked": (brotli.compress(gzip.compress(PLAIN)), b"gzip, br"),
    "empty list members": (gzip.compress(PLAIN), b", gzip,"),
}


@pytest.mark.parametrize(("body", "coding"), CODED.values(), ids=CODED)
def test_coding_is_undone(body: bytes, coding: bytes) -> None:
    assert undo_codings(body, [coding]) == PLAIN


def test_codings_of_repeated_fields_are_one_list() -> None:
    assert undo_codings(brotli.compress(gzip.compress(PLAIN)), [b"gzip", b"br"]) == PLAIN


BROKEN = {
    "not gzip": (PLAIN, b"gzip"),
    "gzip cut short": (gzip.compress(PLAIN)[:-1], b"gzip"),
    "gzip with a wrong sum": (gzip.compress(PLAIN)[:-8] + b"\0" * 8, b"gzip"),
    "gzip with rubbish behind": (gzip.compress(PLAIN) + b"rubbish", b"gzip"),
    "not deflate": (b"\xff\xff\xff", b"deflate"),
    "deflate cut short": (zlib.compress(PLAIN)[:-1], b"deflate"),
    "not br": (b"\xff" * 50, b"br"),
    "br cut short": (brotli.compress(PLAIN)[:-1], b"br"),
    "not zstd": (PLAIN, b"zstd"),
    "zstd cut short": (zstd.compress(PLAIN)[:-1], b"zstd"),
    "unknown coding": (PLAIN, b"compress"),
    "a coding with a dictionary": (PLAIN, b"dcz"),
    "a codec of Python that is no charset": (PLAIN, b"bz2"),
    "a name that is none": (PLAIN, b"x-odd"),
    "bytes that are no name": (PLAIN, b"\xff"),
    "wrong order": (brotli.compress(gzip.compress(PLAIN)), b"br, gzip"),
    "too many codings": (PLAIN, b"gzip, gzip, gzip, gzip, gzip"),
}


@pytest.mark.parametrize(("body", "coding"), BROKEN.values(), ids=BROKEN)
def test_broken_coding_cannot_be_compared(body: bytes, coding: bytes) -> None:
    assert undo_codings(body, [coding]) is Reason.DECODE


HUGE = b"0" * (MAX_DECODED_BYTES + 1)
BOMBS = {
    "gzip": (gzip.compress(HUGE), b"gzip"),
    "gzip of many members": (gzip.compress(b"0" * (MAX_DECODED_BYTES // 4)) * 5, b"gzip"),
    "deflate": (zlib.compress(HUGE), b"deflate"),
    "br": (brotli.compress(HUGE, quality=1), b"br"),
    "zstd": (zstd.compress(HUGE), b"zstd"),
    "stacked": (gzip.compress(gzip.compress(gzip.compress(HUGE))), b"gzip, gzip, gzip"),
}


@pytest.mark.parametrize(("body", "coding"), BOMBS.values(), ids=BOMBS)
def test_more_than_16_mib_decoded_is_too_large(body: bytes, coding: bytes) -> None:
    assert len(body) < 100_000
    assert undo_codings(body, [coding]) is Reason.TOO_LARGE


def test_exactly_the_limit_is_decoded() -> None:
    for encode, name in ((gzip.compress, b"gzip"), (brotli.compress, b"br"), (zstd.compress, b"zstd")):
        assert undo_codings(encode(b"x" * 1000), [name], limit=1000) == b"x" * 1000
        assert undo_codings(encode(b"x" * 1001), [name], limit=1000) is Reason.TOO_LARGE


def coded(body: bytes, coding: str) -> Response:
    return response(body, content_encoding=coding)


def test_codings_do_not_count_in_a_comparison() -> None:
    legacy, candidate = coded(gzip.compress(b'{"a":1}'), "gzip"), coded(brotli.compress(b'{"a": 1.0}'), "br")
    assert compared(legacy, candidate).outcome is Outcome.MATCH
    assert compared(legacy, response({"a": 1})).outcome is Outcome.MATCH
    assert compared(legacy, response({"a": 2})).outcome is Outcome.MISMATCH


def test_broken_coding_of_either_side_is_not_comparable() -> None:
    broken, fine = coded(b"x", "gzip"), response({"a": 1})
    for pair in ((broken, fine), (fine, broken), (broken, broken)):
        assert compared(*pair).reason is Reason.DECODE


def test_answers_without_body_have_nothing_to_decode() -> None:
    assert compared(coded(b"", "gzip"), coded(b"", "br")).outcome is Outcome.MATCH
