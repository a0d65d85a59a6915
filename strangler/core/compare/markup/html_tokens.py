"""Values of a page that are generated for one request: CSRF fields, nonces, and their repetitions.

On both sides they are replaced by one mark, so that two pages differ by them only if one of them has none.
"""

import json
import re
from collections.abc import Container, Iterable
from html import escape
from urllib.parse import quote

from strangler.core.compare.markup.elements import Element

MARK = "\u2039token\u203a"
"""The text in place of such a value."""

MAX_TOKENS = 64
"""The most values of one page whose repetitions are searched for."""
MIN_REPEATED = 8
"""The fewest characters of a value whose repetitions are searched for; shorter ones could occur by chance."""

_FIELD = re.compile(
    r"""
      .*(?:csrf|xsrf|anti-?forgery).*                     # Django, Flask, Spring, Yii, CakePHP, Angular
    | .*authenticity[_-]?token                            # Rails
    | .*request[_-]?verification[_-]?token                # ASP.NET
    | (?:.*\[)?_?token\]?                                 # Laravel `_token`, Symfony `form[_token]`
    | form_(?:token|build_id|key)                         # Drupal, phpBB, Magento
    | .*wpnonce | (?:.*[_-])?nonce                        # WordPress
    | wpEditToken | wpLoginToken | securityToken          # MediaWiki, vBulletin
    | __viewstate(?:encrypted|generator)? | __eventvalidation | __requestdigest   # ASP.NET Web Forms, SharePoint
    | javax\.faces\.ViewState | jakarta\.faces\.ViewState
    | org\.apache\.struts\.taglib\.html\.TOKEN | struts\.token
    | __(?:trustedProperties|referrer\[@?request\])       # TYPO3
    """,
    re.IGNORECASE | re.VERBOSE,
)
_KNOWN = r".*(?:csrf|xsrf)(?!.*(?:param|header|name|field)).*|.*authenticity[_-]?token|(?:.*[_-])?nonce"
_META = re.compile(rf"{_KNOWN}|_?token", re.IGNORECASE)
_DATA = re.compile(rf"data-(?:{_KNOWN})", re.IGNORECASE)
_WORDS = r"(?:csrf|xsrf|authenticity_?token|request_?verification_?token|wpnonce|nonce)"
_NAMES = rf"[\w$.\[\]-]{{0,64}}{_WORDS}[\w$\]-]{{0,64}}+"
_ASSIGNED = re.compile(
    rf"((?<![\w$.\[\]-])[\"']?{_NAMES}[\"']?\s{{0,20}}+[:=]\s{{0,20}}+)([\"'])"
    rf"([^\"'\\\s]{{{MIN_REPEATED},512}}+)\2",
    re.IGNORECASE,
)
_NO_TOKEN_NAME = re.compile(r"(?:param|header|name|field)s?[\"'\]]?\s*[:=]\s*\Z", re.IGNORECASE)
_QUERY = re.compile(rf"([?&;](?:{_NAMES}|_token|form_key)=)[^&;#\"'\s]+", re.IGNORECASE)
_URLS = frozenset(["href", "src", "action", "formaction", "data-url", "data-href", "data-action", "content"])
_LONGEST_NAME = 200
_MADE = re.compile(r"\d|[a-z][A-Z]|[A-Z][a-z].*[A-Z]|.{20}", re.DOTALL)
"""A value that is not a word, since a word could occur in the page anyway."""
_HOLDERS = frozenset(["input", "meta"])
_HINTS = ("csrf", "xsrf", "nonce", "authenticity", "verification", "_token=", "form_key=")
"""Every name of a token in scripts, URLs and `data-` attributes contains one of these."""
_IN_DATA = re.compile(r"data-[\w-]{0,64}(?:csrf|xsrf|nonce|authenticity)")
_NAMED = re.compile(rf"{_WORDS}[\w$\]-]{{0,64}}+[\"']?\s{{0,20}}+[:=]|[?&;](?:_token|form_key)=", re.IGNORECASE)
"""A cheap test whether `_ASSIGNED` or `_QUERY` may match."""


