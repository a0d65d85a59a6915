"""A certificate with its chain and key, as PEM: whether it can serve, and what it says.

The library `cryptography` reads what Python's ssl cannot tell of a server's own certificate: names, dates, issuers.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Literal

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import NameOID

from strangler.core.listener_settings import EXPIRES_SOON_S
from strangler.tls.chain import ChainError, check_chain

PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey | Ed448PrivateKey

_UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""The errors of a certificate that is damaged, which are not all ValueErrors."""

Complaint = tuple[str, str]
"""A complaint, as the continuation of the file's name, and the way out."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The facts about a pair that can serve."""

    names: tuple[str, ...]  # DNS names and addresses that the certificate is for, in lower case
    kind: str  # of its key: `rsa`, `ecdsa`, `ed25519` or `ed448`
    not_after: float  # Unix time
    warnings: tuple[Complaint, ...] = ()


@dataclass(frozen=True, slots=True)
class PairProblem:
    """The reason why a pair cannot serve. `part` is the file to which the complaint belongs."""

    part: Literal["cert", "key"]
    complaint: Complaint


def read_pair(cert: bytes, key: bytes, now: datetime) -> Pair | PairProblem:
    """Read a certificate with its chain, and its key, which may stand in the same text."""
    chain = _certificates(cert)
    if isinstance(chain, PairProblem):
        return chain
    private = _private_key(key)
    if isinstance(private, PairProblem):
        return private
    problem = _misfit(chain, private) or _expiry(chain[0], now)
    if problem is not None:
        return problem
    try:
        check_chain(cert, key)
    except ChainError as error:
        return PairProblem("cert", (f"cannot be used: {error}", "issue it anew with a key of 2048 bits or more"))
    return Pair(
        _names(chain[0]),
        _kind(private),
        chain[0].not_valid_after_utc.timestamp(),
        tuple(_warnings(chain, now)),
    )


def _expiry_warning(not_after: datetime, now: datetime) -> Complaint | None:
    """Return the complaint about a certificate that expires soon."""
    if (not_after - now).total_seconds() > EXPIRES_SOON_S:
        return None
    return f"expires on {not_after:%Y-%m-%d}", "renew it; a new file is read without a restart"


def _certificates(text: bytes) -> list[x509.Certificate] | PairProblem:
    if b"-----BEGIN CERTIFICATE-----" not in text:
        way_out = "it must be PEM, with the line -----BEGIN CERTIFICATE-----"
        if text[:1] == b"\x30":  # a SEQUENCE of DER
            way_out = "convert it: openssl x509 -inform der -in FILE -out FILE.pem"
        return PairProblem("cert", ("holds no certificate", way_out))
    try:
        with warnings.catch_warnings():  # of serial numbers below 1: they would go to standard error, between log lines
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            chain = x509.load_pem_x509_certificates(text)
        for certificate in chain:
            certificate.public_key(), certificate.extensions, certificate.issuer, certificate.subject  # parsed late
    except _UNREADABLE as error:
        return PairProblem("cert", (f"holds a certificate that cannot be read: {error}", "copy the file again"))
    return chain


def _private_key(text: bytes) -> PrivateKey | PairProblem:
    if b"PRIVATE KEY-----" not in text:
        return PairProblem("key", ("holds no private key", "name the file with the key in `key`"))
    try:
        private = load_pem_private_key(text, password=None)
    except TypeError:
        way_out = "nobody could type its passphrase here; write it without: openssl pkey -in FILE -out FILE.key"
        return PairProblem("key", ("holds an encrypted key", way_out))
    except (ValueError, UnsupportedAlgorithm) as error:
        return PairProblem("key", (f"holds a key that cannot be read: {str(error).splitlines()[0]}", "copy it again"))
    if isinstance(private, PrivateKey):
        return private
    return PairProblem("key", ("holds a key that TLS cannot use", "use an ECDSA or RSA key"))


def _misfit(chain: Sequence[x509.Certificate], private: PrivateKey) -> PairProblem | None:
    fitting = [number for number, certificate in enumerate(chain) if _fits(certificate, private)]
    if not fitting:
        return PairProblem("key", ("does not fit the certificate", "name the key that the certificate was issued for"))
    if fitting[0]:
        way_out = "put the certificate of the key first, then the one that signed it, and so on"
        return PairProblem("cert", ("has its certificates in the wrong order", way_out))
    return None


def _fits(certificate: x509.Certificate, private: PrivateKey) -> bool:
    forms = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return certificate.public_key().public_bytes(*forms) == private.public_key().public_bytes(*forms)


def _expiry(certificate: x509.Certificate, now: datetime) -> PairProblem | None:
    end = certificate.not_valid_after_utc
    return None if now < end else PairProblem("cert", (f"has expired on {end:%Y-%m-%d %H:%M} UTC", "renew it"))


def _warnings(chain: Sequence[x509.Certificate], now: datetime) -> Iterator[Complaint]:
    own = chain[0]
    soon = _expiry_warning(own.not_valid_after_utc, now)
    if soon is not None:
        yield soon
    if own.not_valid_before_utc > now:
        yield f"is not valid before {own.not_valid_before_utc:%Y-%m-%d %H:%M} UTC", "clients refuse it until then"
    if not _subject_names(own):
        yield "has no subject alternative name", "browsers look at no other; issue it anew with the host's name"
    for number, (signed, signer) in enumerate(pairwise(chain), start=2):
        if signed.issuer != signer.subject:
            yield (
                f"has certificates out of order: number {number} did not sign the one before it",
                "put each behind the one that it signed",
            )
    for number, certificate in enumerate(chain[1:], start=2):
        if certificate.not_valid_after_utc <= now:
            yield f"has an expired certificate in its chain, number {number}", "fetch the present chain"


def _subject_names(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    names = found.get_values_for_type(x509.DNSName)
    return [*names, *map(str, found.get_values_for_type(x509.IPAddress))]


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the names that a certificate is for; the common name where it has no others."""
    names = _subject_names(certificate)
    if not names:
        names = [str(common.value) for common in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return tuple(dict.fromkeys(name.lower().removesuffix(".") for name in names))


def _kind(private: PrivateKey) -> str:
    if isinstance(private, RSAPrivateKey):
        return "rsa"
    if isinstance(private, EllipticCurvePrivateKey):
        return "ecdsa"
    return "ed25519" if isinstance(private, Ed25519PrivateKey) else "ed448"
