"""The word of an Envoy that is installed here on a routes.yaml that it is to serve."""

from dataclasses import replace

from strangler.config.load import Loaded
from strangler.config.problem import Problem
from strangler.engine.binary import BinaryError, find
from strangler.engine.validation import ValidationError, refusal


def with_envoys_word(loaded: Loaded, file: str) -> Loaded:
    """Return what was found in a file, and what the Envoy that is installed here refuses in it, if it is to serve."""
    settings = loaded.settings
    if settings is None or settings.engine != "envoy" or not settings.workers:
        return loaded
    try:
        binary = find()
        reason = refusal(settings, binary)
    except BinaryError:
        return loaded
    except ValidationError as error:
        unsure = Problem(file, 0, 0, "", str(error), "run the check again", severity="warning")
        return replace(loaded, warnings=(*loaded.warnings, unsure))
    if reason is None:
        return loaded
    refused = Problem(file, 0, 0, "", f"Envoy {binary.version} refuses it: {reason}", "")
    return replace(loaded, settings=None, problems=(*loaded.problems, refused))