class _Everything:
    def __contains__(self, name: object) -> bool:
        return True


class TokenState:
    """The recognised values of one page. `see` is called for each element while the page's tree is built."""

    __slots__ = ("_has_names", "_text", "_values", "may_hold")

    def __init__(self, text: str) -> None:
        """Prepare for a page. `text` is its source."""
        self._text = text
        self._values: set[str] = set()
        folded = text.lower()
        self._has_names = any(hint in folded for hint in _HINTS)
        is_in_data = self._has_names and "data-" in folded and _IN_DATA.search(folded) is not None
        self.may_hold: Container[str] = _Everything() if is_in_data else _HOLDERS
        """The names of elements that may have a token, besides those with a nonce."""

    def see(self, element: Element) -> None:
        """Replace the tokens that are known by the element's name and attributes alone."""
        attributes = element.attributes
        if "nonce" in attributes:
            self._take(attributes, "nonce")
        name = element.name
        if name == "input" and "value" in attributes and _is_field(attributes):
            self._take(attributes, "value")
        elif name == "meta" and "content" in attributes:
            known_by = attributes.get("name") or attributes.get("property") or ""
            if len(known_by) <= _LONGEST_NAME and _META.fullmatch(known_by):
                self._take(attributes, "content")
        for key in attributes:
            if key.startswith("data-") and len(key) <= _LONGEST_NAME and _DATA.fullmatch(key):
                self._take(attributes, key)

    def _take(self, attributes: dict[str, str], key: str) -> None:
        value = attributes[key]
        if not value.strip():
            return
        attributes[key] = MARK
        if len(value) >= MIN_REPEATED and _MADE.search(value) and len(self._values) < MAX_TOKENS:
            self._values.add(value)

    def replace_elsewhere(self, elements: Iterable[Element]) -> None:
        """Replace repetitions in texts, scripts and attributes, and tokens by their names in scripts and URLs."""
        repeated = _any_of(self._values, self._text)
        if repeated is None and not (self._has_names and _NAMED.search(self._text)):
            return  # most pages: saves 10 ms for 256 KiB
        for element in elements:
            attributes = element.attributes
            for key, value in attributes.items():
                if len(value) >= MIN_REPEATED:
                    if repeated is not None:
                        value = repeated.sub(MARK, value)
                    attributes[key] = _QUERY.sub(_marked_query, value) if "=" in value and key in _URLS else value
            children = element.children
            for at, child in enumerate(children):
                if type(child) is str and len(child) >= MIN_REPEATED:
                    text = repeated.sub(MARK, child) if repeated is not None else child
                    children[at] = _script(text) if element.name == "script" else text


def _is_field(attributes: dict[str, str]) -> bool:
    name = attributes.get("name") or attributes.get("id") or ""
    if attributes.get("type", "").lower() != "hidden" or len(name) > _LONGEST_NAME:
        return False
    return _FIELD.fullmatch(name) is not None


def _any_of(values: set[str], source: str) -> re.Pattern[str] | None:
    """Return a pattern of the values that may be repeated in the source: literally, in a URL, or in a script."""
    written: set[str] = set()
    for value in values:
        others = {quote(value, safe=""), json.dumps(value)[1:-1], value.replace("/", "\\/"), escape(value)} - {value}
        if source.count(value) != 1 or any(other in source for other in others):
            written |= {value, *others}
    if not written:
        return None
    return re.compile("|".join(re.escape(value) for value in sorted(written, key=lambda text: (-len(text), text))))


def _marked_query(found: re.Match[str]) -> str:
    return found[1] + MARK


def _script(text: str) -> str:
    return _ASSIGNED.sub(_marked_value, text) if "=" in text or ":" in text else text


def _marked_value(found: re.Match[str]) -> str:
    if _NO_TOKEN_NAME.search(found[1]):  # csrfHeaderName: "X-CSRF-TOKEN" is the same in all responses
        return found[0]
    return f"{found[1]}{found[2]}{MARK}{found[2]}"
