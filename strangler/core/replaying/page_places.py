"""Places of a page: hidden fields by their form, what meta elements name, ids in links, and JSON in scripts."""

from functools import lru_cache
from urllib.parse import unquote, urlsplit

from selectolax.lexbor import LexborNode

from strangler.core.compare.markup.html_nodes import parse_nodes
from strangler.core.compare.model.tree import Json, parse_json
from strangler.core.replaying.found_values import MANY_URLS, SHORT_URL, FoundValues, Place, add_tree
from strangler.core.replaying.spots import field_spots, is_id_segment

_SENT_BACK = "form, input[type=hidden i], meta[name], a[href], script[type='application/json' i]"


def add_page(text: str, found: FoundValues) -> None:
    """Add the values of a page that a browser, or a script of the page, sends back.

    A field belongs to the form that began last: its name, and the words of the form's action, say which field it is.
    """
    parser = parse_nodes(text)
    if parser is None:
        return
    form = ""
    for node in parser.css(_SENT_BACK):
        if found.is_full:
            return
        if node.tag == "form":
            form = _words(_attribute(node, "action"))
            _add_link(node, "action", f"form:{form}", found)
        elif node.tag == "a":
            _add_link(node, "href", f"a:{_words(_attribute(node, 'href'))}", found)
        elif node.tag == "script":
            _add_script(node, found)
        elif name := _attribute(node, "name"):
            value = _attribute(node, "content" if node.tag == "meta" else "value")
            family = f"meta:{name}" if node.tag == "meta" else f"form:{form} field:{name}"
            found.add_next(family, value, field_spots(name, found.about))


def _attribute(node: LexborNode, name: str) -> str:
    return node.attributes.get(name) or ""


def _words(url: str) -> str:
    """Return the path of a URL with `{}` for its values."""
    return _words_of(url) if len(url) <= SHORT_URL else _words_of.__wrapped__(url)


@lru_cache(MANY_URLS)
def _words_of(url: str) -> str:
    try:
        path = urlsplit(url).path
    except ValueError:
        return ""
    return "/".join("{}" if is_id_segment(unquote(segment)) else segment for segment in path.split("/"))


def _add_link(node: LexborNode, name: str, family: str, found: FoundValues) -> None:
    at = found.counts.get(family, 0)
    found.counts[family] = at + 1
    found.add_url(Place(family, (at,)), _attribute(node, name))


def _add_script(node: LexborNode, found: FoundValues) -> None:
    parsed = parse_json(node.text())
    family = f"script:{_attribute(node, 'id')}"
    found.counts[family] = found.counts.get(family, 0) + 1
    if isinstance(parsed, Json):
        add_tree(parsed.tree, f"{family}/{found.counts[family]} $", found)
