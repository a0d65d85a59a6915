"""The first certificate of a PEM file: the server's own, before those that signed it."""

import ssl
from typing import Final

_BEGIN: Final = b"-----BEGIN CERTIFICATE-----"
_END: Final = b"-----END CERTIFICATE-----"


def own_certificate(pem: bytes) -> str | None:
    """Return the first certificate of a file as PEM, without anything around it; None if there is none."""
    _, begin, rest = pem.partition(_BEGIN)
    content, end, _ = rest.partition(_END)
    if not begin or not end:
        return None
    try:
        return ssl.DER_cert_to_PEM_cert(ssl.PEM_cert_to_DER_cert((begin + content + end).decode("ascii")))
    except ValueError:  # no base64
        return None
