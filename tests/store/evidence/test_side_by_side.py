"""Two answers side by side: what is equal is not marked, what differs is."""

import json
import time
from typing import Any

import pytest

from strangler.core.documents import KeptBody, KeptPair, KeptRequest, KeptResponse
from strangler.store.evidence.side_by_side import CONTEXT, MAX_LINES, Row, sides


def response(body: Any = None, kind: str = "json", headers: Any = (), status: int = 200, **more: Any) -> KeptResponse:
    text = body if isinstance(body, str) else json.dumps(body)
    kept = None if body is None else KeptBody(kind, text=text, **more)
    return KeptResponse(status, None, 1.0, 0, [(name, value) for name, value in headers], kept)


def pair(legacy: KeptResponse, candidate: KeptResponse) -> KeptPair:
    return KeptPair(KeptRequest("GET", "/", [], None), legacy, candidate)


def head(legacy: Any, candidate: Any) -> list[tuple[str, str, str]]:
    return row_texts(sides(pair(response(headers=legacy), response(headers=candidate)))[0])[1:]


def body(legacy: KeptResponse, candidate: KeptResponse) -> list[Row]:
    return sides(pair(legacy, candidate))[1]


def row_texts(rows: list[Row]) -> list[tuple[str, str, str]]:
    return [(row.legacy.strip(), row.mark, row.candidate.strip()) for row in rows]


def marked(rows: list[Row]) -> list[tuple[str, str, str]]:
    return [row for row in row_texts(rows) if row[1]]


class TestHeaders:
    def test_fields_are_paired_by_name_whatever_their_order_and_case(self) -> None:
        left = [["Content-Type", "text/html"], ["ETag", '"1"'], ["X-Old", "1"]]
        right = [["etag", '"2"'], ["X-New", "1"], ["content-type", "text/html"]]
        assert head(left, right) == [
            ("Content-Type: text/html", "", "content-type: text/html"),
            ('ETag: "1"', "≠", 'etag: "2"'),
            ("", "+", "X-New: 1"),
            ("X-Old: 1", "-", ""),
        ]

    def test_repeated_fields_are_paired_in_their_order(self) -> None:
        left = [["Set-Cookie", "a=1"], ["Set-Cookie", "b=2"], ["Vary", "Accept"]]
        right = [["Vary", "Accept"], ["set-cookie", "a=1"], ["set-cookie", "b=3"], ["set-cookie", "c=4"]]
        assert head(left, right) == [
            ("Set-Cookie: a=1", "", "set-cookie: a=1"),
            ("Set-Cookie: b=2", "≠", "set-cookie: b=3"),
            ("", "+", "set-cookie: c=4"),
            ("Vary: Accept", "", "Vary: Accept"),
        ]

    def test_what_belongs_to_the_connection_is_not_shown(self) -> None:
        assert head([["Content-Length", "3"]], [["Transfer-Encoding", "chunked"]]) == []

    def test_the_status_is_marked_where_it_differs(self) -> None:
        rows, _ = sides(pair(response(status=200), response(status=404)))
        assert row_texts(rows) == [("200", "≠", "404")]


EQUAL = [
    pytest.param({"a": 1, "b": [1, {"c": 2, "d": 3}]}, {"b": [1, {"d": 3, "c": 2}], "a": 1}, id="order of keys"),
    pytest.param([], [], id="empty array"),
    pytest.param({"a": {}}, {"a": {}}, id="empty object"),
    pytest.param({"a": None, "b": True, "c": "x"}, {"c": "x", "b": True, "a": None}, id="scalars"),
    pytest.param({"a": "redacted:01234567"}, {"a": "redacted:01234567"}, id="redacted"),
]


