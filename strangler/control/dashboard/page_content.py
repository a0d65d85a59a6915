"""The content of a page, whichever module makes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Content:
    """The main part of a page. `is_live`: it is rendered again while it is open."""

    title: str
    fragment: str
    context: Mapping[str, Any] = field(default_factory=dict)
    is_live: bool = False
