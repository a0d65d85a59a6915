# Compiled with mypyc: see docs/hot-path.md.
"""One route of a snapshot, with everything that is computed before a request comes."""

from collections.abc import Iterable

from strangler.core.http.head import RequestHead
from strangler.core.http.methods import SAFE
from strangler.core.routing.aggregate import Part
from strangler.core.routing.arm import AGGREGATE
from strangler.core.routing.match import Conditions, encode_fields
from strangler.core.routing.retirement import Retirement
from strangler.core.routing.rewrite import Rewrite
from strangler.core.routing.split import Split
from strangler.core.settings import RouteSettings


class ShadowShare:
    """The requests that get a shadow: their share, and their methods by the arm that serves them."""

    __slots__ = ("of_candidate", "of_legacy", "percent")

    def __init__(self, percent: float, methods: Iterable[str], of: str) -> None:
        self.percent = percent
        named = frozenset(method.encode() for method in methods)
        self.of_legacy: frozenset[bytes] = frozenset() if of == "candidate" else named
        self.of_candidate: frozenset[bytes] = frozenset() if of == "legacy" else named & SAFE
        """Legacy never runs a write that the candidate ran."""


class Route:
    """One route of a snapshot, compiled, never changed once it is made."""

    __slots__ = (
        "conditions",
        "disabled",
        "has_rollout",
        "index",
        "is_moved",
        "methods",
        "name",
        "override",
        "parts",
        "retirement",
        "rewrite",
        "settings",
        "shadow",
        "split",
        "split_headers",
        "upstream",
    )

    def __init__(self, settings: RouteSettings, index: int, is_moved: bool = False) -> None:
        match, split_settings, shadow = settings.match, settings.split, settings.shadow
        self.name = settings.name
        self.settings = settings
        self.index = index  # place in the file
        self.upstream = settings.candidate or AGGREGATE
        self.methods = frozenset(method.encode() for method in match.methods) or None
        self.conditions = Conditions.of(match)
        self.override = split_settings.override.lower().encode() if split_settings.override else None
        self.split_headers = encode_fields(split_settings.headers)
        self.split = Split(split_settings)
        self.has_rollout = settings.rollout is not None
        is_shadowed = shadow is not None and shadow.percent and not shadow.is_only_received
        self.shadow = ShadowShare(shadow.percent, shadow.methods, shadow.of) if shadow and is_shadowed else None
        self.rewrite = _rewrite(settings)
        self.retirement = None if settings.retire is None else Retirement(settings.retire)
        self.parts = tuple(Part(part, match) for part in settings.aggregate or ())
        self.is_moved = is_moved or self.rewrite is not None  # the candidate sees another path than the client

    def __repr__(self) -> str:
        return f"<Route {self.name!r}>"

    def accepts(self, head: RequestHead) -> bool:
        """Return True if method, headers and query match; the routing table matches host and path."""
        if self.methods is not None and head.method not in self.methods:
            return False
        return self.conditions is None or self.conditions.hold(head)

    def precedence(self) -> tuple[bool, int, int, int]:
        """Return the key that sorts routes of the same host and path, the most specific first."""
        match = self.settings.match
        return (not match.methods, -len(match.headers), -len(match.query), self.index)


def _rewrite(settings: RouteSettings) -> Rewrite | None:
    if settings.rewrite_prefix is None:
        return None
    return Rewrite.between(settings.match.prefix or settings.match.path or "/", settings.rewrite_prefix)