class TestJson:
    @pytest.mark.parametrize(("legacy", "candidate"), EQUAL)
    def test_what_is_equal_is_not_marked(self, legacy: Any, candidate: Any) -> None:
        assert marked(body(response(legacy), response(candidate))) == []

    @pytest.mark.parametrize(
        ("legacy", "candidate", "expected"),
        [
            pytest.param({"a": 1, "z": 0}, {"z": 0, "a": 2}, [('"a": 1,', "≠", '"a": 2,')], id="a value"),
            pytest.param({"a": 1}, {"a": "1"}, [('"a": 1', "≠", '"a": "1"')], id="a type"),
            pytest.param({"a": 1}, {"a": True}, [('"a": 1', "≠", '"a": true')], id="a number is no boolean"),
            pytest.param({"a": 1, "b": 2}, {"b": 2}, [('"a": 1,', "-", "")], id="a member that is gone"),
            pytest.param({"b": 2}, {"a": 1, "b": 2}, [("", "+", '"a": 1')], id="a member that is new"),
            pytest.param([1, 2, 3], [0, 1, 2, 3], [("", "+", "0,")], id="an element in front"),
            pytest.param([{"i": 1, "p": 1}], [{"p": 2, "i": 1}], [('"p": 1', "≠", '"p": 2')], id="inside an element"),
            pytest.param({"a": [1]}, {"a": {"b": 1}}, [
                ('"a": [', "≠", '"a": {'), ("1", "≠", '"b": 1'), ("]", "≠", "}")], id="an array for an object"),
            pytest.param({"a": 1}, None, [("{", "-", ""), ('"a": 1', "-", ""), ("}", "-", "")], id="no body"),
        ],
    )  # fmt: skip
    def test_what_differs_is_marked_and_nothing_else(self, legacy: Any, candidate: Any, expected: Any) -> None:
        assert marked(body(response(legacy), response(candidate))) == expected

    def test_numbers_are_as_they_are_stored(self) -> None:
        """They are stored in canonical form, or as they were written where `compare.numbers` is typed."""
        assert marked(body(response('{"a": 5}'), response('{"a": 5}'))) == []
        assert marked(body(response('{"a": 5}'), response('{"a": 5.0}'))) == [('"a": 5', "≠", '"a": 5.0')]
        assert marked(body(response('{"a": NaN}'), response('{"a": NaN}'))) == []

    def test_a_long_stretch_alike_is_folded(self) -> None:
        many = {f"key{number:03}": number for number in range(100)}
        rows = body(response(many), response(many | {"key050": -1}))
        assert len(rows) == 4 * CONTEXT + 3
        assert "⋮" in rows[CONTEXT].legacy

    def test_documents_in_lines_are_paired(self) -> None:
        left, right = '{"a": 1, "b": 1}\n{"a": 2}\n{"a": 3}', '{"b": 1, "a": 1}\n{"a": 3}'
        rows = body(response(left, "ndjson"), response(right, "ndjson"))
        assert marked(rows) == [("{", "-", ""), ('"a": 2', "-", ""), ("}", "-", "")]

    def test_a_form_is_paired_by_field(self) -> None:
        rows = body(response({"a": ["1"], "b": ["2"]}, "form"), response({"b": ["2"], "a": ["9"]}, "form"))
        assert marked(rows) == [('"1"', "≠", '"9"')]

    def test_a_text_that_was_cut_is_laid_out_all_the_same(self) -> None:
        whole = json.dumps({f"key{number}": [number, "a, {b"] for number in range(50)})
        left = response(whole[:400], cut_from=len(whole))
        right = response(whole[:400].replace("[3,", "[4,"), cut_from=len(whole))
        assert marked(body(left, right)) == [("3,", "≠", "4,")]

    @pytest.mark.parametrize(
        ("legacy", "candidate"),
        [
            pytest.param("[" * 5000 + "]" * 5000, "[" * 5000 + "1" + "]" * 5000, id="deep"),
            pytest.param(json.dumps([0] * 80_000), json.dumps([1] * 79_000), id="many elements"),
            pytest.param(json.dumps({str(k): k for k in range(20_000)}), json.dumps({str(k): 0 for k in range(20_000)}),
                         id="many members"),
            pytest.param("[" * 900 + "]" * 900, "[" * 900 + "1" + "]" * 900, id="as deep as is parsed"),
            pytest.param("[" * 50 + json.dumps(list(range(3000))) + "]" * 50,
                         "[" * 50 + json.dumps(list(range(3000, 0, -1))) + "]" * 50, id="deep and many"),
        ],
    )  # fmt: skip
    def test_large_bodies_take_a_moment_and_no_more(self, legacy: str, candidate: str) -> None:
        began = time.process_time()
        rows = body(response(legacy), response(candidate))
        assert time.process_time() - began < 5
        assert 0 < len(rows) <= MAX_LINES + 1
        assert marked(rows)


class TestOtherBodies:
    def test_pages_are_laid_out_tag_by_tag(self) -> None:
        left, right = "<ul><li>1</li><li>2</li></ul>", "<ul><li>1</li><li>3</li></ul>"
        assert marked(body(response(left, "html"), response(right, "html"))) == [("<li>2</li>", "≠", "<li>3</li>")]

    def test_a_page_for_json_is_marked_line_by_line(self) -> None:
        assert marked(body(response({"a": 1}), response("<p>sorry</p>", "html")))[0] == ("{", "≠", "<p>sorry</p>")

    def test_what_was_not_kept_is_told_by_hash_and_length(self) -> None:
        left = KeptResponse(200, None, None, 0, [], KeptBody("opaque", hash="01234567", length=3))
        right = KeptResponse(200, None, None, 0, [], KeptBody("opaque", hash="89abcdef", length=1234))
        assert marked(body(left, left)) == []
        assert marked(body(left, right)) == [("3 bytes, hash 01234567", "≠", "1,234 bytes, hash 89abcdef")]

    def test_two_without_a_body_have_no_rows(self) -> None:
        assert body(response(), response()) == []
