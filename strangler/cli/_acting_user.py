"""The person or job that an action is done for, as the audit names it."""

import getpass
import os
from collections.abc import Mapping

VARIABLE = "STRANGLER_USER"

MAX_CHARACTERS = 100


def acting_user(environ: Mapping[str, str] | None = None) -> str:
    """Return the name in `STRANGLER_USER`, else that of the system's user, else the user's number; never empty."""
    given = " ".join((os.environ if environ is None else environ).get(VARIABLE, "").split())
    return (given or _system_user())[:MAX_CHARACTERS]


def _system_user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's uid need not have a name
        return f"uid {os.getuid()}"
