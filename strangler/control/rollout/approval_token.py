"""The tokens of approval links: what is approved and until when, signed with a key of this state folder.

A token is `1`, for the version, and base32 in lower case of a signature (HMAC-SHA256) and of what is signed, as JSON.
It has neither case nor punctuation, which chats and mail programs change or leave out of a link.
"""

import base64
import binascii
import hmac
from typing import Final

import msgspec
from msgspec import Struct

LASTS_S: Final = 72 * 3600.0
"""How long a link is valid, from the announcement on."""

MAX_TOKEN_CHARS: Final = 4000
"""The longest token that is read: more than a link can have."""

_VERSION: Final = "1"
_PURPOSE: Final = b"strangler approval link 1\n"
_MAC_BYTES: Final = 32


class Approval(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The approval that a link gives. `at`: when it was announced that the percent waits; both times are Unix."""

    group: str
    percent: float
    at: float
    expires: float


class LinkError(Exception):
    """A token that approves nothing."""


class BrokenLinkError(LinkError):
    """The text is no token: it was cut or changed on its way."""


class ForgedLinkError(LinkError):
    """The signature is not that of this key."""


class ExpiredLinkError(LinkError):
    """The token was valid once. `approval`: what it was for."""

    def __init__(self, approval: Approval) -> None:
        super().__init__(f"expired at {approval.expires}")
        self.approval = approval


def sign(key: bytes, approval: Approval) -> str:
    """Return the token of an approval, the same each time."""
    content = msgspec.json.encode(approval)
    return _VERSION + _text(_signature(key, content) + content)


def read(key: bytes, token: str, now: float) -> Approval:
    """Return what a token approves. Raises LinkError. Every wrong signature takes the same time."""
    given, content = _parts(token)
    if not hmac.compare_digest(given, _signature(key, content)):
        raise ForgedLinkError("the signature is wrong")
    try:
        approval = msgspec.json.decode(content, type=Approval)
    except msgspec.DecodeError as error:
        raise BrokenLinkError("it is signed, but no approval") from error
    if now >= approval.expires:
        raise ExpiredLinkError(approval)
    return approval


def _parts(token: str) -> tuple[bytes, bytes]:
    """Return the signature and what is signed. Raises BrokenLinkError."""
    if not token.startswith(_VERSION) or len(token) > MAX_TOKEN_CHARS or not token.isascii():
        raise BrokenLinkError("it is no token of this version")
    text = token.removeprefix(_VERSION)
    try:
        content = base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    except binascii.Error as error:
        raise BrokenLinkError("it is no base32") from error
    if len(content) <= _MAC_BYTES or _text(content) != text:  # a token has one spelling
        raise BrokenLinkError("it is too short, or spelled otherwise")
    return content[:_MAC_BYTES], content[_MAC_BYTES:]


def _text(content: bytes) -> str:
    return base64.b32encode(content).decode().rstrip("=").lower()


def _signature(key: bytes, content: bytes) -> bytes:
    return hmac.digest(key, _PURPOSE + content, "sha256")
