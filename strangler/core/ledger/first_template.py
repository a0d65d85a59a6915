# Compiled with mypyc: see docs/hot-path.md.
"""The first template of a path: all that its form alone tells. The worker counts by it.

`/shops/7/app-3f9ab21c.js;v=1?x=y` -> `/shops/{}/app-{}.js`. Control gives it to its tree (`template_tree`), which has
seen the words of all paths and folds further. Nothing here depends on other paths, so a worker may forget at any time.
"""

import re
from urllib.parse import quote, unquote_to_bytes

from strangler.core.ledger.segments import HOLE, REST
from strangler.core.ledger.value_forms import is_plain_value, is_value, is_version
from strangler.core.ledger.well_known import ASSETS, EXTENSIONS, PAGES

MAX_SEGMENTS = 16
"""The segments that are looked at; what follows is `{...}`."""
MAX_FILE_NAME = 200
"""The longest segment, in characters, in which holes are looked for; a longer one is a value."""
_SHORT_ENDING = re.compile(r"(.+)(\.[A-Za-z][A-Za-z0-9]{1,5})", re.ASCII)
_SEPARATORS = re.compile(r"([-_.~@+,() ]+)")
_PIECE_VALUE = re.compile(r"\d+|\d{3,4}x\d{0,4}|(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{6,}", re.ASCII)
_BUNDLE_HASH = re.compile(r"(.*[-.])((?=[\w-]*[A-Z])(?=[\w-]*[a-z\d])[\w-]{8}|[A-Z2-7]{8})", re.ASCII)
_NAMED_PIECE = re.compile(r"[^\W\d_]{3,}")
_CALLED = re.compile(r"([A-Za-z_.]+)\((?:[^()]*[\d'=][^()]*)\)", re.ASCII)
"""A key of OData: `Orders(7)`, `Customers('ana')`."""
_HOLES = re.compile(r"\{\}(?:[-_.~]\{\})+")
_BEFORE_RELEASE = re.compile(r"\{\}[-._+](?:alpha|beta|dev|pre|rc|snapshot)\d*(?![a-z\d])", re.IGNORECASE)
_MEANINGFUL = re.compile(r"[%?#&{}\s;/]")
_ABSOLUTE = re.compile(rb"[A-Za-z][A-Za-z0-9+.\-]*://[^/?#]*")
_SLASHES = re.compile(rb"/+")
_NO_WORDS: frozenset[str] = frozenset()


def first_template(path: bytes, words: frozenset[str] = _NO_WORDS) -> str:
    """Return the first template of a raw path. `words` are texts that an operator's template spells out, `2024` say.

    The query, parameters (`;jsessionid=…`) and doubled slashes do not count; a slash at the end does.
    """
    if path[:1] != b"/":
        path = _ABSOLUTE.sub(b"", path, 1)
    raw = path.partition(b"?")[0].partition(b"#")[0]
    if raw == b"*":
        return "*"
    raw = raw.lstrip(b"/")
    pieces = _SLASHES.split(raw, MAX_SEGMENTS) if b"//" in raw else raw.split(b"/", MAX_SEGMENTS)
    has_rest = len(pieces) > MAX_SEGMENTS and pieces[-1] != b""
    if has_rest:
        pieces.pop()
    decoded = [_decoded(piece) for piece in pieces]
    folded = [
        escaped(text) if text in words else segment_template(text, at < 3 and _may_be_version(decoded, at))
        for at, text in enumerate(decoded)
    ]
    return "/" + "/".join([*folded, REST] if has_rest else folded)


def _decoded(raw: bytes) -> str:
    """Return a segment without its parameters; one that is far too long is a value, and is not read."""
    if b";" in raw:
        raw = raw.partition(b";")[0]
    if len(raw) > 9 * MAX_FILE_NAME:
        return "\ufffd"
    if b"%" in raw:
        raw = unquote_to_bytes(raw)
    return raw.decode("utf-8", "replace")


