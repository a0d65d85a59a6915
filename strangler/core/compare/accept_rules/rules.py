"""The comparison rules of a route, compiled once per reload."""

from dataclasses import dataclass, replace

from strangler.core.compare.accept_rules.accept import Accept
from strangler.core.compare.accept_rules.jsonpath import Pattern


@dataclass(frozen=True, slots=True)
class Unordered:
    """A rule for arrays whose order does not count. `key`: the field that pairs elements; None: they are multisets."""

    pattern: Pattern
    key: str | None


@dataclass(frozen=True, slots=True)
class CompareRules:
    headers: tuple[str, ...]
    """Lower-case names; no other header is compared."""
    accept: tuple[Accept, ...]
    unordered: tuple[Unordered, ...]
    is_typed: bool = False
    """JSON numbers differ by type, too: 5 and 5.0."""

    @property
    def indices(self) -> tuple[int, ...]:
        """Return the accept rules that are in force, by their place in the route's list."""
        return tuple(rule.index for rule in self.accept)


class EndpointRules:
    """A route's rules for each of its endpoints: an accept rule may be for one endpoint alone."""

    __slots__ = ("_by_endpoint", "_has_endpoints", "_rules")

    def __init__(self, rules: CompareRules) -> None:
        self._rules = rules
        self._has_endpoints = any(rule.endpoint is not None for rule in rules.accept)
        self._by_endpoint: dict[str, CompareRules] = {}

    def of(self, endpoint: str) -> CompareRules:
        """Return the rules for `POST /api/orders/{}`."""
        if not self._has_endpoints:
            return self._rules
        found = self._by_endpoint.get(endpoint)
        if found is None:
            accept = tuple(rule for rule in self._rules.accept if rule.is_for(endpoint))
            found = replace(self._rules, accept=accept)
            if len(self._by_endpoint) < _MAX_ENDPOINTS:
                self._by_endpoint[endpoint] = found
        return found


_MAX_ENDPOINTS = 1000

NO_RULES = CompareRules((), (), ())
