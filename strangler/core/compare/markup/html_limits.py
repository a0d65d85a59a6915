"""Limits on the HTML that is read: a conforming parser takes quadratic time, or memory, for some unusual input.

Each end tag searches the open elements, each attribute is compared with those before it, and an unclosed `<b id=…>` is
opened again in every paragraph that follows (WHATWG HTML, 13.2.4.3).
"""

import re

MAX_DEPTH = 2000
MAX_ATTRIBUTES = 2000
"""Attributes of one tag."""
MAX_REOPENED = 300_000
"""Elements that are opened again because nothing closed them, about 400 bytes each."""

_FEW_TAGS = 8000
"""The number of nested open elements that costs 100 ms."""
_FEW_CHARACTERS = 16_000
"""The length up to which no tag can have so many attributes that it costs 100 ms."""
_CAPTURED = 300

_ATTRIBUTE = r"[^\s/>][^\s/>=]*+(?:\s*+=\s*+(?:\"[^\"]*+\"?|'[^']*+'?|[^\s>\"'][^\s>]*+)?)?+"
_ATTRIBUTES = rf"(?:[\s/]*+{_ATTRIBUTE})*+"
_FEW_ATTRIBUTES = rf"(?:[\s/]*+{_ATTRIBUTE}){{0,200}}+[\s/]*+(?:>|\Z)"
_NO_TAG = r"<!--(?:-?>|(?:[^-]++|-(?!-!?>))*+(?:--!?>)?)|<(?:[!?](?!--)|/(?![A-Za-z]))[^>]*+>?"
"""Comments, declarations, and what is parsed as a comment."""
_RAW = ("script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes")
_RAW_TEXT = {name: rf"(?:[^<]++|<(?!/{name}[\s/>]))*+" for name in _RAW}
_ANY_RAW = rf"(?:{'|'.join(_RAW)})(?=[\s/>])"
_TOKEN = re.compile(
    rf"{_NO_TAG}|<(?P<raw>{'|'.join(_RAW)})(?=[\s/>])(?P<held>{_ATTRIBUTES})[\s/]*+>?"
    rf"|<(?P<close>/?)(?P<name>[A-Za-z][^\s/>]*+)(?P<attributes>{_ATTRIBUTES})(?P<slash>[\s/]*+)>?",
    re.IGNORECASE,
)
_RAW_ENDS = {name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE) for name in _RAW}
_ONE = re.compile(_ATTRIBUTE)
_ORDINARY = re.compile(  # without groups: Python's possessive repetition loses count of them
    rf"(?:[^<]++|<(?![A-Za-z!?/])|</?(?!{_ANY_RAW})[A-Za-z][^\s/>]*+{_FEW_ATTRIBUTES}|"
    + "|".join(rf"<{name}(?=[\s/>]){_FEW_ATTRIBUTES}{_RAW_TEXT[name]}" for name in _RAW)
    + rf"|</[A-Za-z][^\s/>]*+{_FEW_ATTRIBUTES}|{_NO_TAG})*+",
    re.IGNORECASE,
)
"""The start of a text that certainly has no tag with many attributes."""


def words(text: str) -> frozenset[str]:
    """Return the set of words in a text."""
    return frozenset(re.findall(r"\S+", text))


_FORMATTING = words("b big code em font i s small strike strong tt u")
_PHRASES = _FORMATTING | words("a abbr bdi bdo cite data del dfn ins kbd label mark nobr q samp span sub sup time var")
_ENDED_BY_OTHERS = words("p li dt dd option optgroup rb rp rt rtc tr td th tbody thead tfoot colgroup")
VOID = words("area base basefont bgsound br col embed frame hr img input keygen link meta param source track wbr")
"""Elements without content and end tag."""
_VOID = VOID | words("body head html image")
_FOREIGN = words("svg math")
_SCOPES = words("applet button caption desc foreignobject html marquee object table template title") | _FOREIGN
_START = re.compile("<[A-Za-z]")
_HAS_FOREIGN = re.compile(r"<(?:svg|math)[\s/>]", re.IGNORECASE)
_CDATA_OR_RAW = re.compile(
    r"<!\[CDATA\[.*?(?:\]\]>|\Z)|</?(?:script|style|textarea|title|xmp)(?=[\s/>])", re.DOTALL | re.I
)
_FORMATTING_START = re.compile(
    rf"<({'|'.join(sorted(_FORMATTING))})(?:(>)|(?=[\s/]([^>]{{0,{_CAPTURED}}})))", re.IGNORECASE
)


