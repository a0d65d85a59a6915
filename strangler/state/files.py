"""The files in a state folder: their names, and their atomic replacement."""

import os
import secrets
from pathlib import Path
from typing import Final

LOCK: Final = "lock"
FIRST_LOADS: Final = "retire.json"
ROLLOUTS: Final = "rollout.json"
RUNNING: Final = "running.json"
RESTART: Final = "restart.json"
KILL_SWITCH: Final = "kill-switch.json"
STORE: Final = "strangler.db"
REDACTION_KEY: Final = "redaction.key"
WEBHOOK_KEY: Final = "webhook.secret"
APPROVAL_KEY: Final = "approval.key"
FLEET_KEYS: Final = "fleet-keys.json"
JOURNAL: Final = "shadow-diffs.jsonl"
MAX_OLD_JOURNALS: Final = 4
"""`shadow-diffs.jsonl.1` is the newest of the rotated files."""

KEPT: Final = (
    STORE,
    REDACTION_KEY,
    WEBHOOK_KEY,
    APPROVAL_KEY,
    FLEET_KEYS,
    KILL_SWITCH,
    FIRST_LOADS,
    ROLLOUTS,
    JOURNAL,
    *(f"{JOURNAL}.{number}" for number in range(1, MAX_OLD_JOURNALS + 1)),
)
"""The files of a backup, in the order of copying."""

_KEY_BYTES = 32


def may_read(path: Path) -> bool:
    """Return False if this user may not read a file: its content is unknown then, unlike that of a broken one."""
    try:
        path.open("rb").close()
    except PermissionError:
        return False
    except OSError:
        return True
    return True


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file as a whole, readable by its owner only, and force it to the disk.

    Raises OSError; the old content stays then.
    """
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    draft.replace(path)


def kept_key(path: Path) -> bytes:
    """Return the random bytes that a file keeps, made if missing, readable by its owner only. Raises OSError."""
    if not path.exists() or path.stat().st_size != _KEY_BYTES:
        replace_file(path, secrets.token_bytes(_KEY_BYTES))
    path.chmod(0o600)
    return path.read_bytes()
