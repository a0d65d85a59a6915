"""Places in HTML as people write them, `main > .price` and `main > a::attr(href)`, and the rules that cover them.

The first character tells what a body's place is in: `$` JSON, or a whole body; `/` XML; else HTML.
"""

import re
from collections.abc import Callable, Mapping, Sequence

from strangler.core.compare.accept_rules.accept import Accept
from strangler.core.compare.accept_rules.css import (
    Compound,
    CssRule,
    SelectorError,
    compounds_of,
    escape_identifier,
    parse_css,
    quoted,
)
from strangler.core.compare.accept_rules.jsonpath import PatternError
from strangler.core.compare.accept_rules.xmlpath import parse_xml_path
from strangler.core.compare.model.values import Kind

MAX_STEPS = 12
"""Steps of a place; of one that is deeper the last ones are written."""

_MAX_WORD = 40
_MAX_COLUMN = 50

_ONCE = frozenset(["head", "header", "nav", "main", "footer"])
"""Landmarks that a page has once or hardly more often: their tag says more than a class of theirs."""
_LANDMARKS = _ONCE | {"aside", "article", "form"}
_ROOTS = frozenset(["html", "body"])
_FIELDS = frozenset(["input", "select", "textarea", "button", "output"])
_KNOWN_BY = {"meta": ("name", "property", "http-equiv", "itemprop"), "link": ("rel",), "param": ("name",)}
_STATES = frozenset(
    re.findall(
        r"\S+",
        "active alt checked clearfix closed collapse collapsed current disabled done enabled error even expanded fade"
        " first focus hidden hide hover in invalid is-active is-open last loaded loading new odd open out positive"
        " negative row1 row2 selected show success unread valid visible warning",
    )
)
"""Classes that say how an element is now, not which one it is."""
_JOINTS = re.compile(r"( > |/@?|::attr\()")
_WORD = re.compile(r"-?[^\W\d][\w-]*(?:__?[\w-]+)*\Z")
_MADE = re.compile(r"\d{3}|(?:\A|[-_])(?:sc|css|jsx|svelte|jss|makeStyles|emotion)-?_?[A-Za-z0-9]{4,}")
_MIXED = re.compile(r"(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z\d]{5,}\Z")
_ENDS_IN_NUMBER = re.compile(r"[A-Za-z]{3,}\d{1,2}\Z")
_RANDOM_CASE = re.compile(
    r"(?=(?:.*[A-Z]){2})(?=.*[a-z])(?![a-z]+(?:[A-Z][a-z]{2,})+\Z)(?!(?:[A-Z][a-z]{2,})+\Z)\w{5,8}\Z"
)


def is_stable_class(name: str) -> bool:
    """True for a class that is a word and says which element it is: not made by a build, not a state."""
    if len(name) > _MAX_WORD or not _WORD.match(name) or name.lower() in _STATES:
        return False
    return not _MADE.search(name) and not any(map(_is_made, re.split(r"[-_]+", name)))


def _is_made(part: str) -> bool:
    if _ENDS_IN_NUMBER.match(part):
        return False
    return bool(_MIXED.match(part) or _RANDOM_CASE.match(part))


def is_stable_name(name: str) -> bool:
    """True for an id, or the name of a field, that does not change from page to page: it has no number in it."""
    return (
        bool(name)
        and len(name) <= _MAX_WORD
        and not re.search(r"[\d\s@]", name)
        and not any(map(_is_made, re.split(r"\W|_", name)))
    )


def step_of(name: str, sides: Sequence[Mapping[str, str]], column: int | None = None) -> str:
    """One step of a place, by what all `sides` of an element have in common. `column`: place among its siblings."""
    identity = _shared(sides, "id")
    if identity is not None and is_stable_name(identity):
        return "#" + escape_identifier(identity)
    tag = escape_identifier(name)
    if name in _ONCE or name in _ROOTS:
        return tag
    for attribute in ("name",) if name in _FIELDS else _KNOWN_BY.get(name, ()):
        value = _shared(sides, attribute)
        if value is not None and (is_stable_name(value) or name == "meta"):
            return f"{tag}[{attribute}={quoted(value)}]"
    classes = [side.get("class", "").split() for side in sides]
    for word in classes[0]:
        if is_stable_class(word) and all(word in others for others in classes[1:]):
            return "." + escape_identifier(word)
    if name in ("td", "th") and column is not None and column <= _MAX_COLUMN:
        return f"{tag}:nth-child({column})"
    return tag


def _shared(sides: Sequence[Mapping[str, str]], attribute: str) -> str | None:
    values = {side.get(attribute) for side in sides}
    value = values.pop()
    return value if not values and value and len(value) <= _MAX_WORD else None


