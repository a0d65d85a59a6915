"""The secret that seals the keys in a shared store, from the environment."""

from collections.abc import Mapping
from typing import Final

VARIABLE: Final = "STRANGLER_STORE_SECRET"
MIN_LENGTH: Final = 16


class StoreSecretError(Exception):
    """There is no usable secret; the message says why, and the way out."""


def store_secret(environ: Mapping[str, str]) -> str:
    """Return the secret. Raises StoreSecretError."""
    secret = environ.get(VARIABLE, "")
    if len(secret) < MIN_LENGTH:
        what = "is not set" if not secret else f"has {len(secret)} characters"
        raise StoreSecretError(
            f"{VARIABLE} {what}; set it to the same {MIN_LENGTH} characters or more for all nodes of a shared store,"
            " such as the output of `openssl rand -base64 32`: it seals the keys in there"
        )
    return secret
