"""Parsing HTML as browsers do (WHATWG), to the library's nodes."""

import re

from selectolax.lexbor import LexborDocumentOptions, LexborHTMLParser, LexborNode

from strangler.core.compare.markup.html_limits import VOID as VOID
from strangler.core.compare.markup.html_limits import is_readable_html

RAW_TEXT = frozenset(["iframe", "noembed", "noframes", "plaintext", "script", "style", "xmp"])
"""Elements whose text is written literally, without character references."""

_TABLE_PART = re.compile(
    r"(?:\s|(?><!--.*?-->))*+<(?:tr|td|th|tbody|thead|tfoot|caption|colgroup|col)(?=[\s/>])", re.DOTALL | re.IGNORECASE
)


def parse_nodes(text: str) -> LexborHTMLParser | None:
    """Parse a page; None if it could take long (see `html_limits`). A text that begins with a part of a table is parsed
    as a fragment, since in a document its tags would be dropped."""
    if not is_readable_html(text):
        return None
    text = text.replace("\r\n", "\n").encode("utf-8", "replace").decode()
    is_part = _TABLE_PART.match(text) is not None
    # without events: filling <selectedcontent> costs quadratic time in the options of a <select>
    return LexborHTMLParser(text, is_part, fragment_tag="template", options=LexborDocumentOptions.WO_EVENTS)


def top_node(parser: LexborHTMLParser) -> LexborNode | None:
    """Return the first node of the document, or of the fragment; the others are its siblings."""
    root = parser.root
    document = root.parent if root is not None else None
    return root if document is None else document.first_child


def first_child(node: LexborNode, name: str | None) -> LexborNode | None:
    """Return the first node in an element. The content of a `<template>` is a fragment of its own."""
    if name == "template":
        fragments = node.template_fragments()
        return fragments[0].first_child if fragments else node.first_child
    return node.first_child
