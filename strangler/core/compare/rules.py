"""The comparison rules of a route, compiled once per reload."""

from dataclasses import dataclass

from strangler.core.compare.accept import Accept, compile_accept
from strangler.core.compare.jsonpath import Pattern, parse_pattern
from strangler.core.settings import CompareSettings


@dataclass(frozen=True, slots=True)
class Unordered:
    """Arrays whose order does not count. `key`: the field that pairs their elements; None: they are multisets."""

    pattern: Pattern
    key: str | None


@dataclass(frozen=True, slots=True)
class CompareRules:
    headers: tuple[str, ...]
    """Lower-case names; no other header is looked at."""
    accept: tuple[Accept, ...]
    unordered: tuple[Unordered, ...]


def compile_rules(settings: CompareSettings) -> CompareRules:
    """Raises ValueError, naming the rule's text, if one cannot be read."""
    return CompareRules(
        headers=tuple(dict.fromkeys(name.lower() for name in settings.headers)),
        accept=compile_accept(settings.accept),
        unordered=tuple(Unordered(parse_pattern(rule.path), rule.key) for rule in settings.unordered),
    )


NO_RULES = CompareRules((), (), ())
