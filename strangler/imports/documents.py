"""Foreign documents that are read as a whole: JSON and YAML, within bounds, and where in the text a key stands."""

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import yaml

from strangler.imports.excerpt import excerpt
from strangler.imports.source_bytes import SourceState
from strangler.imports.values import ImportRefusedError

MAX_DOCUMENT_BYTES: Final = 64 * 1024 * 1024
MAX_YAML_BYTES: Final = 16 * 1024 * 1024
"""The parser takes 1.7 s and 60 MB for each MB."""
_KEY: Final = re.compile(
    rb"^[ \t]*[{,]?[ \t]*(?:[\"'](/[^\"'\n]{0,512})[\"'][ \t]*:|(/[^\"'\n]{0,512}?)[ \t]*:(?=\s))", re.MULTILINE
)


def whole(source: SourceState, head: bytes, limit: int = MAX_DOCUMENT_BYTES) -> bytes:
    """Return the whole content. Raises ImportRefusedError beyond the limit."""
    pieces, size = [head], len(head)
    for chunk in source.chunks():
        pieces.append(chunk)
        size += len(chunk)
        if size > limit:
            raise ImportRefusedError(
                f"{source.name} has more than {limit >> 20} MiB and is no log by lines: divide it, or take out what is "
                "not needed"
            )
    return b"".join(pieces)


def parsed_json(data: bytes, name: str) -> Any:
    """Return a JSON document. Raises ImportRefusedError."""
    try:
        return msgspec.json.decode(_mended(data))
    except (msgspec.DecodeError, RecursionError) as error:
        raise ImportRefusedError(f"{name} is no valid JSON: {_json_error(error, data)}") from error


def _mended(data: bytes) -> bytes:
    """Return a text with marks for bytes that are no UTF-8: one of them in a description is no reason to refuse it."""
    return data.decode("utf-8", "replace").encode()


def _json_error(error: Exception, data: bytes) -> str:
    """Return what is wrong and the line of it; msgspec names the byte."""
    found = re.search(r"\(byte (\d+)\)", str(error))
    if found is None:
        return "it is nested too deep" if isinstance(error, RecursionError) else "it ends too early"
    line = data.count(b"\n", 0, int(found[1])) + 1
    return f"{str(error)[: found.start()].strip().removeprefix('JSON is malformed: ')}, line {line}"


def parsed_yaml(data: bytes, name: str) -> Any:
    """Return a YAML document whose scalars are all texts. Raises ImportRefusedError."""
    if len(data) > MAX_YAML_BYTES:
        raise ImportRefusedError(
            f"{name} has more than {MAX_YAML_BYTES >> 20} MiB of YAML: make JSON of it, which may have "
            f"{MAX_DOCUMENT_BYTES >> 20} MiB: `yq -o json`"
        )
    try:
        return yaml.load(_mended(data), Loader=yaml.CBaseLoader)  # noqa: S506 - it makes texts, lists and mappings alone
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f", line {mark.line + 1}" if mark else ""
        raise ImportRefusedError(f"{name} is no valid YAML: {excerpt(str(error.problem).encode())}{place}") from error
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:
        raise ImportRefusedError(f"{name} is no valid YAML, or nested too deep") from error


def lines_of_paths(data: bytes) -> dict[str, int]:
    """Return the line on which each key that begins with a slash stands first; one pass over the text."""
    lines: dict[str, int] = {}
    number, at = 1, 0
    for found in _KEY.finditer(data):
        number += data.count(b"\n", at, found.end())
        at = found.end()
        lines.setdefault((found[1] or found[2]).decode("utf-8", "replace"), number)
    return lines


def line_of_entries(data: bytes, key: bytes) -> Iterator[int]:
    """Yield the lines on which `"key":` stands, in order, then 0 for ever."""
    number, at = 1, 0
    for found in re.finditer(rb"[\"']?\b" + re.escape(key) + rb"[\"']?\s*:", data):
        number += data.count(b"\n", at, found.start())
        at = found.start()
        yield number
    while True:
        yield 0
