"""Values that split one path into several rows."""

import pytest

from strangler.core.ledger.segments import joined_segments, split_segments
from strangler.core.ledger.split_values import SplitKey, parse_split_key, raw_values, suffix_of

KEYS = [SplitKey(True, "module"), SplitKey(True, "action"), SplitKey(False, "SOAPAction")]


@pytest.mark.parametrize(
    ("target", "field", "suffix"),
    [
        ("/i.php?action=list", "", "?action=list"),
        ("/i.php?x=1&action=list&module=shop&action=no", "", "?module=shop&action=list"),
        ("/i.php?action=", "", ""),
        ("/i.php?action=7", "", "?action={}"),
        ("/i.php?action=a%2Fb=c%26d", "", "?action={}"),
        ("/i.php?action=two+words", "", "?action=two%20words"),
        ("/ws", '"http://shop.example/Orders#GetOrder"', "#SOAPAction=GetOrder"),
        ("/ws", "urn:GetOrder", "#SOAPAction=GetOrder"),
        ("/ws?action=x", "GetOrder", "?action=x#SOAPAction=GetOrder"),
        ("/ws", '""', "#SOAPAction="),
        ("/ws", "x" * 4000, "#SOAPAction={}"),
    ],
)
def test_a_value_becomes_a_suffix(target: str, field: str, suffix: str) -> None:
    fields = {b"soapaction": field.encode()} if field else {}
    query = target.partition("?")[2].encode()
    assert suffix_of(KEYS, raw_values(KEYS, query, fields)) == suffix


def test_no_more_is_kept_of_a_value_than_is_read() -> None:
    (value,) = raw_values([SplitKey(False, "X")], b"", {b"x": b"a" * 100_000})
    assert len(value) <= 256


@pytest.mark.parametrize("suffix", ["", "?action=list", "?module=shop&action=list", "?action=x#SOAPAction=Get"])
@pytest.mark.parametrize("path", ["/", "/a/b", "/a/", "*"])
def test_a_template_is_split_and_joined(path: str, suffix: str) -> None:
    assert joined_segments(split_segments(path + suffix)) == path + suffix


def test_keys_are_read() -> None:
    assert parse_split_key("query:action") == SplitKey(True, "action")
    assert parse_split_key("header:SOAPAction") == SplitKey(False, "SOAPAction")


@pytest.mark.parametrize("text", ["action", "query:", "cookie:sid", "query:a b"])
def test_other_keys_are_refused_with_the_way_out(text: str) -> None:
    with pytest.raises(ValueError, match="write query:NAME or header:NAME"):
        parse_split_key(text)
