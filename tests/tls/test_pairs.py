"""Reading a pair of certificate and key: what it says, and why it cannot serve."""

from datetime import UTC, datetime, timedelta
from ssl import DER_cert_to_PEM_cert

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from strangler.tls.pairs import Pair, PairProblem, read_pair
from tests.certificates import Kind, make_ca, make_pair

NOW = datetime.now(UTC)
ROOT = make_ca("Root")
BETWEEN = make_ca("Between", ca=ROOT)
SHOP = make_pair(["Shop.example", "*.shop.example", "192.0.2.7"], ca=BETWEEN)
OTHER = make_pair(["other.example"])


def problem(cert: bytes, key: bytes, now: datetime = NOW) -> str:
    found = read_pair(cert, key, now)
    assert isinstance(found, PairProblem)
    return f"{found.part} {found.complaint[0]}"


def warnings(cert: bytes, key: bytes, now: datetime = NOW) -> list[str]:
    found = read_pair(cert, key, now)
    assert isinstance(found, Pair)
    return [what for what, _ in found.warnings]


def test_a_pair_says_its_names_its_kind_and_its_end() -> None:
    found = read_pair(SHOP.chain, SHOP.key, NOW)
    assert found == Pair(("shop.example", "*.shop.example", "192.0.2.7"), "ecdsa", SHOP.not_after)


@pytest.mark.parametrize("kind", ["ecdsa", "rsa", "ed25519"])
def test_keys_of_every_kind_may_serve(kind: Kind) -> None:
    pair = make_pair(kind=kind)
    found = read_pair(pair.both, pair.both, NOW)
    assert isinstance(found, Pair)
    assert (found.kind, found.names) == (kind, ("shop.example",))


def test_the_key_may_stand_before_the_certificate() -> None:
    both = SHOP.key + SHOP.chain
    assert isinstance(read_pair(both, both, NOW), Pair)


@pytest.mark.parametrize(
    ("cert", "key", "what"),
    [
        (b"", SHOP.key, "cert holds no certificate"),
        (SHOP.key, SHOP.key, "cert holds no certificate"),
        (SHOP.der, SHOP.key, "cert holds no certificate"),
        (SHOP.cert.replace(b"MII", b"AAA", 1), SHOP.key, "cert holds a certificate that cannot be read"),
        (SHOP.cert[: len(SHOP.cert) // 2], SHOP.key, "cert holds a certificate that cannot be read"),
        (SHOP.chain, b"", "key holds no private key"),
        (SHOP.chain, SHOP.cert, "key holds no private key"),
        (SHOP.chain, SHOP.key[: len(SHOP.key) // 2] + b"\n-----END PRIVATE KEY-----\n", "key holds a key that cannot"),
        (SHOP.chain, SHOP.encrypted_key(), "key holds an encrypted key"),
        (SHOP.chain, OTHER.key, "key does not fit the certificate"),
        (BETWEEN.cert + SHOP.cert, SHOP.key, "cert has its certificates in the wrong order"),
    ],
    ids=[
        "an empty file", "a key in place of a certificate", "DER", "damaged", "cut",
        "no key", "a certificate in place of a key", "a cut key", "a passphrase", "another key", "its signer first",
    ],
)  # fmt: skip
def test_what_cannot_serve_is_named_with_the_file(cert: bytes, key: bytes, what: str) -> None:
    assert problem(cert, key).startswith(what)


def test_a_version_that_no_certificate_has_is_damage() -> None:
    version = bytes.fromhex("a003020102")  # [0] INTEGER 2, which is version 3 (RFC 5280 section 4.1)
    damaged = DER_cert_to_PEM_cert(SHOP.der.replace(version, version[:-1] + b"\x46", 1)).encode()
    assert problem(damaged, SHOP.key) == "cert holds a certificate that cannot be read: 70 is not a valid X509 version"
    assert problem(SHOP.cert + damaged, SHOP.key).startswith("cert holds a certificate that cannot be read")


@pytest.mark.parametrize("place", [0, 1], ids=["of its own", "of a signer"])
def test_a_name_that_cannot_be_read_is_damage(place: int) -> None:
    chain = [SHOP.der, BETWEEN.der]
    name = (b"Shop.example", b"Between")[place]
    before, found, after = chain[place].rpartition(name) if place else chain[place].partition(name)
    assert found
    chain[place] = before + b"\xff" + name[1:] + after  # no UTF-8
    text = "".join(map(DER_cert_to_PEM_cert, chain)).encode()
    assert problem(text, SHOP.key).startswith("cert holds a certificate that cannot be read")


@pytest.mark.filterwarnings("error")
def test_a_serial_number_that_is_not_allowed_goes_unsaid() -> None:
    before, version, rest = SHOP.der.partition(bytes.fromhex("a003020102"))  # an INTEGER follows: 02, length, value
    negative = DER_cert_to_PEM_cert(before + version + rest[:2] + b"\xfe" + rest[3:]).encode()
    assert warnings(negative + BETWEEN.cert, SHOP.key) == []


def test_an_expired_certificate_cannot_serve() -> None:
    pair = make_pair(not_after=datetime(2026, 2, 3, 4, 5, tzinfo=UTC))
    assert problem(pair.chain, pair.key) == "cert has expired on 2026-02-03 04:05 UTC"
    assert isinstance(read_pair(pair.chain, pair.key, datetime(2026, 2, 3, 4, 4, tzinfo=UTC)), Pair)


def test_a_key_that_openssl_refuses_cannot_serve() -> None:
    weak = make_pair(kind="rsa", rsa_bits=1024)
    assert problem(weak.chain, weak.key) == "cert cannot be used: ee key too small"


@pytest.mark.parametrize(
    ("cert", "what"),
    [
        (SHOP.cert + ROOT.cert, "has certificates out of order: number 2 did not sign the one before it"),
        (SHOP.chain + OTHER.cert, "has certificates out of order: number 3 did not sign the one before it"),
    ],
)
def test_a_chain_out_of_order_is_a_warning(cert: bytes, what: str) -> None:
    assert warnings(cert, SHOP.key) == [what]
    assert warnings(SHOP.chain, SHOP.key) == []
    assert warnings(SHOP.chain + ROOT.cert, SHOP.key) == []


def test_dates_are_warnings_where_clients_still_connect() -> None:
    soon = make_pair(not_after=NOW + timedelta(days=13))
    assert warnings(soon.chain, soon.key) == [f"expires on {NOW + timedelta(days=13):%Y-%m-%d}"]
    assert warnings(soon.chain, soon.key, NOW - timedelta(days=2))[-1].startswith("is not valid before")
    later = make_pair(not_after=NOW + timedelta(days=15))
    assert warnings(later.chain, later.key) == []


def test_a_certificate_without_names_is_a_warning_and_serves_its_common_name() -> None:
    pair = make_pair([])
    found = read_pair(pair.chain, pair.key, NOW)
    assert isinstance(found, Pair)
    assert found.names == ("nameless",)
    assert [what for what, _ in found.warnings] == ["has no subject alternative name"]


def test_the_same_pem_with_comments_and_windows_line_ends_is_read() -> None:
    text = b"subject=/CN=shop\r\n" + SHOP.chain.replace(b"\n", b"\r\n")
    assert read_pair(text, SHOP.key, NOW) == read_pair(SHOP.chain, SHOP.key, NOW)
    assert x509.load_pem_x509_certificate(text).public_bytes(Encoding.PEM) == SHOP.cert