def _may_be_version(segments: list[str], at: int) -> bool:
    """Return True where an API's version may stand: early in the path, after words alone, and not at the end."""
    if not segments[at][:1].isdigit() or at > 2 or at + 1 >= len(segments) or not segments[at + 1]:
        return False
    return is_version(segments[at]) and not any(map(is_value, segments[:at]))


def segment_template(text: str, may_be_version: bool = False) -> str:
    """Return a decoded segment with holes for its values: `7` -> `{}`, `app-3f9ab21c.js` -> `app-{}.js`."""
    if text.isascii() and text.isalpha() and text.islower() and len(text) < 16:  # spares 2 µs for the common word
        return text
    if len(text) > MAX_FILE_NAME or not text or text.isdecimal():
        return HOLE if text else ""
    if may_be_version:
        return text
    stem, dot, ending = text.rpartition(".")
    if stem and dot and ending.lower() in EXTENSIONS:
        return _file_template(stem, ending)
    head, colon, verb = text.partition(":")
    if colon and verb.isalpha() and len(verb) > 1 and is_value(head):  # /orders/7:cancel
        return f"{HOLE}:{verb}"
    if text[-1] == ")" and (called := _CALLED.fullmatch(text)):
        return f"{called[1]}({HOLE})"
    if is_value(text):
        return HOLE
    file = _SHORT_ENDING.fullmatch(text)
    if file and is_value(file[1]):
        return HOLE + file[2]
    return escaped(text)


def _file_template(stem: str, ending: str) -> str:
    is_asset, is_page = ending.lower() in ASSETS, ending.lower() in PAGES
    if is_plain_value(stem) or (not is_asset and is_value(stem) and (is_page or not _is_named(stem))):
        return f"{HOLE}.{ending}"
    if is_asset and (bundle := _BUNDLE_HASH.fullmatch(stem)):
        return f"{escaped(bundle[1])}{HOLE}.{ending}"
    pieces = _SEPARATORS.split(stem)
    holed = [HOLE if at % 2 == 0 and _is_piece_value(piece) else escaped(piece) for at, piece in enumerate(pieces)]
    return _BEFORE_RELEASE.sub(HOLE, _HOLES.sub(HOLE, "".join(holed))) + "." + ending


def _is_named(stem: str) -> bool:
    """Return True for the name of a document that begins with a word: `minutes-2025-03-06`, `DESADV_20221121_8970`."""
    first = _SEPARATORS.split(stem, 1)[0]
    return len(first) < len(stem) and _NAMED_PIECE.fullmatch(first) is not None and not is_value(first)


def _is_piece_value(piece: str) -> bool:
    return bool(piece) and (_PIECE_VALUE.fullmatch(piece) is not None or is_value(piece))


def escaped(text: str) -> str:
    """Return a word with the characters that mean something in a template percent-encoded."""
    return _MEANINGFUL.sub(lambda found: quote(found[0], safe=""), text)


MAX_REMEMBERED = 4096
"""The paths whose first templates a worker remembers: about 1 MB."""
MAX_REMEMBERED_BYTES = 256
"""The longest path that is remembered."""


class FirstTemplateMemo:
    """The first templates of the paths met lately, in a worker: bounded whatever the paths.

    Two halves: a full one becomes the elder and the former elder goes, so frequent paths are never computed anew.
    """

    __slots__ = ("elder", "recent", "words")

    def __init__(self, words: frozenset[str] = _NO_WORDS) -> None:
        self.words = words
        self.recent: dict[bytes, str] = {}
        self.elder: dict[bytes, str] = {}

    def template_of(self, path: bytes) -> str:
        """Return the first template of a raw path without its query."""
        found = self.recent.get(path)
        return found if found is not None else self._add(path)

    def _add(self, path: bytes) -> str:
        found = self.elder.get(path)
        if found is None:
            found = first_template(path, self.words)
        if len(path) <= MAX_REMEMBERED_BYTES:
            if len(self.recent) >= MAX_REMEMBERED // 2:
                self.recent, self.elder = {}, self.recent
            self.recent[path] = found
        return found
