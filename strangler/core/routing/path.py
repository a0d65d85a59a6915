# Compiled with mypyc: see docs/hot-path.md.
"""The ways in which servers read a path; docs/paths.md describes them with examples.

Matching splits the raw path at `/` and decodes each segment once. Servers differ in what else they do: decode the
path as a whole, or twice; take `\\` for `/`; merge slashes; drop `;` parameters; resolve dots; each in its own
order. `readings` yields what any such server could see. A path without special bytes has one reading, and costs only
the test for that (`is_clean`).
"""

import re
from collections.abc import Callable, Iterator
from enum import StrEnum
from urllib.parse import unquote_to_bytes

Segments = list[bytes]
"""The parts of a path between the slashes after the first one: `/a/b/` is `[b"a", b"b", b""]`, `/` is `[b""]`."""


class Oddity(StrEnum):
    """Why a path has no single meaning; the value is the text for a reader."""

    CONTROL = "the path has a NUL, a control character or a space"
    FRAGMENT = "the request target has a '#'"
    NOT_A_PATH = "the request target is neither a path nor an absolute URL"
    BAD_ENCODING = "the path has a bad percent-encoding or invalid UTF-8"
    READINGS_DIFFER = "servers could read the path in ways that lead to different routes"
    CLIMBS = "a server could read the path as one that climbs out of the candidate's prefix"
    TANGLED = "the path has more readings than are examined"

    @property
    def is_malformed(self) -> bool:
        """Return True if the request gets a 400, whatever `ambiguous_paths` says."""
        return self in _MALFORMED


_MALFORMED = frozenset({Oddity.CONTROL, Oddity.FRAGMENT, Oddity.NOT_A_PATH})

_odd_byte = re.compile(rb"[\x00-\x20\x7f-\xff%;\\#]").search
_control = re.compile(rb"[\x00-\x20\x7f]|%[01][0-9A-Fa-f]|%7[Ff]").search
_decoded_control = re.compile(rb"[\x00-\x1f\x7f]").search
_bad_percent = re.compile(rb"%(?![0-9A-Fa-f]{2})").search
_special = re.compile(rb"[%;\\]|//|/\.\.?(?:/|\Z)").search
_encoded_unreserved = re.compile(rb"%(?:2[DdEe]|3[0-9]|[46][1-9A-Fa-f]|[57][0-9Aa]|5[Ff]|7[Ee])")
_parameters = re.compile(rb";[^/]*")
_slashes = re.compile(rb"//+")

LONGEST_UNUSUAL = 8192
"""The most bytes of a path that is not clean: to examine the readings of a longer one would be expensive."""

_MOST_STATES = 64
_MOST_BYTES = 8192  # of all states together, so that a tangle costs 1 ms at most


def is_clean(path: bytes) -> bool:
    """Return True if every server reads the path alike, and its raw segments equal its decoded ones; takes 0.25 µs."""
    # One character class and two searches cost half as much as one expression with alternatives.
    return _odd_byte(path) is None and path.find(b"//") < 0 and path.find(b"/.") < 0 and path.startswith(b"/")


def malformed(path: bytes) -> Oddity | None:
    """Return why a path that is not clean must get a 400, or None."""
    if b"#" in path:
        return Oddity.FRAGMENT
    if _control(path):
        return Oddity.CONTROL
    return None if path.startswith(b"/") else Oddity.NOT_A_PATH


def split(path: bytes) -> Segments:
    """Return the raw segments of a path that starts with `/`."""
    segments = path.split(b"/")
    del segments[0]
    return segments


def decode_segments(path: bytes) -> Segments:
    """Return reading (a), by which routes are found: split at `/`, then each segment decoded once."""
    return [unquote_to_bytes(segment) for segment in split(path)]


def is_well_encoded(path: bytes) -> bool:
    """Return True if every `%` begins a percent-encoding and the decoded bytes are UTF-8 (overlong forms are not)."""
    return _bad_percent(path) is None and _is_utf8(unquote_to_bytes(path))


