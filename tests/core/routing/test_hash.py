"""The hash of the split, held against a second implementation, and the laws that make it one.

The same definition is rendered for Envoy, whose XXH64 decides there: nothing here may change by itself.
"""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.core.routing.split import Bucketer, Split, block_order, bucket, hundredths
from tests.core.routing.xxh64 import xxh64
from tests.factories import head, split

VECTORS = [
    (b"", 0, 0xEF46DB3751D8E999),
    (b"abc", 0, 0x44BC2CF5AD770999),
    (b"Nobody inspects the spammish repetition", 0, 0xFBCEA83C8A378BF1),
    (b"xxhash", 20141025, 13067679811253438005),
]
"""From the reference implementation's and python-xxhash's documentation."""

GROUPS = ["", "orders", "users", "café", "g" * 300]


def naive_bucket(group: str, values: list[bytes]) -> int:
    """Return the bucket word for word as the contract says it."""
    chained = 0
    for value in sorted(values):
        chained = xxh64(value, chained)
    position = chained % 10000
    order = sorted(range(100), key=lambda i: (xxh64(f"{group}\0{i}".encode()), i))
    return order.index(position // 100) * 100 + position % 100


@pytest.mark.parametrize(("data", "seed", "expected"), VECTORS)
def test_the_second_implementation_is_xxh64(data: bytes, seed: int, expected: int) -> None:
    assert xxh64(data, seed) == expected


@given(st.text(), st.binary(max_size=100).filter(lambda key: b"\0" not in key))
def test_bucket_is_as_the_contract_says(group: str, key: bytes) -> None:
    assert bucket(group, key) == bucket(group.encode(), key) == naive_bucket(group, [key])


VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x2FF, exclude_characters="\x7f"), max_size=40)


@given(st.sampled_from(GROUPS), st.lists(VALUES.map(str.strip), min_size=1, max_size=5))
def test_a_repeated_header_is_chained_in_any_order(group: str, values: list[str]) -> None:
    made = Split(split(sticky=["header:x-user-id"], group=group))
    expected = naive_bucket(group, [value.encode() for value in values])
    for order in (values, values[::-1]):
        key = made.sticky_key(head(headers=[("X-User-Id", value) for value in order]))
        assert key is not None
        assert made.bucket(key) == expected


def test_values_are_not_their_sum() -> None:
    """Repeated values are another caller than one field that has them all."""
    made = Split(split(sticky=["header:x-user-id"]))
    heads = [[("X-User-Id", "1"), ("X-User-Id", "2")], [("X-User-Id", "1, 2")], [("X-User-Id", "12")]]
    assert len({made.sticky_key(head(headers=headers)) for headers in heads}) == 3


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_puts_the_blocks_in_an_order(group: str) -> None:
    assert sorted(block_order(group)) == list(range(100))


def test_each_group_has_its_own_order() -> None:
    assert len({tuple(block_order(group)) for group in GROUPS}) == len(GROUPS)


@given(st.text())
def test_every_bucket_belongs_to_one_hash_value(group: str) -> None:
    """The percent is exact over the 10,000 hash values, at any percent, since each of them has a bucket of its own."""
    order = block_order(group)
    places = {order.index(value // 100) * 100 + value % 100 for value in range(10000)}
    assert places == set(range(10000))


@given(st.text(), st.binary(), st.integers(0, 10000), st.integers(0, 10000))
def test_a_rising_percent_only_adds_callers(group: str, key: bytes, first: int, second: int) -> None:
    low, high = sorted((hundredths(first / 100), hundredths(second / 100)))
    at = bucket(group, key)
    assert 0 <= at < 10000
    assert not at < low or at < high


@pytest.mark.parametrize("percent", [1, 10, 50, 99])
def test_share_of_many_keys_is_near_the_percent(percent: int) -> None:
    bucketer = Bucketer("orders")
    share = sum(bucketer(b"%d" % key) < hundredths(percent) for key in range(20000)) / 200
    assert share == pytest.approx(percent, abs=1)


@pytest.mark.parametrize("percent", [25, 50])
def test_groups_split_callers_nearly_independently(percent: int) -> None:
    """Whole blocks of 1 % are drawn, so the overlap of two groups varies as that of draws from 100."""
    groups = [Bucketer(f"group {number}") for number in range(30)]
    moved = [{key for key in range(4000) if group(b"%d" % key) < percent * 100} for group in groups]
    shares = [len(left & right) / 40 for at, left in enumerate(moved) for right in moved[:at]]
    independent = percent * percent / 100
    deviation = (independent * (1 - percent / 100) * (100 - percent) / 99) ** 0.5
    assert sum(shares) / len(shares) == pytest.approx(independent, abs=1)
    assert all(abs(share - independent) < 4 * deviation + 1 for share in shares)


def test_other_processes_have_the_same_buckets() -> None:
    """The seed of Python's own hash differs from process to process."""
    code = (
        "from strangler.core.routing.split import block_order, bucket;"
        "print([block_order(g) for g in ('', 'orders')], [bucket('orders', b'%d' % k) for k in range(50)])"
    )
    expected = f"{[block_order(g) for g in ('', 'orders')]} {[bucket('orders', b'%d' % key) for key in range(50)]}\n"
    for seed in ("1", "2"):
        ran = subprocess.run([sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True)
        assert ran.stdout == expected, ran.stderr
