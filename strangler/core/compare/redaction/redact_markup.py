"""Redaction of HTML and XML: parsed, and written again from the tree without secrets."""

from collections.abc import Iterable, Mapping
from html import escape
from typing import Protocol
from xml.sax.saxutils import escape as escape_xml
from xml.sax.saxutils import quoteattr

from selectolax.lexbor import LexborNode

from strangler.core.compare.markup.html_nodes import RAW_TEXT, VOID, first_child, parse_nodes, top_node
from strangler.core.compare.markup.xml_events import XmlEvents, read_xml
from strangler.core.privacy.secrets import NAMING_ATTRIBUTES, is_secret_name

VALUE_ATTRIBUTES = ("value", "content")
"""Attributes with the value that an element's name, or a naming attribute, describes."""


class Marker(Protocol):
    """An object that removes secrets from texts."""

    def redact_text(self, text: str) -> str:
        """Return the text without its secrets; whatever is nested in it is searched, too."""

    def mark(self, secret: str) -> str:
        """Return the mark of a text that is a secret as a whole."""


def redact_html(text: str, marked: Marker) -> str:
    """Return a page, or a part of one, as a browser parses it. A text that would take long is marked as a whole."""
    parser = parse_nodes(text)
    if parser is None:
        return marked.mark(text)
    writer = _WriterState(marked, is_html=True)
    node = top_node(parser)
    waiting: list[tuple[LexborNode, str]] = []
    while node is not None or waiting:
        if node is None:
            parent, ended = waiting.pop()
            writer.end(ended)
            node = parent.next
            continue
        name = node.tag
        if node.is_element_node and name is not None:
            writer.start(name, {key: value or "" for key, value in node.attributes.items()})
            waiting.append((node, name))
            node = first_child(node, name)
            continue
        _leaf(node, name, writer)
        node = node.next
    return writer.text


def _leaf(node: LexborNode, name: str | None, writer: "_WriterState") -> None:
    if node.is_text_node:
        writer.characters(node.text_content or "")
    elif node.is_comment_node:
        writer.comment(node.comment_content or "")
    elif name == "-doctype":
        writer.as_it_is(node.html or "")
    elif node.html:
        writer.as_text(node.html)  # a processing instruction


def redact_xml(text: str, marked: Marker) -> str | None:
    """Return the document as an XML parser reads it, with its prefixes; None if it does not parse."""
    writer = _WriterState(marked, is_html=False)
    events = XmlEvents(
        start=writer.start,
        end=writer.end,
        characters=writer.characters,
        comment=writer.comment,
        instruction=writer.instruction,
    )
    return writer.text if read_xml(text, events, has_namespaces=False) else None


class _WriterState:
    """The writer of redacted markup. The content of an element with a secret name becomes one mark."""

    def __init__(self, marked: Marker, *, is_html: bool) -> None:
        self._marked = marked
        self._is_html = is_html
        self._pieces: list[str] = []
        self._names: list[str] = []
        self._secret_depth = 0
        """The number of open elements down to the secret one; 0: none is secret."""
        self._secret: list[str] = []
        self._waiting: list[str] = []
        """The text so far that may go on."""

    @property
    def text(self) -> str:
        self._write_text()
        return "".join(self._pieces)

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        self._write_text()
        self._names.append(name)
        if self._secret_depth:
            written = "".join(f" {key}={quoteattr(value)}" for key, value in attributes.items())
            self._secret.append(f"<{name}{written}>")
            return
        is_secret = is_secret_element(name, attributes.items())
        pieces = [self._attribute(key, value, is_secret) for key, value in attributes.items()]
        self._pieces.append(f"<{name}{''.join(pieces)}>")
        if is_secret and not (self._is_html and name in VOID):
            self._secret_depth = len(self._names)

    def _attribute(self, name: str, value: str, is_secret: bool) -> str:
        if value and (is_secret_name(name) or (is_secret and name.lower() in VALUE_ATTRIBUTES)):
            value = self._marked.mark(value)
        else:
            value = self._marked.redact_text(value)
        return f' {name}="{escape(value)}"' if self._is_html else f" {name}={quoteattr(value)}"

    def end(self, name: str) -> None:
        self._write_text()
        if self._secret_depth == len(self._names):
            content = "".join(self._secret).strip()
            self._pieces.append(self._marked.mark(content) if content else "")
            self._secret_depth = 0
            self._secret.clear()
        self._names.pop()
        if self._secret_depth:
            self._secret.append(f"</{name}>")
        elif not (self._is_html and name in VOID):
            self._pieces.append(f"</{name}>")

    def characters(self, text: str) -> None:
        self._waiting.append(text)

    def _write_text(self) -> None:
        """Write the text so far, searched as a whole, since a secret may extend across the edge of CDATA."""
        if not self._waiting:
            return
        text = "".join(self._waiting)
        self._waiting.clear()
        if self._secret_depth:
            self._secret.append(text)
        elif self._is_html and self._names and self._names[-1] in RAW_TEXT:
            redacted = self._marked.redact_text(text)
            self._pieces.append(redacted if redacted == text else redacted.replace("</", "<\\/"))
        else:
            redacted = self._marked.redact_text(text)
            self._pieces.append(escape(redacted, quote=False) if self._is_html else escape_xml(redacted))

    def comment(self, text: str) -> None:
        self._write_text()
        if self._secret_depth:
            self._secret.append(f"<!--{text}-->")
        else:
            self._pieces.append(f"<!--{self._marked.redact_text(text).replace('--', '- -')}-->")

    def instruction(self, name: str, text: str) -> None:
        self._write_text()
        if self._secret_depth:
            self._secret.append(f"<?{name} {text}?>")
        else:
            self._pieces.append(f"<?{name} {self._marked.redact_text(text).replace('?>', '? >')}?>")

    def as_it_is(self, text: str) -> None:
        self._write_text()
        self._pieces.append(text)

    def as_text(self, text: str) -> None:
        self._write_text()
        self._pieces.append("" if self._secret_depth else f"<!--{self._marked.redact_text(text)}-->")


def is_secret_element(name: str, attributes: Iterable[tuple[str, str]]) -> bool:
    """Return True if an element's content is secret by its name, or by a naming attribute."""
    if is_secret_name(name):
        return True
    return any(key.lower() in NAMING_ATTRIBUTES and is_secret_name(value) for key, value in attributes)
