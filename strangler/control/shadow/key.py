"""The key of redaction: equal secrets stay equal under it, and guessing values needs it."""

from pathlib import Path

from strangler.state.files import REDACTION_KEY, kept_key


def redaction_key(folder: Path) -> bytes:
    """Return the key of this state folder, made if missing, readable by its owner only. Raises OSError."""
    return kept_key(folder / REDACTION_KEY)
