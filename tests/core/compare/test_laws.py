"""Laws that hold for all responses."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from strangler.core.compare import Comparison, Kind, Outcome, Response, Severity, conditions_of, parse_pattern
from strangler.core.compare.accept_rules.jsonpath import write_path
from strangler.core.compare.codings import undo_codings
from strangler.core.compare.model.align import align
from strangler.core.compare.model.common_ends import common_ends
from strangler.core.compare.model.numbers import canonical
from strangler.core.compare.model.tree import Json, parse_json, parse_ndjson, write_json
from tests.core.compare.multiparts import field, multipart
from tests.core.compare.responses import compared, response, trees
from tests.core.compare.responses import settings as rules_of

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 12)
    | st.sampled_from([0.5, -1.5, 1e300])
    | st.text("ab é\ud800", max_size=3)
)
KEYS = st.sampled_from(["id", "name", "a", "b c", "at", ""])
DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=25
)
ROWS = st.lists(st.fixed_dictionaries({"id": st.integers(0, 6), "at": st.integers(0, 9), "name": SCALARS}), max_size=7)
ANY = DOCUMENTS | ROWS | st.lists(st.integers(0, 3), max_size=12)

MIRRORED = {Kind.MISSING: Kind.EXTRA, Kind.EXTRA: Kind.MISSING}


def seen(comparison: Comparison) -> set[tuple[str | None, Kind, int]]:
    return {(d.path, d.kind, d.count) for d in comparison.differences}


@settings(deadline=None)
@given(ANY)
def test_anything_matches_itself(document: Any) -> None:
    spread = json.dumps(document, indent=1).encode()
    assert compared(response(document), response(spread)).outcome is Outcome.MATCH


@settings(deadline=None)
@given(
    st.binary(max_size=60),
    st.sampled_from(
        [
            "text/html",
            "text/xml",
            "text/plain",
            "image/png",
            "application/json",
            "application/x-ndjson",
            "multipart/form-data; boundary=a",
            "multipart/mixed",
            "",
        ]
    ),
)
def test_any_bytes_match_themselves(body: bytes, media: str) -> None:
    fields = [(b"Content-Type", media.encode()), (b"Set-Cookie", body), (b"Location", body)]
    response_head = Response(200, fields, body)
    rules = rules_of(headers=("content-type", "set-cookie", "location"))
    assert compared(response_head, response_head, rules).outcome is Outcome.MATCH


@settings(deadline=None, max_examples=300)
@given(ANY, ANY)
def test_swapping_the_sides_mirrors_the_differences(left: Any, right: Any) -> None:
    forth, back = trees(left, right), trees(right, left)
    assert forth.outcome is back.outcome
    assert seen(forth) == {(path, MIRRORED.get(kind, kind), count) for path, kind, count in seen(back)}


@settings(deadline=None, max_examples=200)
@given(ROWS, st.data())
def test_swapping_the_sides_of_edited_rows_mirrors_the_differences(rows: list[Any], data: st.DataObject) -> None:
    edited = data.draw(st.permutations(rows))[: data.draw(st.integers(0, 7))]
    edited = [{**row, "at": data.draw(st.integers(0, 9))} for row in edited]
    for rules in (rules_of(), rules_of(unordered={"$": None}), rules_of(unordered={"$": "id"})):
        forth, back = trees(rows, edited, rules), trees(edited, rows, rules)
        assert seen(forth) == {(path, MIRRORED.get(kind, kind), count) for path, kind, count in seen(back)}


def shuffled(document: Any, draw: Any) -> Any:
    if isinstance(document, dict):
        return {key: shuffled(document[key], draw) for key in draw(st.permutations(list(document)))}
    return [shuffled(element, draw) for element in document] if isinstance(document, list) else document


@settings(deadline=None)
@given(ANY, ANY, st.data())
def test_order_of_keys_never_matters(left: Any, right: Any, data: st.DataObject) -> None:
    assert seen(trees(left, right)) == seen(trees(shuffled(left, data.draw), shuffled(right, data.draw)))


@settings(deadline=None)
@given(ANY, ANY)
def test_a_difference_is_found_if_and_only_if_there_is_one(left: Any, right: Any) -> None:
    def exact(document: Any) -> str:
        parsed = parse_json(json.dumps(document))
        assert isinstance(parsed, Json)
        return write_json(parsed.tree, sort_keys=True)

    assert (trees(left, right).outcome is Outcome.MATCH) == (exact(left) == exact(right))


@settings(deadline=None)
@given(st.dictionaries(KEYS, SCALARS), KEYS, SCALARS)
def test_a_new_field_is_additive_and_a_lost_one_breaking(fields: dict[str, Any], key: str, value: Any) -> None:
    without = {name: held for name, held in fields.items() if name != key}
    path = write_path((key,))
    (added,) = trees(without, {**without, key: value}).differences
    (lost,) = trees({key: value, **without}, without).differences
    assert (added.path, added.kind, added.severity) == (path, Kind.EXTRA, Severity.ADDITIVE)
    assert (lost.path, lost.kind, lost.severity) == (path, Kind.MISSING, Severity.BREAKING)


@settings(deadline=None)
@given(st.lists(st.integers(0, 5), max_size=12), st.lists(st.integers(0, 5), max_size=12))
def test_alignment_accounts_for_every_element_once(left: list[int], right: list[int]) -> None:
    alignment = align(left, right, wants_alike=True)
    assert all(left[i] == right[j] for i, j in alignment.alike)
    for side, length in ((0, len(left)), (1, len(right))):
        spare = [place for gap in alignment.gaps for place in (gap.left, gap.right)[side]]
        assert sorted([pair[side] for pair in alignment.alike] + spare) == list(range(length))


@given(st.lists(st.integers(0, 2), max_size=8), st.lists(st.integers(0, 2), max_size=8))
def test_common_ends_are_as_long_as_they_can_be_and_do_not_overlap(left: list[int], right: list[int]) -> None:
    start, end = common_ends(left, right)
    rest_left, rest_right = left[start : len(left) - end], right[start : len(right) - end]
    assert left == right[:start] + rest_left + right[len(right) - end :]
    assert len(rest_left) + start + end == len(left)
    if rest_left and rest_right:
        assert rest_left[0] != rest_right[0]
        assert rest_left[-1] != rest_right[-1]


@settings(deadline=None)
@given(st.lists(st.integers(0, 3), max_size=12), st.data())
def test_putting_in_is_never_called_reordering(left: list[int], data: st.DataObject) -> None:
    right = list(left)
    for _ in range(data.draw(st.integers(1, 4))):
        right.insert(data.draw(st.integers(0, len(right))), data.draw(st.integers(0, 3)))
    alignment = align(left, right)
    assert not alignment.is_reordered
    assert not any(gap.left for gap in alignment.gaps)


DIGITS = st.text("0123456789", min_size=1, max_size=12)
TOKENS = st.builds(
    lambda sign, whole, fraction, exponent: sign + str(int(whole)) + fraction + exponent,
    st.sampled_from(["", "-"]),
    DIGITS | st.sampled_from(["0", "1000", "9" * 70, "1" + "0" * 70]),
    st.just("") | DIGITS.map(".{}".format) | st.sampled_from([".0", ".10", "." + "0" * 70 + "1"]),
    st.just("") | st.integers(-90, 90).map("e{}".format) | st.integers(0, 90).map("E+{}".format),
)


@settings(deadline=None, max_examples=300)
@given(TOKENS, TOKENS)
def test_canonical_numbers_are_equal_if_and_only_if_their_values_are(left: str, right: str) -> None:
    assert (canonical(left) == canonical(right)) == (Decimal(left) == Decimal(right))
    assert Decimal(canonical(left).decode()) == Decimal(left)
    assert canonical(canonical(left).decode()) == canonical(left)


ODD = st.sampled_from(
    ["-0", "-0.0", "0.10", "1.50", "1e5", "2E-1", "-0e1", "9" * 63 + ".5", "1" + "0" * 64, "0." + "0" * 64 + "1"]
)


@settings(deadline=None)
@given(st.lists(TOKENS | ODD, max_size=3), st.sampled_from([0, 1100]))
def test_one_odd_number_among_many_plain_ones_is_canonical_too(tokens: list[str], decimals: int) -> None:
    parsed = parse_json(f"[{','.join(tokens + ['0.5'] * decimals)}]")
    assert parsed == Json([*map(canonical, tokens), *[b"0.5"] * decimals])


@settings(deadline=None)
@given(DOCUMENTS)
def test_trees_survive_being_written(document: Any) -> None:
    parsed = parse_json(json.dumps(document))
    assert isinstance(parsed, Json)
    assert parse_json(write_json(parsed.tree)) == parsed


@settings(deadline=None)
@given(st.text('[]{}",:0-1eE.+ntrf\\u\n ', max_size=40))
def test_no_text_makes_the_parsers_raise(text: str) -> None:
    parse_json(text)
    parse_ndjson(text)


@settings(deadline=None)
@given(st.binary(max_size=80), st.sampled_from([b"gzip", b"deflate", b"br", b"zstd", b"gzip, br", b"x"]))
def test_no_bytes_make_decoding_raise(body: bytes, coding: bytes) -> None:
    undo_codings(body, [coding], limit=1000)


@settings(deadline=None)
@given(st.lists(st.text(max_size=6) | st.none(), max_size=4))
def test_a_written_path_is_a_pattern_for_itself(steps: list[str | None]) -> None:
    written = write_path(tuple(steps))
    assert written.isprintable()
    written.encode()
    assert parse_pattern(written).reach(tuple(steps)) == len(steps)


PARTS = st.lists(
    st.builds(
        lambda name, text, media: field(name, text, media),
        st.sampled_from(["a", "b", "ü"]),
        st.sampled_from(["x", "y", "[1]", "[1.0]", '{"a": 1}', '{"a": 2, "b": null}', "{", "", "a\r\nb"]),
        st.sampled_from([None, "text/plain", "application/json", "image/png"]),
    ),
    max_size=5,
)
SUBTYPES = st.sampled_from(["form-data", "mixed", "byteranges"])


@settings(deadline=None)
@given(PARTS, SUBTYPES)
def test_parts_match_themselves_whatever_the_boundary(parts: list[bytes], subtype: str) -> None:
    response_head, other = (multipart(*parts, subtype=subtype, boundary=boundary) for boundary in ("x", "y-1"))
    if parts:
        assert compared(response_head, other).outcome is Outcome.MATCH


@settings(deadline=None, max_examples=300)
@given(PARTS, PARTS, SUBTYPES)
def test_swapping_the_sides_mirrors_the_differences_of_parts(
    left: list[bytes], right: list[bytes], subtype: str
) -> None:
    pair = multipart(*left, subtype=subtype), multipart(*right, subtype=subtype, boundary="c")
    forth, back = compared(*pair), compared(*pair[::-1])
    assert forth.outcome is back.outcome
    assert seen(forth) == {(path, MIRRORED.get(kind, kind), count) for path, kind, count in seen(back)}


@settings(deadline=None)
@given(PARTS, st.data())
def test_the_order_of_different_fields_never_matters(parts: list[bytes], data: st.DataObject) -> None:
    named = {part.partition(b"name=")[2][:3]: part for part in parts}
    turned = data.draw(st.permutations(list(named.values())))
    if named:
        assert compared(multipart(*named.values()), multipart(*turned, boundary="c")).outcome is Outcome.MATCH


TYPED = replace(rules_of(), numbers="typed")
NUMBERS = st.recursive(
    st.integers(-2, 3) | st.sampled_from([0.0, 1.0, 2.5, float("inf"), float("nan")]) | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


@settings(deadline=None)
@given(NUMBERS, NUMBERS)
def test_typed_numbers_obey_the_same_laws(left: Any, right: Any) -> None:
    assert trees(left, left, TYPED).outcome is Outcome.MATCH
    forth, back = trees(left, right, TYPED), trees(right, left, TYPED)
    assert seen(forth) == {(path, MIRRORED.get(kind, kind), count) for path, kind, count in seen(back)}
    if forth.outcome is Outcome.MATCH:
        assert trees(left, right).outcome is Outcome.MATCH, "what is equal by type is equal by value"


CONDITIONS = st.lists(
    st.tuples(
        st.sampled_from([b"If-None-Match", b"If-Modified-Since", b"If-Match", b"If-Range", b"Range", b"Accept"]),
        st.sampled_from([b'"a"', b'W/"a", "b"', b"*", b"", b"x", b'"', b"Sun, 06 Nov 1994 08:49:37 GMT"]),
    ),
    max_size=4,
)
VALIDATED = st.builds(
    lambda status, fields: Response(status, fields, b"" if status == 304 else b"{}"),
    st.sampled_from([200, 203, 206, 304, 404, 412, 416]),
    st.lists(
        st.sampled_from(
            [
                (b"ETag", b'"a"'),
                (b"ETag", b'W/"b"'),
                (b"Last-Modified", b"Sunday, 06-Nov-94 08:49:37 GMT"),
                (b"Content-Range", b"bytes 0-1/2"),
                (b"Content-Range", b"bytes */2"),
            ]
        ),
        max_size=2,
    ),
)


@settings(deadline=None, max_examples=300)
@given(CONDITIONS, VALIDATED, VALIDATED)
def test_conditions_mean_the_same_whichever_side_is_legacy(
    lines: list[tuple[bytes, bytes]], response_head: Response, other: Response
) -> None:
    request = conditions_of(lines)
    assert compared(response_head, response_head, request=request).outcome is Outcome.MATCH
    forth, back = compared(response_head, other, request=request), compared(other, response_head, request=request)
    assert (forth.outcome, forth.reason) == (back.outcome, back.reason)
    if response_head.status == other.status:
        assert forth.outcome is not Outcome.NOT_COMPARABLE
    if {response_head.status, other.status} == {304, 404}:
        assert forth.outcome is Outcome.MISMATCH


SORTABLE = st.lists(
    st.fixed_dictionaries({"label": st.sampled_from("abcdef"), "price": st.integers(0, 5)})
    | st.fixed_dictionaries({"id": st.integers(0, 9), "price": st.integers(0, 5)}),
    min_size=3,
    max_size=6,
)


@settings(deadline=None, max_examples=300)
@given(SORTABLE, SORTABLE, st.sampled_from(["label", "price", "id"]), st.booleans())
def test_swapping_the_sides_of_sorted_arrays_mirrors_the_differences(
    left: list[Any], right: list[Any], by: str, is_falling: bool
) -> None:
    legacy = sorted(left, key=lambda row: str(row.get(by)), reverse=is_falling)
    candidate = sorted(right, key=lambda row: str(row.get("price")))
    forth, back = trees(legacy, candidate), trees(candidate, legacy)
    assert (forth.outcome is Outcome.MATCH) == (legacy == candidate)
    assert seen(forth) == {(path, MIRRORED.get(kind, kind), count) for path, kind, count in seen(back)}
