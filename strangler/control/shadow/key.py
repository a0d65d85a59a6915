"""The key of redaction: equal secrets stay equal under it, and nobody without it can try values."""

import os
import secrets
from pathlib import Path

from strangler.state.files import REDACTION_KEY

_BYTES = 32


def redaction_key(folder: Path) -> bytes:
    """The key of this state folder, made when there is none yet, readable by its owner only. Raises OSError."""
    path = folder / REDACTION_KEY
    draft = folder / f"{REDACTION_KEY}.new"
    if not path.exists() or path.stat().st_size != _BYTES:
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_BYTES))
            file.flush()
            os.fsync(descriptor)
        draft.replace(path)
    path.chmod(0o600)
    return path.read_bytes()
