"""One thing that is wrong with a file, and the way out of it."""

from dataclasses import dataclass
from typing import Literal

_LONGEST = 300


def quotable(text: str) -> str:
    """Return text as a message shows it, on one line: a value may be 1 MB long, or hold line ends and escape codes."""
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem, on one line as `str`: `routes.yaml:14:9: route 'orders': split.percent is 120; it must be 0 to 100`.

    `line` and `column` count from 1; both are 0 where the whole file is meant (it cannot be read, it is too large).
    """

    file: str
    line: int
    column: int
    where: str
    what: str
    way_out: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        kind = ["warning"] if self.severity == "warning" else []
        where = [quotable(self.where)] if self.where else []
        what = "; ".join(quotable(part) for part in (self.what, self.way_out) if part)
        return ": ".join([place, *kind, *where, what])

    @property
    def order(self) -> tuple[bool, int, int, str]:
        """The key that sorts problems in the order of the file; those about the whole file come last."""
        return (not self.line, self.line, self.column, self.what)