def below(chain: tuple[str, ...], name: str, step: str) -> tuple[str, ...]:
    """The steps of an element within the element whose steps are `chain`: they begin at the nearest landmark."""
    if name in _LANDMARKS or name in _ROOTS or step.startswith("#") or chain in (("html",), ("body",)):
        return (step,)
    return (*chain, step)[-MAX_STEPS:]


def write_place(chain: tuple[str, ...], attribute: str | None = None) -> str:
    """`("main", ".price")` -> `main > .price`."""
    place = " > ".join(chain) or "html"
    return place if attribute is None else f"{place}::attr({attribute})"


def redacted_place(place: str, redact_text: Callable[[str], str]) -> str:
    """The place with each name in it redacted for itself: `#token::attr(value)` gives no value to a secret."""
    return "".join(part if at % 2 else redact_text(part) for at, part in enumerate(_JOINTS.split(place)))


def covers_place(rule: str, place: str, kind: str | None = None) -> bool:
    """True if a rule's `css`, or its path into XML, surely covers every difference of this kind at a written place.

    `kind` None: of any kind. `rule` may be `$`, which covers every place. When in doubt the answer is False: a place
    tells less than the document it was found in.
    """
    if rule == "$":
        return True
    if place.startswith("$"):
        return False
    if rule.startswith("/") or place.startswith("/"):
        return rule.startswith("/") and place.startswith("/") and _covers_xml(rule, place)
    try:
        wanted = parse_css(rule)
    except SelectorError:
        return False
    return _covers_html(wanted, place, kind)


def accept_covers_place(rule: Accept, place: str, kind: str | None = None) -> bool:
    """`covers_place` for a compiled rule. Its kind, endpoint, end and values are the caller's to look at."""
    if rule.css is not None:
        return not place.startswith(("$", "/")) and _covers_html(rule.css, place, kind)
    if rule.xml is not None:
        return place.startswith("/") and rule.xml.reach(place[1:].split("/")) is not None
    return rule.pattern is not None and not rule.pattern.segments


def _covers_xml(rule: str, place: str) -> bool:
    try:
        return parse_xml_path(rule).reach(place[1:].split("/")) is not None
    except PatternError:
        return False


def _covers_html(wanted: CssRule, place: str, kind: str | None) -> bool:
    try:
        at = parse_css(place)
    except SelectorError:
        return False
    if wanted.is_text and (at.attribute is not None or kind != Kind.VALUE):
        return False
    if wanted.attribute is not None and wanted.attribute != at.attribute:
        return False
    if wanted.selector == at.selector:
        return True
    chain, selector = compounds_of(at.selector), compounds_of(wanted.selector)
    if chain is None or selector is None:
        return False
    known = _known_chain(chain)
    selected = _selected(selector, known)
    return bool(selected) if wanted.is_whole else len(known) - 1 in selected


def _known_chain(chain: tuple[Compound, ...]) -> tuple[Compound, ...]:
    """The elements that a place tells of, outermost first: every one of a page is in `html`."""
    html, body = Compound(frozenset([("", "html")])), Compound(frozenset([("", "body")]), is_child=True)
    first = {name for sign, name in chain[0].parts if not sign}
    if first & {"html", "body", "head"}:
        return chain if "html" in first else (html, Compound(chain[0].parts, is_child=True), *chain[1:])
    is_known = not any(sign == "#" for sign, _ in chain[0].parts)  # `#state` may be a script of the head
    return (html, body, *chain) if is_known else (html, *chain)


def _selected(selector: tuple[Compound, ...], chain: tuple[Compound, ...]) -> set[int]:
    """Places in the chain of elements that the selector surely names."""
    before: set[int] = set()
    for at, wanted in enumerate(selector):
        named = {place for place, known in enumerate(chain) if wanted.parts <= known.parts}
        if at and wanted.is_child:
            named = {place for place in named if place - 1 in before and chain[place].is_child}
        elif at:
            named = {place for place in named if before and place > min(before)}
        before = named
    return before


def rule_for_place(place: str, kind: str) -> tuple[str, str]:
    """The key and the value of the narrowest accept rule for differences of this kind at a written place.

    `("css", "main > .price::text")` for a text, `("css", "main > a::attr(href)")` for an attribute, `("css", "main >
    .price")` for an element, `("path", "/feed/entry/title")` for XML, `("path", "$.total")` for JSON.
    """
    if place.startswith(("$", "/")):
        return "path", place
    if kind == Kind.VALUE and "::attr(" not in place:
        return "css", f"{place}::text"
    return "css", place
