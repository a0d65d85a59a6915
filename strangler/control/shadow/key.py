"""The key of redaction: equal secrets stay equal under it, and guessing values needs it."""

import secrets
from pathlib import Path

from strangler.state.files import REDACTION_KEY, replace_file

_BYTES = 32


def redaction_key(folder: Path) -> bytes:
    """Return the key of this state folder, made if missing, readable by its owner only. Raises OSError."""
    path = folder / REDACTION_KEY
    if not path.exists() or path.stat().st_size != _BYTES:
        replace_file(path, secrets.token_bytes(_BYTES))
    path.chmod(0o600)
    return path.read_bytes()
