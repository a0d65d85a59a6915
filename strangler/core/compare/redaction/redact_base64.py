"""Redaction of Base64 whose content is a text with a secret in it."""

import base64
import binascii
import re

from strangler.core.compare.redaction.nesting import Nesting, Searching

BASE64 = re.compile(r"(?<![A-Za-z0-9+/_\-])[A-Za-z0-9+/_\-]{12,}+={0,2}")


def redact_base64(token: str, redactor: Searching, at: Nesting) -> str:
    """Return Base64 of either alphabet (RFC 4648), encoded again if its content is a text with a secret in it."""
    bare = token.rstrip("=")
    is_url_safe = "-" in bare or "_" in bare
    try:
        data = base64.b64decode(bare + "=" * (-len(bare) % 4), altchars=b"-_" if is_url_safe else None, validate=True)
        plain = data.decode("utf-8")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return token
    if not plain.replace("\n", " ").replace("\r", " ").replace("\t", " ").isprintable():
        return token
    redacted = redactor.nested(plain, at.deeper())
    if redacted == plain:
        return token
    written = base64.b64encode(redacted.encode("utf-8", "backslashreplace"), b"-_" if is_url_safe else None).decode()
    return written if token != bare else written.rstrip("=")
