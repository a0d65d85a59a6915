"""Numbers and values of accept rules as people write them, and as YAML 1.1 does not read them."""

import json

import pytest
import yaml
from jsonschema import Draft202012Validator

from strangler.config.edit_accept import rule_yaml
from strangler.config.json_schema import json_schema
from strangler.core.compare import compile_rules
from strangler.core.settings import AcceptRule, CompareSettings
from tests.config.files import problems, read, route

SCHEMA = json_schema()


def rule_of(written: str) -> AcceptRule:
    text = route(f"compare: {{accept: [{{path: $.a, {written}}}]}}")
    loaded = read(text)
    assert loaded.settings is not None, loaded.problems
    data = json.loads(json.dumps(yaml.safe_load(text), default=str))
    assert [error.message for error in Draft202012Validator(SCHEMA).iter_errors(data)] == []
    return loaded.settings.routes[0].compare.accept[0]


@pytest.mark.parametrize(
    ("written", "abs_", "rel"),
    [
        ("abs: 1e-05", "0.00001", None),
        ("abs: 1E-05", "0.00001", None),
        ("abs: 0.00001", "0.00001", None),
        ("rel: 1e-05", None, "0.00001"),
        ("rel: 1e-3%", None, "0.00001"),
        ("abs: 1e-09, rel: 2.5e-1", "1E-9", "0.25"),
    ],
)
def test_a_number_with_an_exponent_is_a_number(written: str, abs_: str | None, rel: str | None) -> None:
    rule = rule_of(written)
    assert (rule.abs, rule.rel) == (abs_, rel)
    again = rule_of(rule_yaml(rule).removeprefix('{path: "$.a", ').removesuffix("}"))
    assert again == rule


VALUES: dict[str, tuple[str, object, object]] = {
    "texts": ("from: EUR, to: eur", "EUR", "eur"),
    "numbers": ("from: 5, to: 5.50", b"5", b"5.5"),
    "an exponent": ("from: 1e-05, to: 2", b"0.00001", b"2"),
    "null": ("from: null, to: 0", None, b"0"),
    "null, the other way": ("from: 0, to: ~", b"0", None),
    "nothing": ("from: , to: 0", None, b"0"),
    "booleans": ("from: true, to: false", True, False),
    "words that YAML 1.1 reads otherwise": ("from: yes, to: off", "yes", "off"),
    "a text that looks like a number": ("from: '\"5\"', to: 5", "5", b"5"),
    "a text that looks like nothing": ("from: '\"null\"', to: null", "null", None),
    "an empty text": ("from: '', to: '\" \"'", "", " "),
    "what is no JSON": ("from: 0x1F, to: 01", "0x1F", "01"),
    "NaN": ("from: NaN, to: null", b"NaN", None),
}


@pytest.mark.parametrize(("written", "legacy", "candidate"), VALUES.values(), ids=VALUES)
def test_a_value_is_what_json_says_else_a_text(written: str, legacy: object, candidate: object) -> None:
    rule = rule_of(written)
    (compiled,) = compile_rules(CompareSettings((), (rule,), (), (), "decimal")).accept
    assert compiled.values == (legacy, candidate)
    assert rule_of(rule_yaml(rule).removeprefix('{path: "$.a", ').removesuffix("}")) == rule


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("from: 5", "compare.accept[0] has from without to"),
        ("to: null", "compare.accept[0] has to without from"),
        ("from: 5, to: 5.0", "it equals from, so there is no difference to accept"),
        ("from: null, to: ~", "it equals from, so there is no difference to accept"),
        ("kind: extra, from: 5, to: 6", "from and to are for two values that are both present"),
        ("from: [1], to: 2", "write a value such as EUR, 5, null"),
        ('from: "a\\nb", to: 2', "write them as JSON does"),
        ("abs: 1e", "write a number such as 0.01"),
        ("rel: 1e-5e", "write a share such as 0.01 or 1%"),
    ],
)
def test_what_is_no_value_is_told(written: str, problem: str) -> None:
    assert problem in "\n".join(problems(route(f"compare: {{accept: [{{path: $.a, {written}}}]}}")))


def test_a_ratio_may_have_an_exponent() -> None:
    loaded = read(route("shadow: {percent: 1}, gate: {max_latency_ratio: 12e-1}"))
    assert loaded.settings is not None, loaded.problems
    gate = loaded.settings.routes[0].gate
    assert gate is not None
    assert gate.max_latency_ratio == 1.2


def test_typed_numbers_may_be_a_pair() -> None:
    assert problems(route("compare: {numbers: typed, accept: [{path: $.a, from: 5, to: 5.0}]}")) == []
