"""With `evidence: {values: hashed}` only type, length and keyed hash of values are kept, and evidence still reads."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strangler.core.compare import Redactor, Sample, redact_difference, redact_differences, redact_sample
from strangler.core.documents.samples import KeptPair
from strangler.store.evidence.side_by_side import sides
from tests.core.compare.responses import compared, response
from tests.core.compare.responses import settings as rules_of

REDACTOR = Redactor.of(b"key", ["$..x"], "hashed")

SCALARS = {
    "text": ("Anna", f"string(4) {REDACTOR.hashed('Anna')}"),
    "number": (12.5, f"number(4) {REDACTOR.hashed('12.5')}"),
    "boolean": (True, f"boolean {REDACTOR.hashed('True')}"),
    "null": (None, None),
    "nothing": ("", ""),
    "object": ({"id": [1]}, {"id": [f"number(1) {REDACTOR.hashed('1')}"]}),
}


@pytest.mark.parametrize(("value", "kept"), SCALARS.values(), ids=SCALARS)
def test_a_value_is_its_type_length_and_hash(value: Any, kept: Any) -> None:
    (difference,) = compared(response({"a": value}), response({"a": "other"})).differences
    assert redact_difference(difference, REDACTOR).as_json()["legacy"] == kept


def test_secrets_are_marked_as_ever_and_equal_values_stay_equal() -> None:
    (difference,) = compared(response({"token": "s3"}), response({"token": "other"})).differences
    assert redact_difference(difference, REDACTOR).legacy == REDACTOR.mark("s3")
    kept = sample_of({"a": "Anna", "b": ["Anna"]}, {}, "application/json")["legacy"]["body"]["text"]
    assert kept.count(REDACTOR.hashed("Anna")) == 2


KEYS = ["name", "unit_price", "firstName", "x-rate", "$ref", "@type", "line2"]
VALUES = ["joe@mail.example", "12345", "2026-11-23", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "user-1234", "Anna S", ""]


def test_keys_that_are_words_stay_and_others_are_values() -> None:
    text = sample_of(dict.fromkeys(KEYS + VALUES, 1), {}, "application/json")["legacy"]["body"]["text"]
    keys = list(json.loads(text))
    assert keys[: len(KEYS)] == KEYS
    assert [key for key in keys[len(KEYS) :] if not key.startswith("string(")] == []


def sample_of(legacy: Any, candidate: Any, media: str) -> Any:
    left, right = (response(body, media, cache_control="no-store", etag='"Anna"') for body in (legacy, candidate))
    fields = [(b"User-Agent", b"Anna/1"), (b"Accept", b"text/html"), (b"Cookie", b"theme=Anna")]
    target = b"/api/users/7/orders;v=Anna?page=Anna&Anna+S=1#Anna"
    return redact_sample(Sample(b"GET", target, fields, left, right, b'{"name": "Anna"}'), REDACTOR)


BODIES = {
    "JSON": ({"name": "Anna", "n": 1}, {"name": "Anna B", "n": 1}, "application/json"),
    "NDJSON": (b'{"name":"Anna"}\n{"n":1}', b'{"name":"Anna B"}\n{"n":1}', "application/x-ndjson"),
    "HTML": (b"<p title='Anna'>Anna<b>1</b></p>", b"<p title='Anna'>Anna B<b>1</b></p>", "text/html"),
    "XML": (b"<r a='Anna'><n>Anna</n><n>1</n></r>", b"<r a='Anna'><n>Anna B</n><n>1</n></r>", "text/xml"),
    "form": (b"name=Anna&n=1", b"name=Anna+B&n=1", "application/x-www-form-urlencoded"),
    "text": (b"one\nAnna\n", b"one\nAnna B\n", "text/plain"),
    "unnamed": (b"one\nAnna\n", b"one\nAnna B\n", ""),
}


@pytest.mark.parametrize(("legacy", "candidate", "media"), BODIES.values(), ids=BODIES)
def test_nothing_is_in_clear_and_both_sides_still_show_where_they_differ(
    legacy: Any, candidate: Any, media: str
) -> None:
    sample = sample_of(legacy, candidate, media)
    rules = rules_of(headers=("etag",))
    comparison = compared(response(legacy, media, etag="Anna"), response(candidate, media, etag="Anna B"), rules)
    kept = [difference.as_json() for difference in redact_differences(comparison.differences, REDACTOR)]
    assert "Anna" not in json.dumps([sample, kept])
    assert sample["request"]["target"].startswith("/api/users/redacted:")
    assert "/orders" in sample["request"]["target"]
    assert ["cache-control", "no-store"] in sample["legacy"]["headers"]
    assert ["Accept", "text/html"] in sample["request"]["headers"]
    _, body = sides(msgspec.convert(sample, KeptPair))
    assert any(row.mark for row in body)


def test_places_in_markup_keep_the_names_of_fields_and_hide_ids() -> None:
    assert REDACTOR.place('form > input[name="token"]::attr(value)') == 'form > input[name="token"]::attr(value)'
    assert REDACTOR.place("#user-1234 > .price") == f"#{REDACTOR.mark('user-1234')} > .price"


def test_of_a_path_the_words_of_the_endpoints_shape_stay() -> None:
    redactor = REDACTOR.within("GET /users/{}/orders")
    anna, seven = REDACTOR.mark("anna"), REDACTOR.mark("7")
    assert redactor.target(b"/users/anna/orders") == f"/users/{anna}/orders"
    assert redactor.target(b"/users/anna/orders/7?sort=7") == f"/users/{anna}/orders/{seven}?sort={seven}"


@settings(max_examples=60, deadline=None)
@given(
    st.recursive(
        st.just("Anna7") | st.integers(1_000_000, 9_999_999),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "Anna7 S"]), inner),
        max_leaves=8,
    )
)
def test_no_scalar_of_any_tree_is_in_clear(tree: Any) -> None:
    (difference,) = compared(response({"a": tree}), response({"a": "other"})).differences
    kept = json.dumps(
        [redact_difference(difference, REDACTOR).as_json(), sample_of({"a": tree}, {}, "application/json")]
    )
    numbers = [str(number) for number in _numbers(tree)]
    assert [value for value in ["Anna7", *numbers] if value in kept] == []


def _numbers(tree: Any) -> list[int]:
    if isinstance(tree, int):
        return [tree]
    inner = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else []
    return [number for value in inner for number in _numbers(value)]
