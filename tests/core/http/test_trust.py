"""Peers that say whom a request comes from, and are not believed."""

import pytest

from strangler.core.http.headers import ForwardedFields
from strangler.core.http.trust import TrustedProxies

PROTO, FOR = {b"x-forwarded-proto": b"https"}, {b"x-forwarded-for": b"203.0.113.9"}


@pytest.mark.parametrize(
    ("peer", "fields", "noted"),
    [
        pytest.param("10.0.0.7", PROTO, "X-Forwarded-Proto: https", id="TLS ended at a private peer"),
        pytest.param("8.8.8.8", PROTO, "X-Forwarded-Proto: https", id="TLS ended at a public peer"),
        pytest.param("127.0.0.1", {b"x-forwarded-proto": b" HTTPS, http"}, "X-Forwarded-Proto: https", id="a chain"),
        pytest.param("10.0.0.7", FOR, "X-Forwarded-For", id="a chain of addresses from a private peer"),
        pytest.param("100.64.0.7", FOR, "X-Forwarded-For", id="the same from a carrier's private address"),
        pytest.param("fd00::7", FOR, "X-Forwarded-For", id="the same over IPv6"),
        pytest.param("8.8.8.8", FOR, "", id="what any client of the internet may send"),
        pytest.param("10.0.0.7", {b"x-forwarded-proto": b"http"}, "", id="no TLS, as is"),
        pytest.param("10.0.0.7", {b"x-forwarded-host": b"shop"}, "", id="another field"),
        pytest.param("10.0.0.7", {}, "", id="none of them"),
        pytest.param("192.168.0.1", PROTO | FOR, "", id="a peer that is trusted"),
    ],
)
def test_a_peer_that_may_be_a_proxy_and_is_not_trusted_is_noted(
    peer: str, fields: dict[bytes, bytes], noted: str
) -> None:
    trusted = TrustedProxies(["192.168.0.0/16"])
    ForwardedFields(peer, b"http", trusted).client_ip(fields)
    assert (trusted.ignored.field, trusted.ignored.peer) == (noted, peer if noted else "")


def test_a_public_peer_hides_neither_itself_with_tls_nor_a_private_one() -> None:
    for peer, fields in (("8.8.8.8", PROTO), ("10.0.0.7", FOR)):
        trusted = TrustedProxies([])
        for _ in range(2):
            ForwardedFields("8.8.8.8", b"http", trusted).client_ip(FOR)
        ForwardedFields(peer, b"http", trusted).client_ip(fields)
        assert trusted.ignored.peer == peer


def test_the_first_of_them_is_kept() -> None:
    trusted = TrustedProxies([])
    for peer in ("10.0.0.7", "10.0.0.8"):
        ForwardedFields(peer, b"http", trusted).client_ip(PROTO)
    assert trusted.ignored.peer == "10.0.0.7"


@pytest.mark.parametrize(
    ("networks", "line"),
    [
        ([], "trusted_proxies: [10.0.0.7]"),
        (
            ["192.168.0.0/16", "172.16.0.1", "fd00::/8"],
            "trusted_proxies: [192.168.0.0/16, 172.16.0.1, fd00::/8, 10.0.0.7]",
        ),
    ],
    ids=["the first one", "beside others"],
)
def test_the_line_to_write_keeps_those_that_are_trusted(networks: list[str], line: str) -> None:
    assert TrustedProxies(networks).with_peer("10.0.0.7") == line
