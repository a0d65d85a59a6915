"""The validation of a routes.yaml by Envoy: what it would refuse is a problem like any other, and changes nothing."""

import structlog

from strangler.core.settings import Settings
from strangler.engine.binary import BinaryError, find
from strangler.engine.validation import ValidationError, refusal

log = structlog.get_logger()


def envoy_refusal(binary: str, settings: Settings) -> str | None:
    """Return why the Envoy at a path refuses settings; None if it takes them.

    Where it cannot be asked, settings are taken: the process that runs Envoy asks again, and reports.
    """
    try:
        found = find(binary)
        reason = refusal(settings, found)
    except (BinaryError, ValidationError) as error:
        log.warning("routes.not_validated", reason=str(error))
        return None
    return None if reason is None else f"Envoy {found.version} refuses it: {reason}"


def never_refused(settings: Settings) -> str | None:
    """Return None: nobody but our own rules judges the settings."""
    return None
