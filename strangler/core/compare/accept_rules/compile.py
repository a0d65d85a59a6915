"""Compiling the settings of a route to the rules of its comparisons."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal

from strangler.core.compare.accept_rules.accept import Accept, is_xml_path
from strangler.core.compare.accept_rules.css import parse_css
from strangler.core.compare.accept_rules.jsonpath import parse_pattern
from strangler.core.compare.accept_rules.rules import CompareRules, Unordered
from strangler.core.compare.accept_rules.xmlpath import parse_xml_path
from strangler.core.compare.model.tree import Json, parse_json
from strangler.core.compare.model.values import Kind, Node
from strangler.core.settings import AcceptRule, CompareSettings


def compile_rules(settings: CompareSettings) -> CompareRules:
    """Compile the rules of a route. Raises ValueError, naming the rule's text, if one cannot be read."""
    return CompareRules(
        headers=tuple(dict.fromkeys(name.lower() for name in settings.headers)),
        accept=compile_accept(settings.accept, is_typed=settings.numbers == "typed"),
        unordered=tuple(Unordered(parse_pattern(rule.path), rule.key) for rule in settings.unordered),
        is_typed=settings.numbers == "typed",
    )


def compile_accept(rules: Iterable[AcceptRule], *, is_typed: bool = False) -> tuple[Accept, ...]:
    """Compile a route's accept rules; with `is_typed`, 5 and 5.0 in them are different numbers.

    Raises ValueError (PatternError for a path, SelectorError for `css`) if a rule cannot be read.
    """
    return tuple(
        Accept(
            index=index,
            pattern=parse_pattern(rule.path) if rule.path is not None and not is_xml_path(rule.path) else None,
            xml=parse_xml_path(rule.path) if rule.path is not None and is_xml_path(rule.path) else None,
            css=parse_css(rule.css) if rule.css is not None else None,
            header=rule.header.lower() if rule.header is not None else None,
            status=rule.status,
            endpoint=rule.endpoint,
            kind=Kind(rule.kind) if rule.kind is not None else None,
            abs_=Decimal(rule.abs) if rule.abs is not None else None,
            rel=Decimal(rule.rel) if rule.rel is not None else None,
            values=_values(rule, is_typed),
            texts=(rule.from_, rule.to) if rule.from_ is not None and rule.to is not None else None,
            until=date.fromisoformat(rule.until) if rule.until is not None else None,
        )
        for index, rule in enumerate(rules)
    )


def _values(rule: AcceptRule, is_typed: bool) -> tuple[Node, Node] | None:
    if rule.from_ is None or rule.to is None:
        return None
    if rule.path is None or is_xml_path(rule.path):  # headers, pages and XML hold texts only
        return rule.from_, rule.to
    return read_value(rule.from_, is_typed=is_typed), read_value(rule.to, is_typed=is_typed)


def read_value(text: str, *, is_typed: bool = False) -> Node:
    """Return the value of a rule's text: JSON if it parses as JSON, else the text itself."""
    parsed = parse_json(text, is_typed=is_typed)
    return parsed.tree if isinstance(parsed, Json) else text
