"""Credentials known by their form, whatever their name: JSON Web Tokens, private keys, issued API keys."""

import base64
import binascii
import json
import re
from collections.abc import Iterator

from strangler.core.privacy.personal import Span

_BOUNDARY = r"(?:(?<![A-Za-z0-9_\-])|(?<=%[0-9A-Fa-f]{2})|(?<=\\[nrt]))"
_JWT = re.compile(_BOUNDARY + r"(?P<head>e[wy][A-Za-z0-9_\-]{6,2048}+)(?:\.[A-Za-z0-9_\-]*){2,4}")
_ISSUED = re.compile(
    _BOUNDARY + r"(?:"
    r"(?:AKIA|ASIA)[A-Z0-9]{16}"  # AWS
    r"|gh[pousr]_[A-Za-z0-9]{20,255}|github_pat_[A-Za-z0-9_]{20,255}|glpat-[A-Za-z0-9_\-]{20,255}"
    r"|xox[abeoprs]-[A-Za-z0-9\-]{10,255}|xapp-[A-Za-z0-9\-]{10,255}"  # Slack
    r"|[rs]k_(?:live|test)_[A-Za-z0-9]{10,255}|whsec_[A-Za-z0-9+/=]{10,255}"  # Stripe
    r"|AIza[A-Za-z0-9_\-]{35}|ya29\.[A-Za-z0-9_\-]{20,1024}"  # Google
    r"|npm_[A-Za-z0-9]{36}|pypi-AgE[A-Za-z0-9_\-]{20,1024}|SG\.[A-Za-z0-9_\-]{16,64}\.[A-Za-z0-9_\-]{16,128}"
    r"|sk-(?:proj-|ant-)?(?=[A-Za-z_\-]{0,255}[0-9])[A-Za-z0-9_\-]{32,255}"
    r")"
)
_SCHEME = re.compile(
    r"\b(?:Bearer|Basic)(?:\s|%20|\+){1,4}(?P<token>(?=[A-Za-z._~+/\-]{0,1024}[0-9=])[A-Za-z0-9._~+/\-]{8,4096}={0,2})",
    re.IGNORECASE,
)
_PEM = re.compile(r"-----(?P<which>BEGIN|END) [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")


def credential_spans(text: str) -> Iterator[Span]:
    """Yield all credentials in a text, in no order; they may overlap."""
    if len(text) < 12:
        return
    if "." in text:
        yield from (found.span() for found in _JWT.finditer(text) if _is_json_object(found["head"]))
    yield from (found.span() for found in _ISSUED.finditer(text))
    yield from (found.span("token") for found in _SCHEME.finditer(text))
    if "PRIVATE KEY" in text:
        yield from _private_keys(text)


def _is_json_object(head: str) -> bool:
    """Return True if the first part of a token decodes to a JSON object (RFC 7515 section 3)."""
    try:
        return isinstance(json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4))), dict)
    except (binascii.Error, ValueError, RecursionError):
        return False


def _private_keys(text: str) -> Iterator[Span]:
    """Yield private keys (RFC 7468); of a cut one, all that is left before its end or after its beginning."""
    start: int | None = None
    for number, line in enumerate(_PEM.finditer(text)):
        if line["which"] == "BEGIN":
            start = line.start() if start is None else start
        elif start is not None or not number:
            yield start or 0, line.end()
            start = None
    if start is not None:
        yield start, len(text)
