"""Comparing two pages as the trees that a browser builds from them."""

from strangler.core.compare.accept_rules.accept import Accept
from strangler.core.compare.accept_rules.found import FoundState
from strangler.core.compare.accept_rules.paths import root_path
from strangler.core.compare.accept_rules.rules import CompareRules
from strangler.core.compare.markup.elements import ElementIds
from strangler.core.compare.markup.html_tree import HtmlPage, parse_html
from strangler.core.compare.markup.markup_places import HtmlWriting, MarkupPlace
from strangler.core.compare.markup.markup_rules import mark_page, together
from strangler.core.compare.markup.markup_tree import compare_elements
from strangler.core.compare.model.text import normal_lines
from strangler.core.compare.model.values import Kind, Reason


def compare_html(legacy: str, candidate: str, rules: CompareRules, found: FoundState) -> Reason | None:
    """Put differences into `found`; return DECODE if a page is not read, by the limits of `html_limits`."""
    if normal_lines(legacy) == normal_lines(candidate):
        return None
    has_selectors = any(rule.css is not None for rule in rules.accept)
    left, right = (parse_html(text, has_selectors=has_selectors) for text in (legacy, candidate))
    if left is None or right is None:
        return Reason.DECODE
    marks = [mark_page(page, rules) for page in (left, right)]
    ids = ElementIds(has_rules=any(marks), is_html=True)
    ids.number(left.root)
    ids.number(right.root)
    if left.root.equal == right.root.equal:
        return None
    accepts = root_path(rules).accepts
    _compare_doctypes(left, right, accepts, found)
    compare_elements(left.root, right.root, HtmlWriting(), accepts, found)
    return None


def _compare_doctypes(left: HtmlPage, right: HtmlPage, accepts: tuple[Accept, ...], found: FoundState) -> None:
    """Report a different doctype, which changes a page's layout, as the text of `html`."""
    sides = [page.root.attributes.pop("doctype", "") for page in (left, right)]
    if sides[0] != sides[1]:
        tops = [element for page in (left, right) for element in page.root.elements]
        rules = together(accepts, *(element.accepts for element in tops), *(element.text_accepts for element in tops))
        found.body(
            MarkupPlace("html", (), rules), Kind.VALUE, *(f"<!doctype {side}>" if side else "" for side in sides)
        )
