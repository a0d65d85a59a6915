"""The key of redaction that several nodes share, for commands that redact by themselves."""

import os
from collections.abc import Mapping
from pathlib import Path

from strangler.cli._config import failed
from strangler.cli._terminal import plain
from strangler.core.settings import Settings
from strangler.state.files import REDACTION_KEY
from strangler.state.fleet_keys import are_known
from strangler.state.store_secret import StoreSecretError, store_secret
from strangler.store.evidence.access import NoEvidenceError, location_of, reader
from strangler.store.sealed_keys import UnsealError, load_sealed, unseal


def shared_redaction_key(settings: Settings, environ: Mapping[str, str] = os.environ) -> bytes | None:
    """Return the key of all nodes: that of this node's state folder, or of the store; None without a shared store.

    Any other key would make equal values unequal to what is stored. End the program if there is none.
    """
    if settings.store is None:
        return None
    folder = Path(settings.state)
    try:
        if are_known(folder):
            return (folder / REDACTION_KEY).read_bytes()
        secret = store_secret(environ)
        with reader(location_of(settings)) as connection:
            sealed = load_sealed(connection).get(REDACTION_KEY)
        if sealed is not None:
            return unseal(REDACTION_KEY, sealed, secret)
    except (OSError, NoEvidenceError, StoreSecretError, UnsealError) as error:
        raise failed(plain(f"the redaction key that all nodes share cannot be read: {error}")) from None
    raise failed("no node has sealed a redaction key in the store yet; start one first")
