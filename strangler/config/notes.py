"""The collector of what rules find: each note gets the place, subject and dotted key of its path in the file."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Literal

from strangler.config.document import Document, Loc, MappingNode, Node, Scalar, SequenceNode
from strangler.config.patterns import Complaint
from strangler.config.problem import Problem
from strangler.config.validate import dotted, known_keys, quoted_value, where

Severity = Literal["error", "warning"]


class Notes:
    """All that the rules found in one document."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self.found: list[Problem] = []

    def error(self, loc: Loc, what: str, way_out: str, *, key: bool = False) -> None:
        """Note an error, as a whole sentence. `key` points at the key and not at its value."""
        self._note(loc, what, way_out, key, "error")

    def warning(self, loc: Loc, what: str, way_out: str, *, key: bool = False) -> None:
        """Note a warning, like `error`, for what may be intended."""
        self._note(loc, what, way_out, key, "warning")

    def value(self, loc: Loc, way_out: str, severity: Severity = "error") -> None:
        """Note a wrong value: `split.percent is 120; …`."""
        self._note(loc, f"{dotted(self._document, loc)} {quoted_value(self._document, loc)}", way_out, False, severity)

    def complaints(self, loc: Loc, complaints: Iterable[Complaint], severity: Severity = "error") -> None:
        """Note complaints, each a continuation of the dotted key."""
        for what, way_out in complaints:
            self._note(loc, f"{dotted(self._document, loc)} {what}", way_out, False, severity)

    def _note(self, loc: Loc, what: str, way_out: str, key: bool, severity: Severity) -> None:
        place = self._document.place(loc, key=key)
        subject = where(self._document, loc)
        self.found.append(Problem(*place, subject, what, way_out, severity))

    def key(self, loc: Loc) -> str:
        """Return the dotted key, with the indices that lists have in the file."""
        return dotted(self._document, loc)

    def is_written(self, loc: Loc) -> bool:
        """True if the file gives the key a value, even one that is wrong or misspelt (that is noted already)."""
        parent = self._document.node(loc[:-1])
        if not isinstance(parent, MappingNode):
            return False
        node = parent.values.get(str(loc[-1]))
        has_value = node is not None and not (isinstance(node, Scalar) and node.text is None and not node.is_broken)
        if has_value or not parent.lost:
            return has_value
        misspelt = parent.lost - known_keys(loc[:-1])
        return loc[-1] in parent.lost or bool(get_close_matches(str(loc[-1]), misspelt, 1))

    def is_lost(self, loc: Loc) -> bool:
        """True if what the file says there is wrong, which is noted already."""
        parent = self._document.node(loc[:-1])
        return (isinstance(parent, MappingNode) and loc[-1] in parent.lost) or _is_broken(self._document.node(loc))

    def has_lost(self, loc: Loc) -> bool:
        """True if any part of what the file says there is wrong: then nothing can be said about what it lacks."""
        if self._document.is_whole and not self._document.problems:
            return False
        return self.is_lost(loc) or _has_lost(self._document.node(loc))

    def text(self, loc: Loc) -> str:
        """Return the text of a scalar, variables filled in; empty if there is none."""
        node = self._document.node(loc)
        return (node.text or "") if isinstance(node, Scalar) else ""

    def names(self, loc: Loc) -> set[str]:
        """Return the keys of a mapping, including those whose values are wrong."""
        node = self._document.node(loc)
        return set(node.values) | node.lost if isinstance(node, MappingNode) else set()

    def line(self, loc: Loc) -> str:
        """Return where a key stands: `line 12`, or `line 12 of teams/a.yaml` if that is not routes.yaml itself."""
        file, line, _ = self._document.place(loc, key=True)
        return f"line {line}" if file == self._document.name else f"line {line} of {file}"


def _is_broken(node: Node | None) -> bool:
    """True for a value that is unknown, such as a variable that is not set."""
    return isinstance(node, Scalar) and node.is_broken


def _has_lost(node: Node | None) -> bool:
    if _is_broken(node):
        return True
    if isinstance(node, MappingNode):
        return bool(node.lost) or any(map(_has_lost, node.values.values()))
    return isinstance(node, SequenceNode) and (node.has_lost or any(map(_has_lost, node.items)))
