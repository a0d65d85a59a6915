"""The comparison rules of a route, compiled once per reload."""

from dataclasses import dataclass, replace

from strangler.core.compare.accept_rules.accept import Accept, rules_within
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
    """A route's rules for each of its endpoints: an accept rule may be for one endpoint alone.

    A rule may also be for a part of an endpoint, since words of its path were folded after the rule was written. It
    still is for requests of that part, and for no other: an acceptance never covers more than was accepted.
    """

    __slots__ = ("_by_endpoint", "_has_endpoints", "_rules")

    def __init__(self, rules: CompareRules) -> None:
        self._rules = rules
        self._has_endpoints = any(rule.endpoint is not None for rule in rules.accept)
        self._by_endpoint: dict[str, tuple[CompareRules, tuple[Accept, ...]]] = {}

    @property
    def depend_on_requests(self) -> bool:
        """Whether `of` looks at the request."""
        return self._has_endpoints

    def of(self, endpoint: str, request: str) -> CompareRules:
        """Return the rules for `POST /api/orders/{}`, and those for the part of it that has the request.

        `request` comes from `spelled_request`.
        """
        if not self._has_endpoints:
            return self._rules
        found, parts = self._by_endpoint.get(endpoint) or self._add(endpoint)
        more = [rule for rule in parts if rule.covers_request(request)]
        return replace(found, accept=_in_order(*found.accept, *more)) if more else found

    def _add(self, endpoint: str) -> tuple[CompareRules, tuple[Accept, ...]]:
        """Return the rules for all of an endpoint, and those for parts of it."""
        accept = tuple(rule for rule in self._rules.accept if rule.is_for(endpoint))
        parts = tuple(rules_within(self._rules.accept, endpoint))
        found = replace(self._rules, accept=accept), parts
        if len(self._by_endpoint) < _MAX_ENDPOINTS:
            self._by_endpoint[endpoint] = found
        return found


def _in_order(*rules: Accept) -> tuple[Accept, ...]:
    return tuple(sorted(rules, key=lambda rule: rule.index))


_MAX_ENDPOINTS = 1000

NO_RULES = CompareRules((), (), ())
