"""The kind of body that a media type names, and its text."""

import codecs
import re
from dataclasses import dataclass
from enum import Enum, auto


class Body(Enum):
    JSON = auto()
    NDJSON = auto()
    FORM = auto()
    HTML = auto()
    XML = auto()
    TEXT = auto()
    MULTIPART = auto()
    BINARY = auto()
    UNNAMED = auto()  # no media type: text if it reads as UTF-8


@dataclass(frozen=True, slots=True)
class MediaType:
    """A media type. `essence` is `type/subtype`; everything is lower-case but the parameters' values."""

    essence: str
    parameters: tuple[tuple[str, str], ...]

    @property
    def charset(self) -> str | None:
        return dict(self.parameters).get("charset")


_PARAMETER = re.compile(r";\s*([^=;\s]*)\s*(?:=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^;\"]*)))?")
_NDJSON = frozenset(
    {"ndjson", "x-ndjson", "jsonl", "x-jsonl", "jsonlines", "x-jsonlines", "json-lines", "jsonlines+json"}
)
_TEXTUAL = frozenset(
    {"javascript", "x-javascript", "ecmascript", "yaml", "x-yaml", "toml", "graphql", "sql", "csv", "x-sh"}
)


def parse_media_type(value: bytes) -> MediaType:
    """Parse a Content-Type value (RFC 9110 section 8.3.1), leniently."""
    essence, semicolon, rest = value.decode("latin-1").partition(";")
    found = _PARAMETER.finditer(semicolon + rest)
    parameters = (
        (part[1].lower(), _unquoted(part[2]) if part[2] is not None else (part[3] or "").strip()) for part in found
    )
    return MediaType(essence.strip().lower(), tuple(sorted((name, text) for name, text in parameters if name)))


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def body_of(media: MediaType | None) -> Body:
    """Return the kind of body by its media type; suffixes such as `+json` count."""
    if media is None or not media.essence:
        return Body.UNNAMED
    kind, _, subtype = media.essence.partition("/")
    if kind == "multipart":
        return Body.MULTIPART
    if subtype in _NDJSON:
        return Body.NDJSON
    if subtype.endswith("+json") or media.essence in ("application/json", "text/json", "application/x-json"):
        return Body.JSON
    if media.essence == "application/x-www-form-urlencoded":
        return Body.FORM
    if media.essence == "text/html":
        return Body.HTML
    if subtype.endswith("+xml") or subtype == "xml":
        return Body.XML
    return Body.TEXT if kind == "text" or subtype in _TEXTUAL else Body.BINARY


_CODECS = frozenset(
    [
        "utf-8",
        "utf-16",
        "utf-16-le",
        "utf-16-be",
        "utf-32",
        "utf-32-le",
        "utf-32-be",
        "ascii",
        "cp866",
        "cp874",
        "koi8-r",
    ]
    + [
        "koi8-u",
        "mac-roman",
        "mac-cyrillic",
        "gb2312",
        "gbk",
        "gb18030",
        "big5",
        "big5hkscs",
        "euc_jp",
        "shift_jis",
        "cp932",
    ]
    + ["iso2022_jp", "euc_kr", "cp949", "tis-620"]
    + [f"iso8859-{part}" for part in range(1, 17) if part != 12]
    + [f"cp125{part}" for part in range(9)]
)
"""Charsets of the web. Python has more codecs, of which some are no charsets, or quadratic."""


def is_charset(name: str) -> bool:
    """Return True for the name of a charset of the web."""
    try:
        return codecs.lookup(name).name in _CODECS
    except (LookupError, ValueError):
        return False


_DECLARED = re.compile(
    rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w-]+)|<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([\w-]+)", re.IGNORECASE
)
_DECLARED_WITHIN = 1024
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def text_of(body: bytes, media: MediaType | None, kind: Body) -> str | None:
    """Return the body's text without BOM; None if its charset is unknown, or its bytes are invalid in it.

    A BOM wins over the charset parameter (as in the WHATWG Encoding standard), that over what the document declares,
    that over UTF-8. JSON has no charset parameter (RFC 8259 section 11): an unknown one is ignored.
    """
    named = media.charset if media else None
    if named is not None and kind in (Body.JSON, Body.NDJSON) and not is_charset(named):
        named = None
    charset = _charset_by_bom(body) or named or _declared(body, kind)
    try:
        codec = codecs.lookup(charset or "utf-8").name
        if codec not in _CODECS:
            return None
        return body.decode(codec).removeprefix("\ufeff")
    except (LookupError, UnicodeError, ValueError):
        return None


def _charset_by_bom(body: bytes) -> str | None:
    return next((charset for bom, charset in _BOMS if body.startswith(bom)), None)


def _declared(body: bytes, kind: Body) -> str | None:
    if kind is Body.JSON:
        return _json_charset(body)
    found = _DECLARED.search(body[:_DECLARED_WITHIN]) if kind in (Body.HTML, Body.XML) else None
    return (found[1] or found[2]).decode("ascii", "replace") if found else None


def _json_charset(body: bytes) -> str | None:
    """Return JSON's charset: it starts with an ASCII character, so zeros reveal its width (RFC 4627 section 3)."""
    zeros = tuple(byte == 0 for byte in body[:4])
    return _BY_ZEROS.get(zeros) or _BY_ZEROS.get(zeros[:2])


_BY_ZEROS: dict[tuple[bool, ...], str] = {
    (True, True, True, False): "utf-32-be",
    (False, True, True, True): "utf-32-le",
    (True, False): "utf-16-be",
    (False, True): "utf-16-le",
}
