"""The door to foreign files: which kind one is, by its content, and the pairs in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, Final

from strangler.imports.documents import whole
from strangler.imports.har import MAX_HAR_BYTES
from strangler.imports.log_reading import CallsState
from strangler.imports.recognise import HAR_START, first_bytes, read
from strangler.imports.source_bytes import SourceState
from strangler.imports.values import ImportOptions, ImportRefusedError
from strangler.recordings.sources.from_gor import gor_pairs, is_gor
from strangler.recordings.sources.from_har import har_pairs
from strangler.recordings.sources.from_log import log_pairs
from strangler.recordings.sources.pairs import NumberedPairs, PairSource, Passed

_CUT: Final = Passed("the compressed file ends too early, or is damaged; what came before was read")
_OF_LOG: Final = "a log has no bodies and no fields but Host and User-Agent: only statuses can be compared"


@contextmanager
def open_source(path: Path, host: str = "") -> Iterator[PairSource]:
    """Open a file of GoReplay, a HAR or an access log. `host`: the one whose requests count.

    Raises ImportRefusedError: here if the file is of no such kind, and from its pairs if most of a log is unreadable.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise ImportRefusedError(f"{path} cannot be read: {error.strerror or error}") from error
    with file:
        yield _pair_source(file, path.name, host)


def _pair_source(file: IO[bytes], name: str, host: str) -> PairSource:
    source = SourceState(file, name)
    head = first_bytes(source)
    if is_gor(head):
        if host:
            raise ImportRefusedError(f"{name} is a file of GoReplay: --host is for a HAR or a log")
        pairs = _ended(gor_pairs(chain([head], source.chunks())), source)
        return PairSource("gor", "GoReplay", "line", pairs, has_addresses=True)
    if HAR_START.match(head.lstrip()):
        data = whole(source, head, MAX_HAR_BYTES)
        if source.is_cut:
            raise ImportRefusedError(f"{name}: the compressed file ends too early, or is damaged")
        return PairSource("har", "HAR", "entry", har_pairs(data, name, host), has_addresses=False)
    found = read(source, ImportOptions(host=host), head) if head.strip() else _empty(name)
    if not isinstance(found, CallsState):
        raise ImportRefusedError(f"{name} is a list of endpoints ({found.summary.format}): it has no requests")
    pairs = _ended(log_pairs(found.numbered()), source)
    return PairSource("log", found.format, "line", pairs, has_addresses=True, notes=(_OF_LOG,))


def _empty(name: str) -> CallsState:
    raise ImportRefusedError(f"{name} is empty, or cannot be decompressed")


def _ended(pairs: NumberedPairs, source: SourceState) -> NumberedPairs:
    """Yield the pairs, and whether the file was cut."""
    last = 0
    for last, pair in pairs:
        yield last, pair
    if source.is_cut:
        yield last, _CUT
