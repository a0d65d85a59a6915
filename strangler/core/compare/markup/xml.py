"""Comparing two XML documents by namespace URI and local name."""

from strangler.core.compare.accept_rules.found import FoundState
from strangler.core.compare.accept_rules.paths import root_path
from strangler.core.compare.accept_rules.rules import CompareRules
from strangler.core.compare.markup.elements import Element, ElementIds
from strangler.core.compare.markup.markup_places import XmlWriting
from strangler.core.compare.markup.markup_rules import mark_document
from strangler.core.compare.markup.markup_tree import compare_elements


def compare_xml(legacy: Element, candidate: Element, rules: CompareRules, found: FoundState) -> None:
    """Put the differences of two documents, parsed by `xml_tree.parse_xml`, into `found`."""
    marks = [mark_document(root, rules) for root in (legacy, candidate)]
    ids = ElementIds(has_rules=any(marks), is_html=False)
    left, right = _document(legacy, ids), _document(candidate, ids)
    if left.equal != right.equal:
        compare_elements(left, right, XmlWriting(), root_path(rules).accepts, found)


def _document(root: Element, ids: ElementIds) -> Element:
    """Return an element around the document's own, with ids for all of it."""
    document = Element("", {})
    document.children.append(root)
    ids.number(document)
    return document
