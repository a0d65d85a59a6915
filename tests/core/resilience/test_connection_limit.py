"""A flood from one address costs that address its own connections, nobody else's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.core.resilience.connection_limit import ConnectionLimit, client_key


def limit_of(**held: int) -> ConnectionLimit[int]:
    """Members are 0, 1, 2, …, whoever holds them."""
    made: ConnectionLimit[int] = ConnectionLimit()
    for name, number in held.items():
        for _ in range(number):
            made.enter(name.encode(), made.total)
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
    assert limit_of(**held).address_to_yield(newcomer) == makes_room


ADDRESSES = st.sampled_from([b"a", b"b", b"c", b"d"])


@given(st.lists(st.tuples(st.booleans(), ADDRESSES), max_size=200))
def test_it_agrees_with_a_plain_count(steps: list[tuple[bool, bytes]]) -> None:
    made: ConnectionLimit[int] = ConnectionLimit()
    model: dict[bytes, list[int]] = {address: [] for address in (b"a", b"b", b"c", b"d")}
    for number, (enters, address) in enumerate(steps):
        if enters:
            made.enter(address, number)
            model[address].append(number)
        elif model[address]:
            made.leave(address, model[address].pop())
        most = max(map(len, model.values()))
        for newcomer in (b"a", b"e"):
            found = made.address_to_yield(newcomer)
            assert (found is None) == (most - 1 <= len(model.get(newcomer, [])))
            assert found is None or len(model[found]) == most
        assert made.total == sum(map(len, model.values()))
        assert all(made.held(name) == len(members) for name, members in model.items())


@given(st.lists(ADDRESSES, min_size=30, max_size=300), st.integers(4, 20))
def test_at_the_limit_nobody_who_wants_less_than_an_equal_part_is_turned_away(
    newcomers: list[bytes], limit: int
) -> None:
    made = limit_of(flood=limit)
    for number, newcomer in enumerate(newcomers, limit):
        victim = made.address_to_yield(newcomer)
        if victim is None:
            assert made.held(newcomer) >= limit // 5 - 1
            continue
        made.leave(victim, next(made.some(victim, 1)))
        made.enter(newcomer, number)
        assert made.total == limit


def test_each_look_is_at_other_connections() -> None:
    made = limit_of(flood=10)
    looks = [list(made.some(b"flood", 4)) for _ in range(5)]
    assert looks == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 1], [2, 3, 4, 5], [6, 7, 8, 9]]
    assert list(made.some(b"flood", 99)) == list(range(10))


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
