"""How a person would name an accept rule."""

import pytest

from strangler.control.shadow.rules import rule_text
from strangler.core.settings import AcceptRule

NAMES = [
    (AcceptRule(path="$.total"), "$.total"),
    (AcceptRule(path="$.total", kind="value"), "$.total (value)"),
    (AcceptRule(path="$.c", from_="EUR", to="eur", endpoint="GET /x/{}"), "$.c (EUR -> eur, GET /x/{})"),
    (AcceptRule(header="vary"), "header vary"),
    (AcceptRule(css="main > .price"), "main > .price"),
    (AcceptRule(status=(302, 303), endpoint="POST /login"), "status 302 -> 303 (POST /login)"),
]


@pytest.mark.parametrize(("rule", "name"), NAMES, ids=[name for _, name in NAMES])
def test_a_rule_is_named_by_what_it_accepts(rule: AcceptRule, name: str) -> None:
    assert rule_text(rule) == name
