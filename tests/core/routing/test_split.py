"""The split: stable, monotonic, close to its percent."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.core.routing.split import Bucketer, Split, bucket, hundredths
from tests.factories import head, split


@pytest.mark.parametrize(
    ("percent", "buckets"),
    [(0, 0), (0.01, 1), (0.07, 7), (0.29, 29), (1.15, 115), (25, 2500), (99.99, 9999), (100, 10000)],
)
def test_two_decimals_of_a_percent_are_exact(percent: float, buckets: int) -> None:
    assert hundredths(percent) == buckets


@given(st.integers(0, 10000))
def test_every_hundredth_is_exact(count: int) -> None:
    assert hundredths(count / 100) == count


# Fixed for good: another hash would move callers between the arms on an upgrade.
KNOWN_BUCKETS = [("orders", b"9"), ("orders", b"user-1"), ("", b"user-1"), ("g" * 65, b"user-1")]


@pytest.mark.parametrize(("group", "key"), [*KNOWN_BUCKETS, ("g" * 64, b"user-1")])
def test_bucket_is_blake2b_keyed_by_the_group(group: str, key: bytes) -> None:
    hash_key = group.encode() if len(group) <= 64 else hashlib.blake2b(group.encode()).digest()
    digest = hashlib.blake2b(key, key=hash_key, digest_size=8).hexdigest()
    assert bucket(group, key) == int(digest, 16) % 10000


def test_bucket_never_changes_between_releases() -> None:
    assert [bucket(group, key) for group, key in KNOWN_BUCKETS] == [9267, 9335, 3768, 8389]


def test_group_may_be_text_or_bytes() -> None:
    assert bucket("café", b"k") == bucket("café".encode(), b"k")


@given(st.text(), st.binary())
def test_bucket_is_in_range_and_stable(group: str, key: bytes) -> None:
    bucketer = Bucketer(group)
    assert 0 <= bucketer(key) < 10000
    assert bucketer(key) == bucketer(key) == bucket(group, key)


@pytest.mark.parametrize("percent", [1, 10, 50, 99])
def test_share_of_many_keys_is_near_the_percent(percent: int) -> None:
    bucketer = Bucketer("orders")
    share = sum(bucketer(b"%d" % key) < hundredths(percent) for key in range(20000)) / 200
    assert share == pytest.approx(percent, abs=1)


def test_groups_split_callers_independently() -> None:
    first, second = Bucketer("orders"), Bucketer("users")
    both = sum(first(b"%d" % key) < 5000 and second(b"%d" % key) < 5000 for key in range(10000))
    assert both == pytest.approx(2500, abs=200)


STICKY = [
    pytest.param(["header:x-user-id"], {"X-User-Id": "9"}, b"9", id="header"),
    pytest.param(["header:x-user-id"], {"X-User-Id": ""}, None, id="an empty header is absent"),
    pytest.param(["header:x-user-id"], {}, None, id="no header"),
    pytest.param(["header:x-user-id", "client_ip"], {}, b"192.0.2.7", id="the next source"),
    pytest.param(
        ["header:x-user-id", "client_ip"], {"X-User-Id": ""}, b"192.0.2.7", id="the next one after an empty one"
    ),
    pytest.param(["cookie:sid", "header:x-user-id"], {"X-User-Id": "9", "Cookie": "sid=a"}, b"a", id="in order"),
    pytest.param([], {"X-User-Id": "9"}, None, id="no sources"),
    pytest.param(["cookie:sid"], {"Cookie": "a=b; sid=xyz; c=d"}, b"xyz", id="cookie among others"),
    pytest.param(["cookie:sid"], {"Cookie": "sid=xyz"}, b"xyz", id="only cookie"),
    pytest.param(["cookie:sid"], {"Cookie": "a=b;sid=xyz"}, b"xyz", id="cookie without a space"),
    pytest.param(["cookie:sid"], {"Cookie": "xsid=1; sidx=2"}, None, id="cookie names are whole"),
    pytest.param(["cookie:sid"], {"Cookie": "SID=1"}, None, id="cookie names keep their case"),
    pytest.param(["cookie:sid"], {"Cookie": "a=sid=1"}, None, id="a value that looks like a cookie"),
    pytest.param(["cookie:sid"], {"Cookie": "sid=1; sid=2"}, b"1", id="the first of equal cookies"),
    pytest.param(["cookie:sid"], {"Cookie": "sid=; sid=2"}, b"2", id="an empty cookie is absent"),
    pytest.param(["cookie:sid"], {"Cookie": "sid="}, None, id="only an empty cookie"),
    pytest.param(["cookie:sid"], {"Cookie": "sid"}, None, id="a cookie without a value"),
    pytest.param(["cookie:sid"], {"Cookie": 'sid="a b"'}, b'"a b"', id="quotes are part of the value"),
    pytest.param(["cookie:sid"], {"Cookie": "sid=a=b=="}, b"a=b==", id="equals signs in the value"),
    pytest.param(["cookie:sid"], {"Cookie": " sid = x "}, b"x", id="white space around name and value"),
    pytest.param(["cookie:s.d"], {"Cookie": "sxd=1"}, None, id="a name is no pattern"),
]


@pytest.mark.parametrize(("sources", "headers", "key"), STICKY)
def test_sticky_key_is_the_first_source_that_is_present(
    sources: list[str], headers: dict[str, str], key: bytes | None
) -> None:
    made = Split(split(sticky=sources))
    assert made.sticky_key(head(headers=headers)) == key


def test_cookies_of_two_header_lines_are_one_list() -> None:
    made = Split(split(sticky=["cookie:sid"]))
    assert made.sticky_key(head(headers=[("Cookie", "a=1"), ("Cookie", "sid=2")])) == b"2"