def has_one_reading(path: bytes) -> bool:
    """Return True if decoding changes letters only, and yields no slash, dot segment, parameter or second encoding."""
    decoded = unquote_to_bytes(path)
    is_plain = decoded.count(b"/") == path.count(b"/") and _special(decoded) is None
    return is_plain and _bad_percent(path) is None and _is_utf8(decoded)


def readings(path: bytes) -> Iterator[Segments | Oddity]:
    """Yield every reading of the path as decoded segments.

    Among them is `BAD_ENCODING` if some server would find no text; and at the end `TANGLED` if there are more.
    """
    if not is_well_encoded(path):
        yield Oddity.BAD_ENCODING
    for state in _states(path):
        if state is None:
            yield Oddity.TANGLED
            return
        text, is_decoded = state
        if not _is_text(text):
            yield Oddity.BAD_ENCODING
        if is_decoded:
            yield split(text)
        yield decode_segments(text)


def climbs(path: bytes) -> bool:
    """Return True if some reading of the path leaves its root by `..`."""
    return not is_clean(path) and any(state is None or _leaves_root(state[0]) for state in _states(path))


def _states(path: bytes) -> Iterator[tuple[bytes, bool] | None]:
    """Yield the path after every sequence of the steps that servers take, and whether decoding was among them.

    That includes (b) decode, `\\` as `/`, merge, drop parameters, resolve dots; (c) the same, decoded twice; and what
    is between them, such as a server that resolves dots first and decodes afterwards. None at the end means that there
    are more states than are examined.
    """
    start = (path, False)
    seen = {start}
    pending = [start]
    bytes_left = _MOST_BYTES
    while pending:
        text, is_decoded = state = pending.pop()
        bytes_left -= len(text)
        if bytes_left < 0 or len(seen) > _MOST_STATES:
            yield None
            return
        yield state
        for step in _STEPS:
            after = step(text)
            if after == text:
                continue
            state = (after, is_decoded or step is unquote_to_bytes)
            if state not in seen:
                seen.add(state)
                pending.append(state)


def _decode_unreserved(path: bytes) -> bytes:
    """Decode unreserved characters (RFC 3986 section 6.2.2.2), as even servers do that leave other encodings alone."""
    return _encoded_unreserved.sub(lambda found: unquote_to_bytes(found[0]), path)


def _backslash_as_slash(path: bytes) -> bytes:
    return path.replace(b"\\", b"/")


def _merge_slashes(path: bytes) -> bytes:
    return _slashes.sub(b"/", path)


def _drop_parameters(path: bytes) -> bytes:
    return _parameters.sub(b"", path)


def _resolve_dots(path: bytes) -> bytes:
    """Resolve dot segments (RFC 3986 section 5.2.4): `..` removes the segment before it, if there is one."""
    kept: Segments = []
    segments = split(path)
    for segment in segments:
        if segment == b"..":
            del kept[-1:]
        elif segment != b".":
            kept.append(segment)
    if segments[-1] in (b".", b".."):
        kept.append(b"")
    return b"/" + b"/".join(kept)


def _leaves_root(path: bytes) -> bool:
    depth = 0
    for segment in split(path):
        if segment == b"..":
            depth -= 1
        elif segment != b".":
            depth += 1
        if depth < 0:
            return True
    return False


_STEPS: tuple[Callable[[bytes], bytes], ...] = (
    _resolve_dots,
    _merge_slashes,
    _drop_parameters,
    _backslash_as_slash,
    unquote_to_bytes,  # a `%` that begins no encoding stays as it is, as in lenient servers
    _decode_unreserved,
)


def _is_text(path: bytes) -> bool:
    return _decoded_control(path) is None and _is_utf8(path)


def _is_utf8(text: bytes) -> bool:
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
