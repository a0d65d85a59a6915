"""Addresses in one form each: mapped ones are IPv4, and an IPv6 caller is its /64."""

import pytest

from strangler.core.http.addresses import caller_of, canonical, parse_address
from strangler.core.http.trust import TrustedProxies


@pytest.mark.parametrize(
    ("text", "item"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::FFFF:C000:0207", "192.0.2.7"),
        ("0:0:0:0:0:ffff:192.0.2.7", "192.0.2.7"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("unknown", "unknown"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("::ffff:192.0.2.700", "::ffff:192.0.2.700"),
    ],
)
def test_an_address_has_one_form(text: str, item: str) -> None:
    assert canonical(text) == item


@pytest.mark.parametrize("text", ["", "unknown", "_hidden", "1", "192.0.2", "fe80::1%eth0", "192.0.2.7:80"])
def test_what_is_no_address_is_none(text: str) -> None:
    assert parse_address(text) is None


@pytest.mark.parametrize(
    ("address", "caller"),
    [
        (b"192.0.2.7", b"192.0.2.7"),
        (b"2001:db8:1:2:3:4:5:6", b"2001:db8:1:2::"),
        (b"2001:db8:1:2::ffff", b"2001:db8:1:2::"),
        (b"2001:db8:1:3::ffff", b"2001:db8:1:3::"),
        (b"::1", b"::"),
        (b"", b""),
        (b"odd:text", b"odd:text"),
    ],
)
def test_an_ipv6_caller_is_its_network(address: bytes, caller: bytes) -> None:
    assert caller_of(address) == caller


@pytest.mark.parametrize(
    ("trusted", "peer", "chain", "client"),
    [
        (["10.0.0.0/8"], "10.0.0.1", b"203.0.113.7, ::ffff:10.0.0.7", b"203.0.113.7"),
        (["10.0.0.0/8"], "::ffff:10.0.0.1", b"203.0.113.7", b"203.0.113.7"),
        (["10.0.0.0/8"], "10.0.0.1", b"::ffff:203.0.113.7", b"203.0.113.7"),
        (["10.0.0.0/8"], "10.0.0.1", b"203.0.113.7, [::ffff:10.0.0.7]:443", b"203.0.113.7"),
        (["::ffff:10.0.0.0/104"], "10.0.0.1", b"203.0.113.7, 10.9.9.9", b"203.0.113.7"),
        (["::ffff:10.0.0.1"], "10.0.0.1", b"203.0.113.7", b"203.0.113.7"),
        (["::/0"], "10.0.0.1", b"203.0.113.7", b"10.0.0.1"),
        (["10.0.0.0/8"], "10.0.0.1", b"203.0.113.7, unknown, 10.0.0.7", b"10.0.0.7"),
        (["10.0.0.0/8"], "10.0.0.1", b"2001:DB8::1", b"2001:db8::1"),
    ],
)
def test_mapped_addresses_are_ipv4_in_peers_chains_and_trusted_networks(
    trusted: list[str], peer: str, chain: bytes, client: bytes
) -> None:
    assert TrustedProxies(trusted).client_of(peer, chain) == client
