"""Adding an accept rule: it is there, and every other byte is as it was."""

import pytest

from strangler.config.edit import EditError
from strangler.config.edit_accept import add_accepts, rule_yaml
from strangler.config.load import parse
from strangler.config.source_files import Files
from strangler.core.settings import AcceptRule

HEAD = """\
version: 1
upstreams: {legacy: {url: http://127.0.0.1:8000}, orders: {url: http://127.0.0.1:8001}}
routes:
"""
RULE = AcceptRule(path="$.items[*].price", kind="type", owner="ana", until="2099-01-31", why='agreed: "as text", ${ok}')
NEW = '{path: "$.items[*].price", kind: type, owner: "ana", until: 2099-01-31, why: "agreed: \\"as text\\", $${ok}"}'

BLOCK = "  - name: orders\n    match: {prefix: /api}\n    candidate: orders\n"
CASES = [
    pytest.param(BLOCK, BLOCK + f"    compare:\n      accept:\n        - {NEW}\n", id="no compare"),
    pytest.param(
        BLOCK + "    compare: # how\n      headers: [location] # these\n\n  # the next\n",
        BLOCK
        + "    compare: # how\n      headers: [location] # these\n"
        + f"      accept:\n        - {NEW}\n\n  # the next\n",
        id="compare without accept",
    ),
    pytest.param(
        BLOCK + "    compare: {headers: [location]}\n",
        BLOCK + f"    compare: {{accept: [{NEW}], headers: [location]}}\n",
        id="compare in one line",
    ),
    pytest.param(BLOCK + "    compare:\n", BLOCK + f"    compare: {{accept: [{NEW}]}}\n", id="compare with nothing"),
    pytest.param(
        BLOCK + "    compare:\n      accept:\n",
        BLOCK + f"    compare:\n      accept: [{NEW}]\n",
        id="accept with nothing",
    ),
    pytest.param(
        BLOCK + "    compare: {accept: []}\n", BLOCK + f"    compare: {{accept: [{NEW}]}}\n", id="an empty list"
    ),
    pytest.param(
        BLOCK + "    compare: {accept: [{path: $.at}]}",
        BLOCK + f"    compare: {{accept: [{{path: $.at}}, {NEW}]}}",
        id="a list in one line, the file without a last newline",
    ),
    pytest.param(
        BLOCK + "    compare:\n      accept:\n        # noise\n        - path: $.at\n          kind: value # a clock\n"
        "    enabled: true\n",
        BLOCK + "    compare:\n      accept:\n        # noise\n        - path: $.at\n          kind: value # a clock\n"
        f"        - {NEW}\n    enabled: true\n",
        id="a list of blocks, with comments",
    ),
    pytest.param(
        "  - {name: orders, match: {prefix: /api}, candidate: orders}\n",
        f"  - {{compare: {{accept: [{NEW}]}}, name: orders, match: {{prefix: /api}}, candidate: orders}}\n",
        id="a route in one line",
    ),
]


@pytest.mark.parametrize(("before", "after"), CASES)
@pytest.mark.parametrize("ending", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_a_rule_is_added(before: str, after: str, ending: str) -> None:
    text, wanted = ((HEAD + part).replace("\n", ending) for part in (before, after))
    assert add_accepts(Files("routes.yaml", text), [("orders", RULE)], {}).after.text == wanted


@pytest.mark.parametrize(("before", "after"), CASES)
def test_the_rule_means_what_it_should(before: str, after: str) -> None:
    settings = parse(HEAD + after, "routes.yaml", {}).settings
    assert settings is not None
    assert settings.routes[0].compare.accept[-1] == RULE


def test_a_rule_for_a_header_names_it() -> None:
    assert rule_yaml(AcceptRule(header="etag")) == '{header: "etag"}'


def test_a_compare_that_others_share_is_not_edited() -> None:
    text = (
        HEAD
        + BLOCK
        + "    compare: &c {headers: [location]}\n"
        + BLOCK.replace("orders\n    match: {prefix: /api", "b\n    match: {prefix: /b", 1)
        + "    compare: *c\n"
    )
    with pytest.raises(EditError, match="anchor that others use"):
        add_accepts(Files("routes.yaml", text), [("orders", RULE)], {})


def test_an_unknown_route_is_named() -> None:
    with pytest.raises(EditError, match="did you mean 'orders'"):
        add_accepts(Files("routes.yaml", HEAD + BLOCK), [("order", RULE)], {})
