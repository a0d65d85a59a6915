"""Redaction of markup in place: what is no secret stays as it is written, and nothing is parsed but tags.

XML is parsed once by expat, only to know whether it parses; a document that declares entities does not (RFC 7303 leaves
their expansion to the receiver, and here nothing is expanded or fetched).
"""

import re
from html import escape, unescape
from typing import Protocol
from xml.parsers import expat

from strangler.core.compare.markup import Tag, read_tags
from strangler.core.compare.secrets import is_secret_name


class MarkupCallbacks(Protocol):
    """What becomes of the parts of a document: `redact_text` of a text or attribute, `mark` of a whole secret value."""

    def redact_text(self, text: str) -> str: ...
    def mark(self, text: str) -> str: ...


_NAMING_ATTRIBUTES = frozenset(["name", "id", "key", "property", "type", "itemprop", "autocomplete"])
_VALUE_ATTRIBUTES = frozenset(["value", "content"])
_VOID = frozenset(["base", "br", "col", "hr", "img", "input", "link", "meta", "source", "track", "wbr"])
_RAW_END = {name: re.compile(rf"</{name}(?=[\s/>]|\Z)", re.IGNORECASE) for name in ("script", "style")}
_GAP = re.compile(
    r"(?P<open><!--)(?P<comment>.*?)(?P<close>-->|\Z)"
    r"|<!\[CDATA\[(?P<cdata>.*?)(?:\]\]>|\Z)"
    r"|<!(?P<declaration>[^>]*)(?:>|\Z)"
    r"|<\?(?P<instruction>.*?)(?:\?>|\Z)"
    r"|(?P<text>[^<]+|<)",
    re.DOTALL,
)
_DECLARATION = re.compile(
    r"DOCTYPE\s+[\w\-]{1,32}\s*|xml(?:\s+(?:version|encoding|standalone)\s*=\s*[\"'][\w.\-]{1,32}[\"']){0,3}\s*",
    re.IGNORECASE,
)


def redact_html(text: str, callbacks: MarkupCallbacks) -> str:
    """HTML with its secrets marked: any text is HTML."""
    return _Redaction(text, callbacks, is_html=True).run()


def redact_xml(text: str, callbacks: MarkupCallbacks) -> str | None:
    """XML with its secrets marked; None if it does not parse, or declares entities."""
    return _Redaction(text, callbacks, is_html=False).run() if is_well_formed(text) else None


def is_well_formed(text: str) -> bool:
    """True if a text is one XML document (XML 1.0 section 2.1) without entity declarations."""
    parser = expat.ParserCreate("utf-8")
    parser.EntityDeclHandler = _refuse
    try:
        parser.Parse(_ENCODING.sub("", text.removeprefix("\ufeff"), count=1).encode(), True)
    except (expat.ExpatError, _EntityError, UnicodeError):
        return False
    return True


_ENCODING = re.compile(r"(?<=[\"'])\s+encoding\s*=\s*[\"'][\w.\-]{1,40}[\"'](?=[^<>]{0,100}\?>)")
"""What a document says of its bytes; the text is decoded already."""


class _EntityError(Exception):
    """A document declares an entity."""


def _refuse(*_: object) -> None:
    raise _EntityError


class _Redaction:
    """One document, from its start to its end; owned by one call."""

    __slots__ = ("_at", "_callbacks", "_is_html", "_pieces", "_text")

    def __init__(self, text: str, callbacks: MarkupCallbacks, *, is_html: bool) -> None:
        self._text = text
        self._callbacks = callbacks
        self._is_html = is_html
        self._pieces: list[str] = []
        self._at = 0

    def run(self) -> str:
        inside, depth = "", 0
        for tag in read_tags(self._text):
            if inside:
                depth += (tag.name == inside) * (-1 if tag.is_end else not tag.is_empty)
                if depth:
                    continue
                self._mark(tag.start)
                inside = ""
            if tag.start < self._at:
                continue  # within a script
            self._gap(tag.start)
            if self._tag(tag) and not tag.is_empty and tag.name.lower() not in _VOID:
                inside, depth = tag.name, 1
            elif self._is_html and not tag.is_end and tag.name.lower() in _RAW_END:
                self._raw(_RAW_END[tag.name.lower()])
        if inside:
            self._mark(len(self._text))
        self._gap(len(self._text))
        return "".join(self._pieces)

    def _mark(self, end: int) -> None:
        """All from here to `end` is what a secret element holds."""
        content = self._text[self._at : end]
        is_secret = bool(content.strip())
        self._pieces.append(self._callbacks.mark(unescape(content)) if is_secret else content)
        self._at = end

    def _raw(self, end: "re.Pattern[str]") -> None:
        found = end.search(self._text, self._at)
        stop = found.start() if found else len(self._text)
        self._pieces.append(self._redacted(self._text[self._at : stop]))
        self._at = stop

    def _redacted(self, raw: str) -> str:
        return self._callbacks.redact_text(raw) if raw.strip() else raw

    def _tag(self, tag: Tag) -> bool:
        """Write a tag; True if what it holds is a secret."""
        is_secret = not tag.is_end and (is_secret_name(tag.name) or any(map(_names_secret, tag.attributes)))
        for name, raw, (start, end) in tag.attributes:
            self._pieces.append(self._text[self._at : start])
            self._pieces.append(self._attribute(name, raw, start, is_secret))
            self._at = end
        self._pieces.append(self._text[self._at : tag.end])
        self._at = tag.end
        return is_secret

    def _attribute(self, name: str, raw: str, start: int, is_secret: bool) -> str:
        if not raw.strip():
            return raw
        plain = unescape(raw)
        if is_secret_name(name) or (is_secret and name.lower() in _VALUE_ATTRIBUTES):
            return self._callbacks.mark(plain)
        redacted = self._callbacks.redact_text(plain)
        if redacted == plain:
            return raw
        written = escape(redacted)
        return written if self._text[start - 1 : start] in ("'", '"') else f'"{written}"'

    def _gap(self, end: int) -> None:
        """What stands between two tags."""
        for found in _GAP.finditer(self._text, self._at, end):
            kind = found.lastgroup if found["open"] is None else "comment"
            assert kind is not None
            raw = found[kind]
            written = self._character_data(raw) if kind == "text" else self._other(raw)
            self._pieces.append(self._text[found.start() : found.start(kind)] + written)
            self._pieces.append(self._text[found.end(kind) : found.end()])
        self._at = max(self._at, end)

    def _character_data(self, raw: str) -> str:
        if not raw.strip():
            return raw
        plain = unescape(raw)
        redacted = self._callbacks.redact_text(plain)
        return raw if redacted == plain else escape(redacted, quote=False)

    def _other(self, raw: str) -> str:
        return raw if _DECLARATION.fullmatch(raw) else self._redacted(raw)


def _names_secret(attribute: tuple[str, str, tuple[int, int]]) -> bool:
    return attribute[0].lower() in _NAMING_ATTRIBUTES and is_secret_name(attribute[1])
