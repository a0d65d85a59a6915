"""The quick look at two responses: what it passes over although the bytes are equal."""

from datetime import date

import pytest

from strangler.core.compare import NO_RULES, CompareRules, Response, compare
from strangler.core.compare.same import is_same

TODAY = date(2027, 1, 1)
RULES = CompareRules(("content-type", "location"), (), ())
SAME = Response(200, [(b"Content-Type", b"a/b"), (b"Date", b"1")], b"x")
NOT_SAME = {
    "a coding, which may be broken": Response(200, [(b"Content-Encoding", b"gzip")], b"x"),
    "a stream": Response(200, [(b"content-type", b"Text/Event-Stream")], b""),
    "a Location, which may be rewritten back": Response(302, [(b"Location", b"/a")]),
    "an upgrade": Response(101),
    "too large": Response(200, is_too_large=True),
    "no body recorded": Response(200, is_unrecorded=True),
}


@pytest.mark.parametrize("response", NOT_SAME.values(), ids=NOT_SAME)
def test_equal_bytes_that_need_a_closer_look(response: Response) -> None:
    assert not is_same(response, response, RULES)


def test_fields_that_are_not_compared_do_not_count_and_others_do() -> None:
    other = Response(200, [(b"Date", b"2"), (b"content-type", b" a/b")], b"x")
    assert is_same(SAME, other, RULES)
    assert not is_same(SAME, Response(200, [(b"Content-Type", b"a/c")], b"x"), RULES)
    assert compare(SAME, other, RULES, TODAY) == compare(SAME, SAME, NO_RULES, TODAY)
