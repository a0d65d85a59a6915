"""The client behind the admin listener's peer: believed from trusted proxies only."""

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from strangler.control.visitor import MAX_USER, Visitor, visitor_of
from strangler.core.listener_settings import Address
from strangler.core.settings import AdminSettings

PEER = "10.0.0.7"
Fields = list[tuple[str, str]]


def seen(fields: Fields, trusted: tuple[str, ...] = ("10.0.0.0/8",), peer: str = PEER) -> Visitor:
    settings = AdminSettings(Address("127.0.0.1", 8081), None, users="X-Forwarded-User", trusted_proxies=trusted)
    request = make_mocked_request("GET", "/", CIMultiDict([("Host", "inside"), *fields])).clone(remote=peer)
    return visitor_of(settings, request)


@pytest.mark.parametrize(
    ("fields", "address"),
    [
        pytest.param([], PEER, id="the proxy itself"),
        pytest.param([("X-Forwarded-For", "203.0.113.7")], "203.0.113.7", id="its client"),
        pytest.param([("X-Forwarded-For", "203.0.113.7, 10.1.1.1")], "203.0.113.7", id="behind two of them"),
        pytest.param([("X-Forwarded-For", "1.2.3.4, 203.0.113.7")], "203.0.113.7", id="what the client wrote"),
        pytest.param(
            [("X-Forwarded-For", "203.0.113.7"), ("x-forwarded-for", "10.1.1.1")], "203.0.113.7", id="in two fields"
        ),
        pytest.param([("X-Forwarded-For", "::ffff:203.0.113.7")], "203.0.113.7", id="a mapped address"),
        pytest.param([("X-Forwarded-For", "nonsense")], PEER, id="what is no address"),
    ],
)
def test_the_address_is_the_last_that_is_not_a_trusted_proxys(fields: Fields, address: str) -> None:
    assert seen(fields).address == address


@pytest.mark.parametrize(
    ("fields", "prefix"),
    [
        ([("X-Forwarded-Prefix", "/ops")], "/ops"),
        ([("X-Forwarded-Prefix", "/ops/strangler/")], "/ops/strangler"),
        ([("X-Forwarded-Prefix", "/outer, /inner")], "/outer/inner"),
        ([("X-Forwarded-Prefix", "/outer"), ("X-Forwarded-Prefix", "/inner")], "/outer/inner"),
        ([("X-Forwarded-Prefix", "/")], ""),
        ([("X-Forwarded-Prefix", "")], ""),
        ([("X-Forwarded-Prefix", "ops")], ""),
        ([("X-Forwarded-Prefix", "//evil.example")], ""),
        ([("X-Forwarded-Prefix", "/, /evil.example")], "/evil.example"),
        ([("X-Forwarded-Prefix", "/\\evil.example")], ""),
        ([("X-Forwarded-Prefix", "/ops/../..")], ""),
        ([("X-Forwarded-Prefix", "/ops; Domain=evil")], ""),
        ([("X-Forwarded-Prefix", '/"><script>')], ""),
        ([("X-Forwarded-Prefix", "/" + "x" * 500)], ""),
    ],
)
def test_a_prefix_is_a_path_here_or_none(fields: Fields, prefix: str) -> None:
    assert seen(fields).prefix == prefix


@pytest.mark.parametrize(
    ("fields", "user"),
    [
        ([("X-Forwarded-User", "ana")], "ana"),
        ([("x-forwarded-user", " ana  maria ")], "ana maria"),
        ([("X-Forwarded-User", "Zoë")], "Zoë"),
        ([("X-Forwarded-User", "")], None),
        ([("X-Forwarded-User", "a\x1b[2J\u202eb")], "a [2J b"),
        ([("X-Forwarded-User", "x" * 500)], "x" * MAX_USER),
        ([("X-Forwarded-User", "eve"), ("X-Forwarded-User", "ana")], None),
        ([("X-User", "ana")], None),
    ],
)
def test_the_user_is_plain_text_that_nobody_could_add(fields: Fields, user: str | None) -> None:
    assert seen(fields).user == user


@pytest.mark.parametrize(("trusted", "peer"), [((), PEER), (("192.0.2.0/24",), PEER), (("10.0.0.0/8",), "203.0.113.9")])
def test_who_is_not_trusted_is_not_believed(trusted: tuple[str, ...], peer: str) -> None:
    names = ("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Prefix", "X-Forwarded-User")
    fields = [(name, "/ops") for name in names]
    assert seen(fields, trusted, peer) == Visitor(peer, hosts=("inside",), ignored=names)


@pytest.mark.parametrize(
    ("fields", "peer", "scheme"),
    [
        ([("X-Forwarded-Proto", "https")], PEER, "https"),
        ([("X-Forwarded-Proto", "HTTPS, http")], PEER, "https"),
        ([("X-Forwarded-Proto", "http")], PEER, "http"),
        ([("X-Forwarded-Proto", "wss")], PEER, None),
        ([], PEER, None),
        ([("X-Forwarded-Proto", "https")], "203.0.113.9", None),
    ],
)
def test_the_scheme_is_what_a_trusted_proxy_says(fields: Fields, peer: str, scheme: str | None) -> None:
    assert seen(fields, peer=peer).scheme == scheme


def test_a_mapped_peer_is_the_trusted_one() -> None:
    assert seen([("X-Forwarded-User", "ana")], peer="::ffff:10.0.0.7").user == "ana"


def test_the_audit_names_the_person_and_the_way() -> None:
    assert seen([]).name("api") == "api 10.0.0.7"
    fields = [("X-Forwarded-For", "203.0.113.7"), ("X-Forwarded-User", "ana")]
    assert seen(fields).name("dashboard") == "ana (dashboard 203.0.113.7)"
