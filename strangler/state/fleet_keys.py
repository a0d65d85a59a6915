"""The files of the keys that nodes share, and the note that they are those of all nodes."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from strangler.state.files import APPROVAL_KEY, FLEET_KEYS, REDACTION_KEY, WEBHOOK_KEY, kept_key, replace_file
from strangler.state.webhook_file import kept_webhook_secret

SHARED: Final = (APPROVAL_KEY, REDACTION_KEY, WEBHOOK_KEY)


def own_keys(folder: Path, known: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the contents of the files whose keys are not known, each made if missing. Raises OSError."""
    makers = {APPROVAL_KEY: kept_key, REDACTION_KEY: kept_key, WEBHOOK_KEY: kept_webhook_secret}
    return {name: makers[name](folder / name) for name in SHARED if name not in known}


def keep(folder: Path, keys: Mapping[str, bytes]) -> list[str]:
    """Put the keys of all nodes into their files, and note that they are. Return the files that had others.

    Raises OSError.
    """
    changed = []
    for name in SHARED:
        before = _read(folder / name)
        if before != keys[name]:
            replace_file(folder / name, keys[name])
            changed += [name] if before is not None else []
    note = msgspec.json.encode({name: _digest(keys[name]) for name in SHARED})
    if _read(folder / FLEET_KEYS) != note:
        replace_file(folder / FLEET_KEYS, note)
    return changed


def are_known(folder: Path) -> bool:
    """Return whether the files have the keys of all nodes, as far as this node has ever read them."""
    try:
        noted = msgspec.json.decode((folder / FLEET_KEYS).read_bytes(), type=dict[str, str])
        return all(noted.get(name) == _digest((folder / name).read_bytes()) for name in SHARED)
    except (OSError, msgspec.DecodeError):
        return False


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _digest(key: bytes) -> str:
    """Return a digest that names a key, and does not help to find it: keys are random, and long."""
    return hashlib.sha256(b"strangler " + key).hexdigest()[:32]
