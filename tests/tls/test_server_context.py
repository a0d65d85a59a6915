"""The certificates that a client is offered, by the name it asks for and the keys it knows; contexts that are kept."""

import ssl
from contextlib import suppress
from dataclasses import replace

import pytest

from strangler.core.listener_settings import Address, ListenerSettings, ServerTlsSettings
from strangler.tls.server_context import ON_ALERT, ServerContexts, server_context
from tests.certificates import Pair, client_context, make_ca, make_pair, tls_of

CA = make_ca()
FIRST = make_pair(["first.example", "192.0.2.1"], ca=CA)
SHOP = make_pair(["shop.example", "Www.Shop.example"], ca=CA)
SHOP_RSA = make_pair(["shop.example"], "rsa", ca=CA)
WILD = make_pair(["*.shop.example"], ca=CA)
ADDRESS = "127.0.0.1:443"


class Meeting:
    """A client and a server that exchange their bytes in memory."""

    def __init__(self, server: ssl.SSLContext, client: ssl.SSLContext, name: str | None) -> None:
        client.check_hostname = False
        up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = client.wrap_bio(down, up, server_hostname=name)
        self.server = server.wrap_bio(up, down, server_side=True)
        for _ in range(4):
            for side in (self.client, self.server):
                with suppress(ssl.SSLWantReadError):
                    side.do_handshake()

    @property
    def offered(self) -> bytes | None:
        return self.client.getpeercert(binary_form=True)


def meet(server: ssl.SSLContext, name: str | None, client: ssl.SSLContext | None = None) -> Meeting:
    return Meeting(server, client or client_context(CA), name)


@pytest.fixture(scope="module")
def server() -> ssl.SSLContext:
    return server_context(*tls_of(FIRST, WILD, SHOP))


@pytest.mark.parametrize(
    ("name", "offered"),
    [
        ("shop.example", SHOP),
        ("SHOP.Example", SHOP),
        ("shop.example.", SHOP),
        ("www.shop.example", SHOP),
        ("api.shop.example", WILD),
        ("API.Shop.Example.", WILD),
        ("v1.api.shop.example", FIRST),
        ("example", FIRST),
        ("first.example", FIRST),
        ("unknown.example", FIRST),
        ("192.0.2.1", FIRST),
        (None, FIRST),
    ],
)
def test_the_name_chooses_the_certificate(server: ssl.SSLContext, name: str | None, offered: Pair) -> None:
    assert meet(server, name).offered == offered.der


@pytest.mark.parametrize("name", ["shop.example", None], ids=["by name", "without a name"])
@pytest.mark.parametrize("signatures", ["ECDSA", "RSA"])
def test_both_kinds_of_one_name_are_offered(name: str | None, signatures: str) -> None:
    ecdsa = make_pair(["shop.example"], ca=CA)
    client = client_context(CA)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers(f"ECDHE-{signatures}-AES128-GCM-SHA256")
    expected = ecdsa if signatures == "ECDSA" else SHOP_RSA
    for pairs in ((ecdsa, SHOP_RSA), (SHOP_RSA, ecdsa)):
        assert meet(server_context(*tls_of(*pairs)), name, client).offered == expected.der
    beside = server_context(*tls_of(FIRST, ecdsa, SHOP_RSA))
    assert meet(beside, "shop.example", client).offered == expected.der


def test_of_two_pairs_of_one_kind_the_first_counts() -> None:
    other = make_pair(["shop.example"], ca=CA)
    assert meet(server_context(*tls_of(SHOP, other)), "shop.example").offered == SHOP.der


def test_a_chain_is_sent_whole() -> None:
    between = make_ca("Between", ca=CA)
    server = server_context(*tls_of(make_pair(["shop.example"], ca=between)))
    assert meet(server, "shop.example").client.version() == "TLSv1.3"


@pytest.mark.parametrize(
    ("offers", "chosen"), [(["h2", "http/1.1"], "http/1.1"), (["h2"], None), ([], None)], ids=["both", "h2", "none"]
)
def test_alpn(server: ssl.SSLContext, offers: list[str], chosen: str | None) -> None:
    for name in ("first.example", "shop.example"):
        client = client_context(CA)
        if offers:
            client.set_alpn_protocols(offers)
        assert meet(server, name, client).client.selected_alpn_protocol() == chosen


