"""Certificates for tests, made in memory: an authority (`make_ca`), and pairs that it or they themselves have signed
(`make_pair`)."""

import ipaddress
import ssl
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from strangler.core.listener_settings import CertificateSettings, ServerTlsSettings

Kind = Literal["ecdsa", "rsa", "ed25519"]
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate with its key, as PEM. `chain` is the certificate followed by those between it and the root."""

    cert: bytes  # the certificate alone
    key: bytes  # PKCS #8, without a passphrase
    chain: bytes
    names: tuple[str, ...]
    kind: Kind
    not_after: float  # Unix time
    certificate: x509.Certificate = field(repr=False)
    private: Key = field(repr=False)

    @property
    def der(self) -> bytes:
        """The certificate as DER."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def both(self) -> bytes:
        """The chain and the key in one file."""
        return self.chain + self.key

    def encrypted_key(self, passphrase: bytes = b"secret") -> bytes:
        """The key as PEM that needs a passphrase."""
        return _key_pem(self.private, serialization.BestAvailableEncryption(passphrase))

    def write(self, folder: Path, stem: str) -> tuple[str, str]:
        """Write `stem`.pem (with its chain) and `stem`.key; returns both paths."""
        cert, key = folder / f"{stem}.pem", folder / f"{stem}.key"
        cert.write_bytes(self.chain)
        key.write_bytes(self.key)
        return str(cert), str(key)


def make_ca(name: str = "Test CA", kind: Kind = "ecdsa", *, ca: Pair | None = None) -> Pair:
    """An authority: a root, or one that `ca` has signed."""
    return _make(name, (), kind, ca, None, None, is_ca=True)


def make_pair(
    names: Sequence[str] = ("shop.example",),
    kind: Kind = "ecdsa",
    ca: Pair | None = None,
    not_after: datetime | None = None,
    not_before: datetime | None = None,
    rsa_bits: int = 2048,
) -> Pair:
    """A certificate for DNS names and addresses, for servers and clients alike; `ca` None: it signs itself."""
    return _make(names[0] if names else "nameless", names, kind, ca, not_after, not_before, rsa_bits=rsa_bits)


def tls_of(
    *pairs: Pair,
    min_version: Literal["1.2", "1.3"] = "1.2",
    client_ca: Pair | None = None,
    client_cert: Literal["optional", "required"] = "optional",
) -> tuple[ServerTlsSettings, dict[str, bytes]]:
    """The settings of a listener with these pairs, and the content of the files that they name."""
    certificates: list[CertificateSettings] = []
    files: dict[str, bytes] = {}
    for at, pair in enumerate(pairs):
        cert, key = f"/tls/{at}.pem", f"/tls/{at}.key"
        files |= {cert: pair.chain, key: pair.key}
        certificates.append(CertificateSettings(cert, key, pair.names, pair.kind, pair.not_after))
    if client_ca is not None:
        files["/tls/clients.pem"] = client_ca.cert
    path = None if client_ca is None else "/tls/clients.pem"
    return ServerTlsSettings(tuple(certificates), min_version, path, client_cert), files


def client_context(ca: Pair, own: Pair | None = None) -> ssl.SSLContext:
    """The context of a client that trusts `ca` alone, and shows `own`."""
    context = ssl.create_default_context(cadata=ca.cert.decode())
    if own is not None:
        with tempfile.NamedTemporaryFile() as file:
            file.write(own.both)
            file.flush()
            context.load_cert_chain(file.name)
    return context


def hello(name: bytes = b"shop.example") -> bytes:
    """The first record of a client that asks for `name`, whatever its bytes are."""
    outgoing = ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="a" * len(name))
    with suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read().replace(b"a" * len(name), name)


def _make(
    common_name: str,
    names: Sequence[str],
    kind: Kind,
    ca: Pair | None,
    not_after: datetime | None,
    not_before: datetime | None,
    *,
    is_ca: bool = False,
    rsa_bits: int = 2048,
) -> Pair:
    private = _key(kind, rsa_bits)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])
    until = (not_after or datetime.now(UTC) + timedelta(days=365)).replace(microsecond=0)
    since = not_before or min(datetime.now(UTC), until) - timedelta(days=1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if ca is None else ca.certificate.subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
        .add_extension(_authority_id(private if ca is None else ca.private), critical=False)
        .add_extension(_usage(is_ca=is_ca), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
    if not is_ca:
        both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(both), critical=False)
    signer = private if ca is None else ca.private
    certificate = builder.sign(signer, None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    cert = certificate.public_bytes(serialization.Encoding.PEM)
    between = b"" if ca is None or ca.certificate.issuer == ca.certificate.subject else ca.chain
    key = _key_pem(private, serialization.NoEncryption())
    return Pair(cert, key, cert + between, tuple(names), kind, until.timestamp(), certificate, private)


def _key(kind: Kind, rsa_bits: int) -> Key:
    if kind == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=rsa_bits)
    return ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else ec.generate_private_key(ec.SECP256R1())


def _key_pem(private: Key, encryption: serialization.KeySerializationEncryption) -> bytes:
    return private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def _authority_id(private: Key) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(private.public_key())


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, is_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        encipher_only=False,
        decipher_only=False,
    )
