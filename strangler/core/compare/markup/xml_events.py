"""XML read by expat: no entity is declared or expanded, and nothing is fetched."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html.entities import html5
from xml.parsers import expat

_REFERENCE = re.compile(r"&([A-Za-z][A-Za-z0-9]*;)")
_PREDEFINED = frozenset(["amp;", "lt;", "gt;", "quot;", "apos;"])
_SEPARATOR = " "
"""Between a namespace's URI and a local name; no URI has it."""


@dataclass(frozen=True, slots=True)
class XmlEvents:
    """The handlers of a document's parts, called in its order. CDATA is text like any other."""

    start: Callable[[str, Mapping[str, str]], None]
    end: Callable[[str], None]
    characters: Callable[[str], None]
    comment: Callable[[str], None] | None = None
    instruction: Callable[[str, str], None] | None = None


class _DeclaresEntityError(Exception):
    """The document type declares an entity."""


def read_xml(text: str, events: XmlEvents, *, has_namespaces: bool = True) -> bool:
    """False if the text does not parse, or declares an entity. With `has_namespaces` names are `URI local`, else as
    they are written. Of a document with an external DTD, which is not read, the entities of HTML are known."""
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
    """The text with `&nbsp;` and its like as characters, if a DTD might define them: XHTML's does."""
    if "<!DOCTYPE" not in text or "&" not in text:
        return text
    return _REFERENCE.sub(_character, text)


def _character(found: re.Match[str]) -> str:
    name = found[1]
    return found[0] if name in _PREDEFINED else html5.get(name, found[0])
