"""The memo is bounded, and never finds what was never put in."""

from hypothesis import given
from hypothesis import strategies as st

from strangler.http1.memo import Memo


def test_it_gives_back_what_was_put_in() -> None:
    memo: Memo[int] = Memo(entries=2, longest_bytes=3)
    memo.put(b"a", 1)
    assert (memo.get(b"a"), memo.get(b"b")) == (1, None)


def test_the_oldest_makes_room() -> None:
    memo: Memo[int] = Memo(entries=2, longest_bytes=3)
    for number, key in enumerate((b"a", b"b", b"c")):
        memo.put(key, number)
    assert [memo.get(key) for key in (b"a", b"b", b"c")] == [None, 1, 2]


def test_a_long_key_is_not_remembered() -> None:
    memo: Memo[int] = Memo(entries=2, longest_bytes=3)
    memo.put(b"abcd", 1)
    assert memo.get(b"abcd") is None


@given(st.lists(st.binary(max_size=6), max_size=60))
def test_it_never_holds_more_than_its_entries_nor_another_keys_value(keys: list[bytes]) -> None:
    memo: Memo[bytes] = Memo(entries=5, longest_bytes=4)
    for key in keys:
        memo.put(key, key)
        assert memo.get(key) in (key, None)
    held = [key for key in set(keys) if memo.get(key) is not None]
    assert len(held) <= 5
    assert all(memo.get(key) == key and len(key) <= 4 for key in held)
