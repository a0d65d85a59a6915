"""One row of the table that says what becomes of routes.yaml in Envoy."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

_ALL_BELOW: Final = ".*"


class Exactness(Enum):
    """How exactly Envoy keeps a key."""

    EXACT = "exact"
    NEARLY = "nearly"
    NOT = "not"


@dataclass(frozen=True, slots=True)
class Row:
    """Some keys that share their fate. A key that ends in `.*` stands for all below it."""

    keys: tuple[str, ...]
    envoy: str
    """The construct of Envoy that they become."""
    exactness: Exactness = Exactness.EXACT
    instead: str = ""
    """The effect in place of them; empty if they are kept."""

    def covers(self, key: str) -> bool:
        """Return whether the row is about a key."""
        return any(
            _is_below(key, each.removesuffix(_ALL_BELOW)) if each.endswith(_ALL_BELOW) else key == each
            for each in self.keys
        )


def _is_below(key: str, section: str) -> bool:
    return key == section or key.startswith((f"{section}.", f"{section}[]"))
