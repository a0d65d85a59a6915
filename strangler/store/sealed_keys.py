"""The keys that several nodes share, sealed: who can read the store, but has not the secret, cannot read them.

A sealed key is a byte for the form, the salt of Scrypt, a nonce, and the key itself, encrypted by ChaCha20-Poly1305
with its name as associated data: no key can take the place of another. The first that is stored under a name stays.
"""

import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from strangler.store.connection import Connection

SCHEMA: Final = "CREATE TABLE IF NOT EXISTS sealed_keys (name TEXT PRIMARY KEY, content BLOB NOT NULL) WITHOUT ROWID;"

_FORM: Final = b"\x01"
_SALT_BYTES: Final = 16
_NONCE_BYTES: Final = 12
_BEGIN: Final = len(_FORM) + _SALT_BYTES + _NONCE_BYTES


class UnsealError(Exception):
    """A key cannot be opened with this secret."""


def seal(name: str, key: bytes, secret: str) -> bytes:
    """Return a key as the store has it. It takes 0.1 s and 32 MiB, so that a weak secret is costly to guess."""
    salt, nonce = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
    return _FORM + salt + nonce + _cipher(secret, salt).encrypt(nonce, key, name.encode())


def unseal(name: str, content: bytes, secret: str) -> bytes:
    """Return a key that was sealed under its name. Raises UnsealError."""
    if content[:1] != _FORM:
        raise UnsealError(f"the key '{name}' was sealed by another version of this program")
    salt, nonce = content[1 : 1 + _SALT_BYTES], content[1 + _SALT_BYTES : _BEGIN]
    try:
        return _cipher(secret, salt).decrypt(nonce, content[_BEGIN:], name.encode())
    except (InvalidTag, ValueError):
        raise UnsealError(f"the key '{name}' cannot be opened: it was sealed with another secret") from None


def load_sealed(connection: Connection) -> dict[str, bytes]:
    """Return the sealed keys by name."""
    return {
        name: bytes(content) for name, content in connection.execute("SELECT name, content FROM sealed_keys").fetchall()
    }


def add_sealed(connection: Connection, name: str, content: bytes) -> bool:
    """Store a sealed key; return False if there is one of that name, which stays."""
    statement = "INSERT INTO sealed_keys (name, content) VALUES (?, ?) ON CONFLICT (name) DO NOTHING"
    return connection.execute(statement, (name, content)).rowcount == 1


def _cipher(secret: str, salt: bytes) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(Scrypt(salt=salt, length=32, n=2**15, r=8, p=1).derive(secret.encode()))