@pytest.mark.parametrize("lowest", ["1.2", "1.3"])
@pytest.mark.parametrize("highest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions(lowest: str, highest: ssl.TLSVersion) -> None:
    tls, files = tls_of(SHOP, FIRST)
    server = server_context(replace(tls, min_version=lowest), files)  # type: ignore[arg-type]
    client = client_context(CA)
    client.maximum_version = highest
    allowed = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[lowest]
    for name in ("shop.example", "first.example"):
        if highest < allowed:
            with pytest.raises(ssl.SSLError):
                meet(server, name, client)
        else:
            assert meet(server, name, client).client.version() == f"TLSv1.{highest - 0x301}"


def test_neither_renegotiation_nor_compression() -> None:
    context = server_context(*tls_of(SHOP, FIRST))
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.options & ssl.OP_NO_COMPRESSION
    assert not context.options & ssl.OP_NO_TICKET
    assert meet(context, "shop.example").client.compression() is None


def test_clients_are_verified_whatever_name_they_ask_for() -> None:
    server = server_context(*tls_of(FIRST, SHOP, client_ca=CA, client_cert="required"))
    known, unknown = make_pair(["ana"], ca=CA), make_pair(["ben"], ca=make_ca("Other"))
    for name in ("first.example", "shop.example"):
        met = meet(server, name, client_context(CA, known))
        assert met.server.getpeercert(binary_form=True) == known.der
        for own in (None, unknown):
            with pytest.raises(ssl.SSLError):
                meet(server, name, client_context(CA, own))


def test_an_authority_in_the_middle_suffices_for_clients() -> None:
    between = make_ca("Between", ca=CA)
    server = server_context(*tls_of(SHOP, client_ca=between, client_cert="required"))
    own = make_pair(["ana"], ca=between)
    assert meet(server, "shop.example", client_context(CA, own)).server.getpeercert(binary_form=True) == own.der


def test_an_alert_is_handed_out_once_and_only_when_a_handshake_fails() -> None:
    alerts: list[bytes] = []
    token = ON_ALERT.set(alerts.append)
    try:
        server = server_context(*tls_of(SHOP, min_version="1.3"))
        meet(server, "shop.example")
        assert alerts == []
        client = client_context(CA)
        client.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(ssl.SSLError):
            meet(server, "shop.example", client)
    finally:
        ON_ALERT.reset(token)
    assert alerts == [b"\x15\x03\x03\0\x02\x02\x46"]  # fatal, protocol_version


def listener(tls: ServerTlsSettings | None, port: int = 443) -> ListenerSettings:
    return ListenerSettings(Address("127.0.0.1", port), tls=tls)


def test_contexts_are_kept_while_settings_and_files_stay() -> None:
    tls, files = tls_of(SHOP)
    first = ServerContexts().renewed([listener(tls)], files)
    assert first.renewed([listener(tls)], dict(files)).by_address[ADDRESS] is first.by_address[ADDRESS]
    assert first.renewed([listener(tls)], files | {"/tls/other": b""}).by_address[ADDRESS] is first.by_address[ADDRESS]
    stricter = first.renewed([listener(replace(tls, min_version="1.3"))], files)
    assert stricter.by_address[ADDRESS] is not first.by_address[ADDRESS]
    renewed = first.renewed([listener(tls)], tls_of(make_pair(["shop.example"], ca=CA))[1])
    assert renewed.by_address[ADDRESS] is not first.by_address[ADDRESS]
    assert first.renewed([listener(None)], files).by_address == {}


def test_a_pair_that_does_not_fit_keeps_the_former_context_of_its_listener_alone() -> None:
    tls, files = tls_of(SHOP)
    first = ServerContexts().renewed([listener(tls), listener(tls, 444)], files)
    mixed = files | {"/tls/0.key": FIRST.key}
    second = first.renewed([listener(tls), listener(replace(tls, min_version="1.3"), 444)], mixed)
    assert set(second.failed) == {ADDRESS, "127.0.0.1:444"}
    assert dict(second.by_address) == dict(first.by_address)
    assert second.renewed([listener(tls)], files).failed == {}


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"/tls/0.pem": b"", "/tls/0.key": b""},
        {"/tls/0.pem": SHOP.chain, "/tls/0.key": SHOP.encrypted_key()},
        {"/tls/0.pem": SHOP.chain, "/tls/0.key": SHOP.encrypted_key(b"longer passphrase")},
    ],
    ids=["missing", "empty", "encrypted", "encrypted too"],
)
def test_what_openssl_refuses_is_told_and_never_asks_for_a_passphrase(files: dict[str, bytes]) -> None:
    tls, _ = tls_of(SHOP)
    found = ServerContexts().renewed([listener(tls)], files)
    assert set(found.failed) == {ADDRESS}
    assert found.by_address == {}


def test_key_and_certificate_may_share_a_file() -> None:
    tls, _ = tls_of(SHOP)
    (pair,) = tls.certificates
    tls = replace(tls, certificates=(replace(pair, key=pair.cert),))
    assert meet(server_context(tls, {pair.cert: SHOP.both}), "shop.example").offered == SHOP.der