def is_readable_html(text: str) -> bool:
    """Return False if parsing the text could take long; the estimate is never too low."""
    is_readable = _is_cheap(text) or _is_bounded(text)
    if is_readable and _HAS_FOREIGN.search(text):  # inside them CDATA exists, and no element has raw text
        plain = _CDATA_OR_RAW.sub(" ", text)
        return _is_cheap(plain) or _is_bounded(plain)
    return is_readable


def _is_cheap(text: str) -> bool:
    """Return True if no nesting of tags could make the text costly: a check for most pages, in a third of the time."""
    tags = text.count("<")
    if tags > _FEW_TAGS and (tags := len(_START.findall(text))) > _FEW_TAGS:
        return False
    if len(text) > _FEW_CHARACTERS and _ORDINARY.match(text).end() < len(text):  # type: ignore[union-attr]
        return False
    formatting = set(_FORMATTING_START.findall(text))
    if any(len(written) >= _CAPTURED or not _is_whole(written) for _, _, written in formatting):
        return False
    return 3 * len(formatting) * tags <= MAX_REOPENED


def _is_whole(attributes: str) -> bool:
    """Return False if the attributes may go on after the `>` at which they were cut."""
    return attributes.count('"') % 2 == 0 and attributes.count("'") % 2 == 0


def _is_bounded(text: str) -> bool:
    state = _OpenState()
    at = 0
    while token := _TOKEN.search(text, at):
        at = token.end()
        raw = token["raw"]
        held = token["held"] if raw else token["attributes"]
        if held and len(held) > MAX_ATTRIBUTES and sum(1 for _ in _ONE.finditer(held)) > MAX_ATTRIBUTES:
            return False
        if raw:
            end = _RAW_ENDS[raw.lower()].search(text, at)
            at = end.start() if end is not None else len(text)
        elif name := token["name"]:
            if token["close"]:
                state.end(name.lower())
            elif not state.start(name.lower(), token["attributes"], is_closed=token["slash"].endswith("/")):
                return False
    return True


class _OpenState:
    """The elements that may be open, rather too many than too few."""

    __slots__ = ("_active", "_foreign", "_formatting", "_reopened", "_stack")

    def __init__(self) -> None:
        self._stack: list[str] = []
        self._foreign = 0
        self._formatting: dict[str, dict[str, int]] = {name: {} for name in _FORMATTING}
        """How many of each tag, by name and attributes, would be opened again: at most three."""
        self._active = 0
        self._reopened = 0

    def start(self, name: str, attributes: str, *, is_closed: bool) -> bool:
        """Open an element; return False if there are too many."""
        if self._foreign:
            if is_closed:
                return True
        elif name in _VOID:
            return True
        self._reopened += self._active
        if name in _FORMATTING:
            alike = self._formatting[name]
            if alike.get(attributes, 0) < 3:
                alike[attributes] = alike.get(attributes, 0) + 1
                self._active += 1
        if self._foreign or name not in _ENDED_BY_OTHERS:
            self._stack.append(name)
            self._foreign += name in _FOREIGN
        return len(self._stack) <= MAX_DEPTH and self._reopened <= MAX_REOPENED

    def end(self, name: str) -> None:
        """Close what this end tag certainly closes: an element in which only phrasing elements are open."""
        if name in _FORMATTING and self._is_in_scope(name):
            self._forget(name)
        at = len(self._stack) - 1
        if at >= 0 and self._stack[at] == name:
            self._pop(at)
        else:
            while at >= 0 and self._stack[at] != name and self._stack[at] in _PHRASES:
                at -= 1
            if at >= 0 and self._stack[at] == name and not self._foreign:
                self._pop(at)

    def _pop(self, at: int) -> None:
        for name in self._stack[at:]:
            self._foreign -= name in _FOREIGN
        del self._stack[at:]

    def _is_in_scope(self, name: str) -> bool:
        """Return True if no other element may end the search for an open element of this name."""
        for above in reversed(self._stack[-64:]):
            if above == name:
                return True
            if above in _SCOPES:
                return False
        return len(self._stack) < 64

    def _forget(self, name: str) -> None:
        alike = self._formatting[name]
        if alike:
            attributes, count = alike.popitem()
            self._active -= 1
            if count > 1:
                alike[attributes] = count - 1
