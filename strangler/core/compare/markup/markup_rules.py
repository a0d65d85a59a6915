"""Accept rules for markup, added to the elements that they cover."""

from collections.abc import Iterable

from strangler.core.compare.accept_rules.accept import Accept
from strangler.core.compare.accept_rules.rules import CompareRules
from strangler.core.compare.accept_rules.xmlpath import XmlPattern
from strangler.core.compare.markup.elements import Element, local_name
from strangler.core.compare.markup.html_tree import HtmlPage


def mark_page(page: HtmlPage, rules: CompareRules) -> bool:
    """Add the `css` rules to the page's elements; return False if none matches."""
    is_marked = False
    for rule in rules.accept:
        if rule.css is None:
            continue
        for element in page.select(rule.css.selector):
            is_marked = True
            if rule.css.is_text:
                element.text_accepts += (rule,)
            elif rule.css.attribute is not None:
                _mark_attribute(element, rule.css.attribute, rule)
            else:
                element.accepts += (rule,)
    return is_marked


def mark_document(root: Element, rules: CompareRules) -> bool:
    """Add the rules with XML paths to the document's nodes; return False if none matches."""
    xml_rules = [(rule, rule.xml) for rule in rules.accept if rule.xml is not None]
    marks = [_mark_path(root, rule, pattern) for rule, pattern in xml_rules]
    return any(marks)


def _mark_path(root: Element, rule: Accept, pattern: XmlPattern) -> bool:
    is_marked = False
    waiting = [(root, 1)]
    while waiting:
        element, mask = waiting.pop()
        mask = pattern.advance(mask, local_name(element.name))
        if mask & pattern.done:
            element.accepts += (rule,)
            is_marked = True
            continue
        if not mask:
            continue
        for name in element.attributes:
            if pattern.advance(mask, "@" + local_name(name)) & pattern.done:
                _mark_attribute(element, name, rule)
                is_marked = True
        waiting += [(child, mask) for child in element.elements]
    return is_marked


def _mark_attribute(element: Element, name: str, rule: Accept) -> None:
    known = element.attribute_accepts or {}
    element.attribute_accepts = {**known, name: (*known.get(name, ()), rule)}


def together(*rules: Iterable[Accept]) -> tuple[Accept, ...]:
    """Return each rule once, in the order of the route's list."""
    return tuple(sorted({rule.index: rule for each in rules for rule in each}.values(), key=lambda rule: rule.index))
