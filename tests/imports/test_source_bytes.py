"""The bytes of a file: plain or compressed, whole or cut, as blocks of lines that are bounded."""

import bz2
import gzip
import hashlib
import io
import lzma
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.imports.source_bytes import CHUNK_BYTES, MAX_LINE_BYTES, SourceState, blocks
from strangler.imports.values import ImportRefusedError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

TEXT = b"".join(b"line %d\n" % number for number in range(100_000))


def source(data: bytes) -> SourceState:
    return SourceState(io.BytesIO(data), "access.log")


FORMS = {
    "plain": TEXT,
    "gzip": gzip.compress(TEXT),
    "gzip of several members": gzip.compress(TEXT[:1000]) + gzip.compress(TEXT[1000:]),
    "gzip with zeros behind it": gzip.compress(TEXT) + bytes(512),
    "zstd": zstd.compress(TEXT),
    "zstd of several frames": zstd.compress(TEXT[:1000]) + zstd.compress(TEXT[1000:]),
}


@pytest.mark.parametrize("data", FORMS.values(), ids=FORMS)
def test_the_content_is_that_before_compression(data: bytes) -> None:
    content = source(data)
    assert b"".join(content.chunks()) == TEXT
    assert content.digest == hashlib.sha256(TEXT).hexdigest()
    assert not content.is_cut


@pytest.mark.parametrize("name", ["gzip", "zstd"])
@pytest.mark.parametrize("missing", [1, 9, 1000])
def test_of_a_cut_file_all_that_came_is_read(name: str, missing: int) -> None:
    content = source(FORMS[name][:-missing])
    found = b"".join(content.chunks())
    assert content.is_cut
    assert found == TEXT[: len(found)]
    assert len(found) > 1000


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_damage_ends_the_content(name: str) -> None:
    data = bytearray(FORMS[name])
    data[len(data) // 2 : len(data) // 2 + 50] = bytes(50)
    content = source(bytes(data))
    assert len(b"".join(content.chunks())) <= len(TEXT)
    assert content.is_cut


def test_much_that_was_compressed_to_little_comes_in_pieces() -> None:
    content = source(gzip.compress(bytes(20 * CHUNK_BYTES)))
    assert max(map(len, content.chunks())) <= CHUNK_BYTES


def test_an_error_of_the_disk_is_named() -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(ImportRefusedError, match=r"access\.log cannot be read: Input/output error"):
        list(SourceState(Broken(), "access.log").chunks())


def test_a_byte_order_mark_is_no_content() -> None:
    assert b"".join(source(b"\xef\xbb\xbfGET /a").chunks()) == b"GET /a"


OTHERS = {
    "bzip2": (bz2.compress(b"x"), "bzip2 -dc"),
    "xz": (lzma.compress(b"x"), "xz -dc"),
    "zip": (b"PK\x03\x04rest", "unpack it"),
    "UTF-16": ("GET /a".encode("utf-16"), "iconv -f UTF-16"),
}


@pytest.mark.parametrize(("data", "way_out"), OTHERS.values(), ids=OTHERS)
def test_other_forms_are_refused_with_the_way_out(data: bytes, way_out: str) -> None:
    with pytest.raises(ImportRefusedError, match=way_out):
        list(source(data).chunks())


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_blocks_have_all_lines_in_order(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    found = list(blocks(iter(pieces)))
    lines = [line for block, _ in found for line in block]
    assert b"\n".join(lines) + (b"" if found and found[-1][1] else b"\n" if lines else b"") == whole
    assert [is_end for _, is_end in found[:-1]] == [False] * len(found[:-1])


def test_of_a_line_that_is_too_long_only_the_beginning_is_kept() -> None:
    def chunks() -> "list[bytes]":
        return [b"a\n", *[b"x" * CHUNK_BYTES] * 40, b"x\nb\n"]

    lines = [line for block, _ in blocks(iter(chunks())) for line in block]
    assert [len(line) for line in lines] == [1, MAX_LINE_BYTES + 1, 1]
    assert lines[-1] == b"b"


def test_gzip_whose_output_ends_with_a_full_piece_is_whole() -> None:
    for size in (CHUNK_BYTES, 2 * CHUNK_BYTES):
        for level in (0, 9):
            content = source(gzip.compress(b"a" * size, level))
            assert sum(map(len, content.chunks())) == size
            assert not content.is_cut
