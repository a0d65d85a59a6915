"""Certificates from memory into Python's ssl, which reads its own certificate from files alone."""

import os
import ssl

from strangler.unnamed_files import unnamed_file


class ChainError(Exception):
    """OpenSSL does not take the certificate or its key; the message is OpenSSL's reason."""


def load_chain(context: ssl.SSLContext, cert: bytes, key: bytes) -> None:
    """Give a context a certificate with its chain and key, by a file that has no name. Raises ChainError."""
    descriptor = unnamed_file(cert.rstrip(b"\n") + b"\n" + (b"" if key == cert else key))
    try:
        context.load_cert_chain(f"/dev/fd/{descriptor}", password=_no_passphrase)
    except (ssl.SSLError, ValueError) as error:
        raise ChainError(_reason(error)) from error
    finally:
        os.close(descriptor)


def check_chain(cert: bytes, key: bytes) -> None:
    """Try what `load_chain` does. Raises ChainError."""
    load_chain(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), cert, key)


def count_authorities(text: bytes) -> int:
    """Return how many certificates a PEM file has that can verify others. Raises ChainError if it cannot be read."""
    if b"-----BEGIN " not in text:
        return 0
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=text.decode("ascii", "ignore"))
    except (ssl.SSLError, ValueError) as error:
        raise ChainError(_reason(error)) from error
    return context.cert_store_stats()["x509"]


def _no_passphrase() -> str:
    raise ValueError("the key is encrypted")  # never ask at the terminal


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    return str(reason).lower().replace("_", " ") if reason else str(error).partition(" (_ssl.c")[0]
