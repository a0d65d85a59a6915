"""Redaction of Base64 whose content is a text with a secret in it."""

import base64
import binascii
import re

from strangler.core.compare.redaction.nesting import Nesting, Searching

BASE64 = re.compile(r"(?<![A-Za-z0-9+/_\-])[A-Za-z0-9+/_\-]{12,}+={0,2}")


def redact_base64(token: str, redactor: Searching, at: Nesting) -> str:
    """Return Base64 of either alphabet (RFC 4648), encoded again if its content is a text with a secret in it."""
    plain = base64_text(token)
    if plain is None:
        return token
    redacted = redactor.nested(plain, at.deeper())
    if redacted == plain:
        return token
    bare = token.rstrip("=")
    altchars = b"-_" if _is_url_safe(bare) else None
    written = base64.b64encode(redacted.encode("utf-8", "backslashreplace"), altchars).decode()
    return written if token != bare else written.rstrip("=")


def base64_text(token: str) -> str | None:
    """Return the text that a token of Base64 has; None if it has none."""
    bare = token.rstrip("=")
    altchars = b"-_" if _is_url_safe(bare) else None
    try:
        data = base64.b64decode(bare + "=" * (-len(bare) % 4), altchars=altchars, validate=True)
        plain = data.decode("utf-8")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    return plain if plain.replace("\n", " ").replace("\r", " ").replace("\t", " ").isprintable() else None


def _is_url_safe(bare: str) -> bool:
    return "-" in bare or "_" in bare
