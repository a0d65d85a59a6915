"""The classes of words, which fold together: files of one ending, words with a number, slugs, and all words.

Control's tree uses it. A class is narrow or wide; a word is looked at in its narrowest class first.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from strangler.core.ledger.segments import HOLE, REST
from strangler.core.ledger.value_forms import is_odd, is_version, numbered_prefix
from strangler.core.ledger.well_known import EXTENSIONS, LANGUAGES, ON_ALL_RESOURCES

OVERFLOW = "…"
"""The segment in the place of all that no bound has room for."""


class Form(StrEnum):
    """How likely words of a class are values."""

    NUMBERED = "numbered"  # step1, page-2
    DATE = "date"  # 2010-04-01
    NAME = "name"  # jane.doe
    CODED = "coded"  # depot-nord-11, sonic-mini-128gb
    ODD = "odd"  # UIGwakoPKThx
    SLUG = "slug"  # my-first-post-here
    PARAMETER = "parameter"  # ?action=list
    WORD = "word"


@dataclass(frozen=True, slots=True)
class WordClass:
    """Words under one parent that fold together into the segment `folded`, such as `{}.html`."""

    form: Form
    folded: str

    @property
    def name(self) -> str:
        """Return the key by which the class is stored."""
        return f"{self.form} {self.folded}"


@lru_cache(16384)
def classes_of(text: str) -> tuple[WordClass, ...]:
    """Return the classes of a segment of a first template, the narrowest first; a value has none."""
    if text in ("", HOLE, REST, OVERFLOW):
        return ()
    if text[0] in "?&#":
        return (WordClass(Form.PARAMETER, text.partition("=")[0] + "=" + HOLE),)
    stem, dot, ending = text.rpartition(".")
    if not (stem and dot and ending.lower() in EXTENSIONS):
        stem, ending = text, ""
    if stem == HOLE or text.startswith((HOLE + ":", HOLE + ".")):
        return ()
    tail = f".{ending}" if ending else ""
    return (*_narrow(stem, tail), WordClass(Form.WORD, HOLE + tail))


def _narrow(stem: str, tail: str) -> tuple[WordClass, ...]:
    prefix = numbered_prefix(stem)
    if prefix is not None and not _is_version_name(stem):
        return (WordClass(Form.NUMBERED, prefix + HOLE + tail),)
    if is_version(stem):
        return (WordClass(Form.DATE, HOLE + tail),)
    if _is_slug(stem):
        return (WordClass(Form.SLUG, HOLE + tail),)
    if _PERSON.fullmatch(stem):
        return (WordClass(Form.NAME, HOLE + tail),)
    if _CODED.fullmatch(stem) and not is_fixed_form(stem):
        return (WordClass(Form.CODED, HOLE + tail),)
    return (WordClass(Form.ODD, HOLE + tail),) if is_odd(stem) and not is_fixed_form(stem) else ()


def _is_slug(stem: str) -> bool:
    """Return True for a text of many words (`my-first-post-here`), and for a shorter one with a hole in it."""
    count = len(_SEPARATOR.findall(stem))
    return count >= 3 or (count >= 2 and (len(stem) >= 18 or not stem.isascii() or HOLE in stem))


_SEPARATOR = re.compile(r"(?<=[^\W_])(?:[-_+,]|%20)+(?=\w|\{)")
_PERSON = re.compile(r"[^\W\d_]+\.[^\W\d_]+(?:\.[^\W\d_]+)?\d{0,4}")
_CODED = re.compile(r"(?=\D*\d)[A-Za-z0-9]+(?:[-_.][A-Za-z0-9]+)+", re.ASCII)
_VERSION_NAME = re.compile(r"v\d{1,3}(?:\.\d{1,3}){0,2}(?:alpha|beta)?\d?", re.IGNORECASE | re.ASCII)
_LOCALE = re.compile(r"([a-z]{2})(?:[-_](?:[A-Za-z]{2}|[A-Z][a-z]{3}))?", re.ASCII)


def _is_version_name(text: str) -> bool:
    return _VERSION_NAME.fullmatch(text) is not None


def is_fixed_form(text: str) -> bool:
    """Return True for `v1` and for locales (`en`, `de-AT`): words beside values too, if they are few and frequent."""
    locale = _LOCALE.fullmatch(text)
    return _is_version_name(text) or (locale is not None and locale[1] in LANGUAGES)


_IDENTIFIER = re.compile(
    r".*[a-z][A-Z].*"
    r"|.*\.(?:php\d?|phtml|aspx?|ashx|asmx|jspx?|jsf|faces|do|action|cgi|pl|py|cfm|seam|svc|js|mjs|css)",
    re.ASCII,
)
_HYPHENATED = re.compile(r".*\w-\w.*")
_PLURAL = re.compile(r"[a-z_-]{3,}(?<![su])s", re.ASCII)


def is_identifier(text: str) -> bool:
    """Return True for what a programmer has named: methods (`getOrder`), scripts and style sheets."""
    return _IDENTIFIER.fullmatch(text) is not None


def has_hole(text: str) -> bool:
    return HOLE in text


def has_hyphen(text: str) -> bool:
    return _HYPHENATED.fullmatch(text) is not None


def is_plural(text: str) -> bool:
    """Return True for a word that looks like a plural, so that single things may stand below it."""
    return _PLURAL.fullmatch(text) is not None


def is_on_all_resources(text: str) -> bool:
    """Return True for a segment that says nothing about its parent: a hole, `new`, `edit.php`."""
    return HOLE in text or text in ("", REST, OVERFLOW) or text.partition(".")[0].lower() in ON_ALL_RESOURCES


FORMATS = frozenset(["json", "xml", "html", "htm", "csv", "rss", "atom", "ics", "pdf", "xlsx", "jsonld", "yaml", "md"])
"""The endings that name a format of a resource, and not a kind of file: they fold with the words that have none."""
