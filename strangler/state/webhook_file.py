"""The secret of the webhook in the state folder, as text: `whsec_` and base64."""

import base64
import secrets
from pathlib import Path
from typing import Final

from strangler.state.files import replace_file

PREFIX: Final = "whsec_"
_BYTES: Final = 32


def kept_webhook_secret(path: Path) -> bytes:
    """Return the text that a file keeps, made if missing, readable by its owner only. Raises OSError."""
    if not path.exists():
        replace_file(path, b"%b%b\n" % (PREFIX.encode(), base64.b64encode(secrets.token_bytes(_BYTES))))
    path.chmod(0o600)
    return path.read_bytes()
