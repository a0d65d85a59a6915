"""The depth at which a text is nested in others, and the work that is left for all of them."""

from dataclasses import dataclass
from typing import Protocol

from strangler.core.compare.model.values import Node
from strangler.core.privacy.secrets import MARK, Span

MAX_NESTING = 8
"""The most formats within each other that are searched. A deeper text with yet another format is marked as a whole."""
MAX_WORK = 8
"""How often all characters of a text may be read; what is left then is marked as a whole."""
_FREE_WORK = 64 * 1024


@dataclass(slots=True)
class WorkState:
    """The characters that may still be read for one text and all that is nested in it, and the marks set so far."""

    left: int
    marks: int = 0


@dataclass(frozen=True, slots=True)
class Nesting:
    """The depth of a text within others, and the work that is left for all of them."""

    depth: int
    work: WorkState

    @classmethod
    def of(cls, text: str) -> "Nesting":
        """Return the nesting of a text that is not nested."""
        return cls(0, WorkState(MAX_WORK * len(text) + _FREE_WORK))

    def deeper(self) -> "Nesting":
        """Return the nesting one format further in."""
        return Nesting(self.depth + 1, self.work)

    def mark(self, redactor: "Searching", secret: str) -> str:
        """Mark a secret, and count the mark."""
        self.work.marks += MARK.fullmatch(secret) is None
        return redactor.mark(secret)

    def mark_spans(self, redactor: "Searching", text: str, spans: list[Span]) -> str:
        """Mark the spans of a text, which are in order."""
        pieces, done = [], 0
        for start, end in spans:
            pieces += [text[done:start], self.mark(redactor, text[start:end])]
            done = end
        return "".join([*pieces, text[done:]])

    def spend(self, count: int) -> bool:
        """Take this many characters from the work that is left; return False if there is not enough."""
        self.work.left -= count
        return self.work.left >= 0


class Searching(Protocol):
    """The operations of a redactor on what is found. Each of them may find more inside, one format deeper."""

    def mark(self, secret: str | bytes) -> str: ...
    def nested(self, text: str, at: Nesting) -> str: ...
    def tree_at(self, root: Node, at: Nesting) -> Node: ...
    def value(self, text: str, at: Nesting) -> str: ...
    def label(self, name: str, at: Nesting) -> str: ...
