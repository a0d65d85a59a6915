"""A flood from one address costs that address its own connections, nobody else's."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.core.crowd import Crowd, client_key


def crowd(**held: int) -> Crowd:
    made = Crowd()
    for name, number in held.items():
        for _ in range(number):
            made.enter(name.encode())
    return made


@pytest.mark.parametrize(
    ("held", "newcomer", "makes_room"),
    [
        pytest.param({"flood": 100}, b"ana", b"flood", id="somebody new"),
        pytest.param({"flood": 100, "ana": 98}, b"ana", b"flood", id="somebody who holds less, even with one more"),
        pytest.param({"flood": 100, "ana": 99}, b"ana", None, id="no gain in swapping places"),
        pytest.param({"flood": 100}, b"flood", None, id="the flood itself"),
        pytest.param({"flood": 100, "rush": 100}, b"flood", None, id="one of two floods"),
        pytest.param({"ana": 1, "bob": 1}, b"eve", None, id="all hold one"),
        pytest.param({"ana": 2, "bob": 1}, b"eve", b"ana", id="one holds two"),
        pytest.param({}, b"ana", None, id="nobody is there"),
    ],
)
def test_who_makes_room(held: dict[str, int], newcomer: bytes, makes_room: bytes | None) -> None:
    assert crowd(**held).who_makes_room_for(newcomer) == makes_room


ADDRESSES = st.sampled_from([b"a", b"b", b"c", b"d"])


@given(st.lists(st.tuples(st.booleans(), ADDRESSES), max_size=200))
def test_it_agrees_with_a_plain_count(steps: list[tuple[bool, bytes]]) -> None:
    made, model = Crowd(), Counter[bytes]()
    for enters, address in steps:
        if enters:
            made.enter(address)
            model[address] += 1
        elif model[address]:
            made.leave(address)
            model[address] -= 1
        most = max(model.values(), default=0)
        for newcomer in (b"a", b"e"):
            found = made.who_makes_room_for(newcomer)
            assert (found is None) == (most - 1 <= model[newcomer])
            assert found is None or model[found] == most
        assert made.total == model.total()
        assert all(made.held(name) == number for name, number in model.items())


@given(st.lists(ADDRESSES, min_size=30, max_size=300), st.integers(4, 20))
def test_at_the_limit_everyone_ends_up_with_a_fair_share(newcomers: list[bytes], limit: int) -> None:
    """Nobody who wants less than an equal part is ever turned away."""
    made = Crowd()
    for _ in range(limit):
        made.enter(b"flood")
    for newcomer in newcomers:
        victim = made.who_makes_room_for(newcomer)
        if victim is None:
            assert made.held(newcomer) >= limit // 5 - 1
            continue
        made.leave(victim)
        made.enter(newcomer)
        assert made.total == limit


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.1", b"192.0.2.1"),
        ("2001:db8::1", b"2001:db8:0:0::/64"),
        ("2001:db8:0:0:1:2:3:4", b"2001:db8:0:0::/64"),
        ("2001:DB8::1:2:3:4", b"2001:db8:0:0::/64"),
        ("2001:0db8:0001::", b"2001:db8:1:0::/64"),
        ("2001:db8:0:1::1", b"2001:db8:0:1::/64"),
        ("::1", b"0:0:0:0::/64"),
        ("fe80::1", b"fe80:0:0:0::/64"),
    ],
)
def test_a_client_is_an_ipv4_address_or_an_ipv6_network(address: str, key: bytes) -> None:
    assert client_key(address) == key
