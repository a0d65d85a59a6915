"""The `css` of accept rules: the elements of a page that a rule covers, or their texts or attributes."""

import re
from dataclasses import dataclass
from functools import lru_cache

from selectolax.lexbor import LexborHTMLParser, SelectolaxError

MAX_SELECTOR = 1000
"""The most characters of one selector."""

_PART = re.compile(r"(?P<selector>.*)::(?P<part>text|attr\(\s*(?P<attribute>[^\s()]+)\s*\))\Z", re.DOTALL)
_IDENTIFIER = r"(?:\\[0-9a-fA-F]{1,6}\s?|\\[^\n0-9a-fA-F]|[\w\-]|[^\x00-\x7f])+"
_SIMPLE = re.compile(
    rf"(?P<sign>[.#]?)(?P<name>{_IDENTIFIER})"
    rf"|\[\s*(?P<attribute>{_IDENTIFIER})\s*(?:=\s*(?:\"(?P<double>(?:[^\"\\]|\\.)*)\"|'(?P<single>(?:[^'\\]|\\.)*)'"
    rf"|(?P<bare>{_IDENTIFIER}))\s*)?\]"
    r"|(?P<nth>:nth-child\(\s*[0-9]+\s*\))"
    r"|(?P<any>\*)",
    re.DOTALL,
)
_COMBINATOR = re.compile(r"\s*(?P<child>>)\s*|(?P<deep>\s+)")
_ESCAPE = re.compile(r"\\(?:([0-9a-fA-F]{1,6})\s?|(.))", re.DOTALL)
_PLAIN = re.compile(r"[a-zA-Z_\u0080-\U0010ffff-][\w\u0080-\U0010ffff-]*\Z", re.ASCII)


class SelectorError(ValueError):
    """A rule's `css` that cannot be read; the message has the reason and the way out."""


@dataclass(frozen=True, slots=True)
class CssRule:
    """A rule's `css`. It covers the elements that `selector` matches and all in them; with `is_text` only their own
    text, with `attribute` only this attribute of theirs."""

    selector: str
    is_text: bool = False
    attribute: str | None = None

    @property
    def is_whole(self) -> bool:
        """Return True if the rule covers the elements and all in them."""
        return not self.is_text and self.attribute is None


@dataclass(frozen=True, slots=True)
class Compound:
    """The conditions of a selector on one element, as pairs of a sign and a name: `("", "main")`, `(".", "price")`,
    `("[name=", "q")`. `is_child`: the element is a child of the one before it, not just a descendant."""

    parts: frozenset[tuple[str, str]]
    is_child: bool = False


@lru_cache(1024)
def parse_css(text: str) -> CssRule:
    """Read `SELECTOR`, `SELECTOR::text` and `SELECTOR::attr(name)`. Raises SelectorError."""
    text = text.strip()
    if not text or len(text) > MAX_SELECTOR:
        raise SelectorError(f"{text[:60]!r} is not a selector; write one of 1 to {MAX_SELECTOR} characters")
    found = _PART.match(text)
    rule = CssRule(text)
    if found is not None:
        attribute = found["attribute"]
        rule = CssRule(found["selector"].strip(), attribute is None, attribute.lower() if attribute else None)
        if has_comma(rule.selector):
            raise SelectorError(f"{text!r} has ::{found['part']} after a list; write one rule for each selector")
    if "::" in without_strings(rule.selector):
        raise SelectorError(f"{text!r} has a pseudo-element; only ::text and ::attr(name), at the end, are supported")
    if not rule.selector or not _is_readable(rule.selector):
        raise SelectorError(f"{text!r} is not a CSS selector; write one such as main > .price")
    return rule


def _is_readable(selector: str) -> bool:
    try:
        LexborHTMLParser("").css(selector)
    except (SelectolaxError, ValueError):
        return False
    return True


def without_strings(selector: str) -> str:
    """Return the selector without its escapes and quoted strings."""
    return re.sub(r"\\.|\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'", "", selector, flags=re.DOTALL)


def has_comma(selector: str) -> bool:
    """Return True if the selector is a list of selectors: it has a comma outside brackets."""
    plain = without_strings(selector)
    while (inner := re.sub(r"\([^()]*\)", "", plain)) != plain:
        plain = inner
    return "," in plain


def escape_identifier(name: str) -> str:
    """Return the name as a CSS identifier (CSSOM section 2.1, `CSS.escape`)."""
    if _PLAIN.match(name) and not re.match(r"-(?:[0-9]|\Z)", name):
        return name
    escaped = []
    for at, char in enumerate(name):
        if char == "\0":
            escaped.append("\ufffd")
        elif ord(char) < 0x20 or char == "\x7f" or (char.isdigit() and char.isascii() and _is_leading(name, at)):
            escaped.append(f"\\{ord(char):x} ")
        elif re.match(r"[\w\u0080-\U0010ffff-]", char, re.ASCII) and name != "-":
            escaped.append(char)
        else:
            escaped.append(f"\\{char}")
    return "".join(escaped)


def _is_leading(name: str, at: int) -> bool:
    return at == 0 or (at == 1 and name[0] == "-")


def quoted(value: str) -> str:
    """Return the value as a CSS string (CSSOM section 2.1, serialize a string)."""
    pieces = (
        f"\\{ord(char):x} " if ord(char) < 0x20 or char == "\x7f" else f"\\{char}" if char in '"\\' else char
        for char in value
    )
    return '"' + "".join(pieces) + '"'


@lru_cache(1024)
def compounds_of(selector: str) -> tuple[Compound, ...] | None:
    """Return the compounds of a selector; None if it is a list, or has a part that depends on other elements."""
    compounds: list[Compound] = []
    at, is_child = 0, False
    while True:
        parts, after = _parts(selector, at)
        if after == at:
            return None
        compounds.append(Compound(frozenset(parts), is_child))
        if after == len(selector):
            return tuple(compounds)
        found = _COMBINATOR.match(selector, after)
        if found is None:
            return None
        at, is_child = found.end(), found["child"] is not None


def _parts(selector: str, at: int) -> tuple[list[tuple[str, str]], int]:
    parts: list[tuple[str, str]] = []
    while found := _SIMPLE.match(selector, at):
        if parts and found["any"] is None and found["attribute"] is None and found["nth"] is None and not found["sign"]:
            break  # a tag comes first
        parts += _part(found)
        at = found.end()
    return parts, at


def _part(found: re.Match[str]) -> list[tuple[str, str]]:
    if found["any"]:
        return []
    if found["nth"]:
        return [(":", re.sub(r"\s", "", found["nth"]))]
    if found["attribute"] is None:
        name = _unescaped(found["name"])
        return [(found["sign"], name if found["sign"] else name.lower())]
    value = next((found[group] for group in ("double", "single", "bare") if found[group] is not None), None)
    name = _unescaped(found["attribute"]).lower()
    return [("[" + name, "")] if value is None else [("[" + name + "=", _unescaped(value))]


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda found: _character(found[1]) if found[1] else found[2], text)


def _character(digits: str) -> str:
    code = int(digits, 16)
    return chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd"
