"""The kinds of requests that Envoy serves otherwise, whatever their route: what may be sent again, what has no end."""

from collections.abc import Sequence
from enum import Enum
from typing import Final

from strangler.envoy.matching import READS, method_condition
from strangler.envoy.resources import Resource

_READS: Final = frozenset(READS)


class RequestKind(Enum):
    """A kind of request. Each has a tree of its own, so that no entry has to look at the method again."""

    TUNNEL = "tunnel"  # GET with Upgrade, as of a websocket
    READ = "read"  # GET, HEAD, OPTIONS
    WRITE = "write"  # all else

    @property
    def is_read(self) -> bool:
        return self is not RequestKind.WRITE

    def conditions(self, methods: Sequence[str]) -> list[Resource] | None:
        """Return what the methods that a route names (none: all) mean for requests of this kind: conditions, or None if
        it takes none of them."""
        if not methods:
            return []
        named = frozenset(methods)
        if self is RequestKind.TUNNEL:
            return [] if "GET" in named else None
        own = named & _READS if self is RequestKind.READ else named - _READS
        if not own:
            return None
        return [] if self is RequestKind.READ and own == _READS else [method_condition(own)]
