"""One thing that is wrong with a file, and the way out of it."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Problem:
    """`str` of it is one line: `routes.yaml:14:9: route 'orders': split.percent is 120; it must be 0 to 100`.

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
        what = f"{self.what}; {self.way_out}" if self.way_out else self.what
        return ": ".join([place, *kind, *([self.where] if self.where else []), what])

    @property
    def order(self) -> tuple[int, int, str]:
        """Sorts problems as a reader meets them in the file."""
        return (self.line, self.column, self.what)
