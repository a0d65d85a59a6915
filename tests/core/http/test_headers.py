"""The fields that a connection adds to a request, and the certificate of its client among them."""

import pytest

from strangler.core.http.headers import (
    CLIENT_CERTIFICATE,
    DROPPED,
    DROPPED_TRUSTED,
    ForwardedFields,
    named_by_connection,
    passing_trailers,
)
from strangler.core.http.trust import TrustedProxies

PEER = "192.0.2.7"
TRUSTED = TrustedProxies((PEER,))
NOBODY = TrustedProxies(())
DER = b"\x30\x82\xff"
LINE = b"Client-Cert: :MIL/:\r\n"


@pytest.mark.parametrize("trusted", [TRUSTED, NOBODY], ids=["trusted", "not trusted"])
def test_a_certificate_is_one_line_in_front(trusted: TrustedProxies) -> None:
    without = ForwardedFields(PEER, b"https", trusted).lines({}, b"shop")
    assert without.startswith(b"X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n")
    assert ForwardedFields(PEER, b"https", trusted, DER).lines({}, b"shop") == LINE + without


def test_every_spelling_is_known() -> None:
    assert {
        b"client-cert", b"client_cert", b"client-cert-chain", b"client_cert_chain", b"client-cert_chain",
        b"client_cert-chain",
    } == CLIENT_CERTIFICATE  # fmt: skip
    assert CLIENT_CERTIFICATE <= DROPPED


@pytest.mark.parametrize(
    ("trusted", "certificate", "passes"),
    [(NOBODY, b"", False), (NOBODY, DER, False), (TRUSTED, b"", True), (TRUSTED, DER, False)],
    ids=["not trusted", "not trusted, with its own", "trusted", "trusted, with its own"],
)
def test_who_may_name_a_certificate(trusted: TrustedProxies, certificate: bytes, passes: bool) -> None:
    dropped = ForwardedFields(PEER, b"https", trusted, certificate).dropped
    assert dropped.isdisjoint(CLIENT_CERTIFICATE) is passes
    assert (b"x-strangler-shadow" in dropped) is (trusted is NOBODY)


def test_the_sets_are_the_same_objects_for_all_connections() -> None:
    """Header sections that are cached keep them as keys."""
    assert ForwardedFields(PEER, b"http", NOBODY).dropped is DROPPED
    assert ForwardedFields(PEER, b"http", TRUSTED).dropped is DROPPED_TRUSTED


def test_connection_cannot_name_a_certificate_away() -> None:
    assert named_by_connection({b"connection": b"Client-Cert, client_cert_chain, X-Own"}) == {b"x-own"}


def test_no_trailer_names_a_certificate() -> None:
    trailers = [(b"Client-Cert", b":QQ==:"), (b"Client_Cert_Chain", b":QQ==:"), (b"X-Sum", b"1")]
    assert passing_trailers(trailers) == [(b"X-Sum", b"1")]
