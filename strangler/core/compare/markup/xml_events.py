"""Reading XML by expat: no entity is declared or expanded, and nothing is fetched."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html.entities import html5
from xml.parsers import expat

_REFERENCE = re.compile(r"&([A-Za-z][A-Za-z0-9]*;)")
_PREDEFINED = frozenset(["amp;", "lt;", "gt;", "quot;", "apos;"])
_SEPARATOR = " "
"""The separator of a namespace's URI and a local name; no URI contains it."""


@dataclass(frozen=True, slots=True)
class XmlEvents:
    """The handlers of a document's parts, called in document order. CDATA is text like any other."""

    start: Callable[[str, Mapping[str, str]], None]
    end: Callable[[str], None]
    characters: Callable[[str], None]
    comment: Callable[[str], None] | None = None
    instruction: Callable[[str, str], None] | None = None


class _DeclaresEntityError(Exception):
    """The document type declares an entity."""


def read_xml(text: str, events: XmlEvents, *, has_namespaces: bool = True) -> bool:
    """Read XML; return False if it does not parse, or declares an entity. With `has_namespaces` names are `URI local`,
    else as written. The entities of HTML are known in a document with a DTD; an external DTD is not read."""
    try:
        data = _known_entities(text).encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    parser = expat.ParserCreate("utf-8", _SEPARATOR if has_namespaces else None)
    parser.buffer_text, parser.buffer_size = True, len(data) + 1
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    parser.EntityDeclHandler = _refuse_entity
    parser.StartElementHandler = events.start
    parser.EndElementHandler = events.end
    parser.CharacterDataHandler = events.characters
    parser.SkippedEntityHandler = lambda name, is_parameter: events.characters(f"&{name};")
    if events.comment is not None:
        parser.CommentHandler = events.comment
    if events.instruction is not None:
        parser.ProcessingInstructionHandler = events.instruction
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, _DeclaresEntityError):
        return False
    return True


def _refuse_entity(*declaration: object) -> None:
    raise _DeclaresEntityError


def _known_entities(text: str) -> str:
    """Return the text with `&nbsp;` and the like as characters, if a DTD might define them, as XHTML's does."""
    if "<!DOCTYPE" not in text or "&" not in text:
        return text
    return _REFERENCE.sub(_character, text)


def _character(found: re.Match[str]) -> str:
    name = found[1]
    return found[0] if name in _PREDEFINED else html5.get(name, found[0])
