"""XML as a tree by namespace URI and local name, without what does not count."""

from collections.abc import Mapping

from strangler.core.compare.markup.elements import Element
from strangler.core.compare.markup.xml_events import XmlEvents, read_xml

_SPACE = "http://www.w3.org/XML/1998/namespace space"


def parse_xml(text: str) -> Element | None:
    """Return the document's element; None if the text does not parse, or declares an entity."""
    builder = _TreeState()
    events = XmlEvents(start=builder.start, end=builder.end, characters=builder.characters)
    return builder.root if read_xml(text, events) else None


class _TreeState:
    """The builder of the tree. Whitespace alone between elements is dropped, unless `xml:space` preserves it."""

    def __init__(self) -> None:
        self.root: Element | None = None
        self._open: list[tuple[Element, bool]] = []
        """The open elements, and whether whitespace counts in them."""
        self._text: list[str] = []

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        self._flush()
        element = Element(name, dict(attributes))
        keeps = self._open[-1][1] if self._open else False
        if self._open:
            self._open[-1][0].children.append(element)
        else:
            self.root = element
        space = attributes.get(_SPACE)
        self._open.append((element, keeps if space is None else space == "preserve"))

    def end(self, name: str) -> None:
        self._flush()
        self._open.pop()

    def characters(self, text: str) -> None:
        self._text.append(text)

    def _flush(self) -> None:
        if not self._text:
            return
        text = "".join(self._text)
        self._text.clear()
        element, keeps = self._open[-1]
        if keeps or text.strip(" \t\r\n"):
            element.children.append(text)
