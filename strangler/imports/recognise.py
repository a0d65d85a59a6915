"""The one door to foreign files: which kind of file it is, by its content, and the reader of that kind."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Any, Final

from strangler.imports import openapi_paths, route_documents, route_tables
from strangler.imports.documents import MAX_DOCUMENT_BYTES, parsed_json, parsed_yaml, whole
from strangler.imports.har import MAX_HAR_BYTES, entries
from strangler.imports.json_formats import decoded_object
from strangler.imports.log_reading import SAMPLE_LINES, CallsState, numbered, of_host, recognised, unknown
from strangler.imports.source_bytes import CHUNK_BYTES, SourceState, blocks
from strangler.imports.values import ImportOptions, ImportRefusedError, ListedEndpoint, Summary, SummaryState

_YAML: Final = re.compile(rb"^[\"']?(?:openapi|swagger)[\"']?[ \t]*:", re.MULTILINE)
_FIRST_LINES: Final = 20
_ARRAY: Final = re.compile(rb"\[\s*[\[{\"\]]")
HAR_START: Final = re.compile(rb"\{\s*\"log\"\s*:\s*\{")
_DOCUMENT: Final = re.compile(rb"\{\s*\"(?:openapi|swagger|contexts)\"\s*:")


@dataclass(frozen=True, slots=True)
class Listing:
    """The endpoints of a list or of a description, each once, and the account of the file."""

    endpoints: tuple[ListedEndpoint, ...]
    summary: Summary


def _as_it_is(file: IO[bytes]) -> IO[bytes]:
    return file


@contextmanager
def opened(
    name: str, options: ImportOptions | None = None, wrap: Callable[[IO[bytes]], IO[bytes]] = _as_it_is
) -> Iterator[CallsState | Listing]:
    """Open a file, or standard input for `-`, and yield its calls or its endpoints. `wrap` sees what is read of a file.

    Raises ImportRefusedError: here if the file is of no known kind, and from the iteration if most of a log cannot be
    read.
    """
    if name == "-":
        yield read(SourceState(sys.stdin.buffer, "standard input"), options or ImportOptions())
        return
    with _open(name) as file:
        yield read(SourceState(wrap(file), Path(name).name), options or ImportOptions())


def _open(name: str) -> IO[bytes]:
    """Open a file. Raises ImportRefusedError."""
    try:
        return Path(name).open("rb")
    except OSError as error:
        raise ImportRefusedError(f"{name} cannot be read: {error.strerror or error}") from error


def digest(name: str) -> str:
    """Return the digest of a file before anything of it is imported: SHA-256 of the decompressed bytes, in hex.

    Raises ImportRefusedError.
    """
    with _open(name) as file:
        source = SourceState(file, Path(name).name)
        for _ in source.chunks():
            pass
        return source.digest


def read(source: SourceState, options: ImportOptions, begun: bytes = b"") -> CallsState | Listing:
    """Return the reader of an open file. `begun`: its first bytes, if they have been read.

    Raises ImportRefusedError if its content is of no known kind.
    """
    head = begun or first_bytes(source)
    if not head.strip():
        cut = " or cannot be decompressed" if source.is_cut else ""
        raise ImportRefusedError(f"{source.name} is empty{cut}")
    if b"\0" in head[:4096]:
        raise ImportRefusedError(f"{source.name} is no text; a log, a list of routes, OpenAPI or HAR is expected")
    first = head.lstrip()[:1]
    if _ARRAY.match(head.lstrip()) and not options.fields:
        return _listing(source, head)
    if first == b"{" and not options.fields and _is_document(head):
        if HAR_START.match(head.lstrip()):
            calls = entries(whole(source, head, MAX_HAR_BYTES), source.name, options)
            return CallsState("HAR", source, calls, "entry")
        return _listing(source, head)
    if _YAML.search(head) and first not in (b"{", b"["):
        return _listing(source, head)
    return _lines(source, head, options)


def first_bytes(source: SourceState) -> bytes:
    """Return the first bytes: at least CHUNK_BYTES of them, if there are so many.

    Zeros at the start are left out: logrotate's copytruncate leaves them where the old lines were.
    """
    pieces, size = list[bytes](), 0
    for chunk in source.chunks():
        chunk = chunk if pieces else chunk.lstrip(b"\0")
        if not chunk:
            continue
        pieces.append(chunk)
        size += len(chunk)
        if size >= CHUNK_BYTES:
            break
    return b"".join(pieces)


def _is_document(head: bytes) -> bool:
    """Return True if a text that begins with `{` is one document, and no JSON lines."""
    text = head.lstrip()
    if HAR_START.match(text) or _DOCUMENT.match(text):
        return True
    lines = [decoded_object(line) for line in _sample(text)[:_FIRST_LINES]]
    if lines[0] is None:  # the first line of a document, or a log's that is damaged
        return lines.count(None) * 2 > len(lines) or len(lines) == 1
    return bool(lines[0].keys() & {"openapi", "swagger", "contexts"})


def _sample(head: bytes) -> list[bytes]:
    """Return the first whole lines that are not blank; the last one too, if it is the only one."""
    *lines, last = head.split(b"\n")
    return [line for line in lines if line.strip()][:SAMPLE_LINES] or [last]


def _lines(source: SourceState, head: bytes, options: ImportOptions) -> CallsState | Listing:
    sample = _sample(head)
    known = recognised(sample, options)
    if known is not None:
        name, parse = known
        found = numbered(parse, blocks(chain([head], source.chunks())))
        return CallsState(name, source, of_host(found, options.host) if options.host else found)
    if not options.fields and route_tables.share_of_routes(sample) >= 0.5:
        return _table(source, head)
    raise unknown(source.name, head, sample, options)


def _table(source: SourceState, head: bytes) -> Listing:
    data = whole(source, head)
    state = SummaryState()
    found = tuple(route_tables.endpoints(data, state))
    if state.faults() > len(found):
        line, text = route_tables.first_unread(data, state)
        raise ImportRefusedError(
            f"{source.name}:{line}: most lines name no endpoint, such as `{text}`. A list has `METHOD /path/{{id}}` on "
            "each line"
        )
    return _finished("list of routes", found, source, state)


def _listing(source: SourceState, head: bytes) -> Listing:
    data = whole(source, head, MAX_DOCUMENT_BYTES)
    if source.is_cut:
        raise ImportRefusedError(f"{source.name}: the compressed file ends too early, or is damaged")
    state = SummaryState()
    if route_documents.is_express(data) and data.lstrip()[:1] == b"[" and b'"path"' not in data:
        return _finished("Express routes", tuple(route_documents.express(data, state)), source, state)
    is_json = data.lstrip()[:1] in (b"{", b"[")
    document = parsed_json(data, source.name) if is_json else parsed_yaml(data, source.name)
    name, found = _document(document, data, source.name, state)
    return _finished(name, found, source, state)


def _document(document: Any, data: bytes, name: str, state: SummaryState) -> tuple[str, tuple[ListedEndpoint, ...]]:
    if openapi_paths.is_openapi(document):
        return "OpenAPI", tuple(openapi_paths.endpoints(document, data, state))
    if route_documents.is_spring(document):
        return "Spring mappings", tuple(route_documents.spring(document, data, state))
    if route_documents.is_route_list(document):
        return "list of routes", tuple(route_documents.route_list(document, data, state))
    if isinstance(document, list):
        raise ImportRefusedError(
            f"{name} is a JSON array that lists no routes; if it is a log, `jq -c '.[]' FILE` makes lines of it"
        )
    raise ImportRefusedError(
        f"{name} is a document without routes; known are OpenAPI, HAR, Spring's mappings, and lists of routes of "
        "Laravel, Express and Django"
    )


def _finished(name: str, found: tuple[ListedEndpoint, ...], source: SourceState, state: SummaryState) -> Listing:
    """Return the listing, each endpoint once, where it stands first."""
    first: dict[tuple[str, str], ListedEndpoint] = {}
    for endpoint in found:
        first.setdefault((endpoint.method, endpoint.template), endpoint)
    if not first:
        raise ImportRefusedError(f"{source.name} ({name}) names no endpoint")
    state.read = len(first)
    return Listing(tuple(first.values()), state.summary(name, source.digest, source.is_cut))
