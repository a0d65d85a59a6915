"""The visible whitespace of a page (CSS Text 3, section 4): all other whitespace is left out of the tree."""

import re
from enum import Enum, auto

from strangler.core.compare.markup.elements import Element
from strangler.core.compare.markup.html_limits import words

_UNSEEN = words("style template link meta title base head noscript param source track area datalist")
"""Elements outside of any line: the whitespace around them counts as if they were absent."""
_BOXES = words("audio button canvas iframe img input meter object picture progress select svg video textarea math")
"""Elements that are visible in a line even without text; inside them a new line begins."""
_BLOCKS = words(
    "address article aside blockquote body br caption center col colgroup dd details dialog dir div dl dt fieldset"
    " figcaption figure footer form frameset h1 h2 h3 h4 h5 h6 header hgroup hr html legend li main menu nav ol"
    " optgroup option p search section summary table tbody td tfoot th thead tr ul"
)
"""Whitespace beside these is never visible; beside all others, including unknown elements, it may be."""
_WHITESPACE = re.compile(r"[ \t\n\f\r]+")
_BLANKS = " \t\n\f\r"


class Flow(Enum):
    """How an element relates to the text around it; None for an ordinary part of the line."""

    UNSEEN = auto()
    BLOCK = auto()
    BOX = auto()
    PRESERVED_BLOCK = auto()
    PRESERVED_BOX = auto()
    RAW = auto()  # unseen, but its text is kept


FLOWS: dict[str, Flow] = {
    **dict.fromkeys(_UNSEEN, Flow.UNSEEN),
    **dict.fromkeys(_BLOCKS, Flow.BLOCK),
    **dict.fromkeys(_BOXES, Flow.BOX),
    **dict.fromkeys(["pre", "listing", "xmp", "plaintext"], Flow.PRESERVED_BLOCK),
    "textarea": Flow.PRESERVED_BOX,
    "script": Flow.RAW,
}
_OUTSIDE = (Flow.UNSEEN, Flow.RAW)
_IS_BOX = (Flow.BOX, Flow.PRESERVED_BOX)
_PRESERVING = (Flow.PRESERVED_BLOCK, Flow.PRESERVED_BOX, Flow.RAW)


class SpaceState:
    """The whitespace of a tree while it is built. A space is held back until what follows it is known, and then put
    between the two that it separates: `a<b> x</b>` becomes `a <b>x</b>`."""

    __slots__ = ("_has_space", "_is_at_edge", "_outside", "_preserved", "lowest", "open")

    def __init__(self, root: Element) -> None:
        self.open = [root]
        """The open elements. The caller adds and removes those without a flow."""
        self.lowest = 1
        """The fewest elements that were open at once since the last visible content."""
        self._has_space = False
        self._is_at_edge = True
        """Whether the line has no visible content yet."""
        self._preserved = 0
        self._outside: list[tuple[bool, bool, int]] = []
        """The state of the line around each open element that is outside of it."""

    def start(self, element: Element, flow: Flow) -> None:
        """Begin an element, which is not among its parent's children yet."""
        if flow in _OUTSIDE:
            self._outside.append((self._has_space, self._is_at_edge, self.lowest))
        elif flow in _IS_BOX:
            self._see()
        self._break()
        self.open.append(element)
        self._preserved += flow in _PRESERVING

    def end(self, flow: Flow) -> None:
        """End the innermost element."""
        self.open.pop()
        self._preserved -= flow in _PRESERVING
        self.lowest = len(self.open)
        if flow in _OUTSIDE:
            self._has_space, self._is_at_edge, self.lowest = self._outside.pop()
        elif flow in _IS_BOX:
            self._has_space = self._is_at_edge = False
        else:
            self._has_space, self._is_at_edge = False, True

    def text(self, text: str) -> None:
        if self._preserved:
            _add(self.open[-1], text)
            self._is_at_edge = False
            return
        plain = text.strip(_BLANKS)
        if not plain:
            self._has_space = True
            return
        if text[0] in _BLANKS:
            self._has_space = True
        has_space = text[-1] in _BLANKS
        if "\n" in plain or "  " in plain or "\t" in plain or "\f" in plain:
            plain = _WHITESPACE.sub(" ", plain)
        self._see()
        _add(self.open[-1], plain)
        self._has_space = has_space

    def _see(self) -> None:
        """Note that visible content follows: the space before it counts if there was visible content before."""
        if self._has_space and not self._is_at_edge:
            self._put_space()
        self._has_space = self._is_at_edge = False
        self.lowest = len(self.open)

    def _put_space(self) -> None:
        """Put a space into the innermost element that holds both the last visible content and what follows."""
        lowest = min(self.lowest, len(self.open))
        holder = self.open[lowest - 1]
        if lowest == len(self.open):
            _add(holder, " ")
            return
        follows = holder.children.pop()  # the open element: nothing comes after it yet
        _add(holder, " ")
        holder.children.append(follows)

    def _break(self) -> None:
        self._has_space = False
        self._is_at_edge = True
        self.lowest = len(self.open)


def _add(holder: Element, text: str) -> None:
    """Add a text, joined with one just before it."""
    children = holder.children
    if children and type(children[-1]) is str:
        children[-1] += text
    elif text:
        children.append(text)
