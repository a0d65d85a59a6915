"""Validation by Envoy itself: it loads a configuration as if it were to serve, and says what is wrong."""

import os
import re
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final

from strangler.core.settings import Settings
from strangler.engine.binary import BinaryError, EnvoyBinary, find
from strangler.engine.rendering import SwitchState, Wanted, system_ca
from strangler.engine.written_files import put
from strangler.envoy.place import EnvoyPlace

VALIDATE_TIMEOUT_S: Final = 60.0
"""10,000 routes take 5 s on a free core."""

_FILE: Final = "twin.json"
_CRITICAL: Final = re.compile(r"^critical\t[^\t]*\t", re.MULTILINE)
_INITIALIZING: Final = re.compile(r"^error initializing config\w* '.*?': *", re.DOTALL)


_CONTENT: Final = re.compile(r"^.*?(?=Proto constraint validation failed)", re.DOTALL)
"""The refused message itself, which may hold a key, stands before the reason."""

MAX_REASON_CHARACTERS: Final = 1000

_FOLDER: Final = "/var/lib/strangler"
"""A folder that is never used: validation opens no socket, and follows no file."""


class ValidationError(Exception):
    """Envoy could not be asked; the message says why. The configuration may be right or wrong."""


def refusal(settings: Settings, binary: EnvoyBinary | None = None) -> str | None:
    """Return why Envoy would refuse these settings, in a line; None if it takes them, or if there is no Envoy to ask.

    `binary`: None is the one that `strangler serve` would find. Raises ValidationError.
    """
    try:
        binary = binary or find()
    except BinaryError:
        return None
    return refusal_of_wanted(Wanted(settings, 1, time.time(), SwitchState()), binary)


def refusal_of_wanted(wanted: Wanted, binary: EnvoyBinary) -> str | None:
    """Return why Envoy would refuse what is rendered of these settings, in a line. Raises ValidationError."""
    place = EnvoyPlace(_FOLDER, "admin.sock", "telemetry.sock", "receiver.sock", system_ca())
    return refusal_of(wanted.at(place).static_twin(), binary)


def refusal_of(twin: bytes, binary: EnvoyBinary) -> str | None:
    """Return why Envoy refuses a configuration, in a line; None if it takes it. Raises ValidationError.

    `twin` is a whole configuration: Envoy reads no other file while it validates. It may hold keys of certificates, so
    it stands in a folder that only this user can read, and is removed.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="strangler-") as folder:
            put(Path(folder), _FILE, twin)
            return _ask(binary.path, folder)
    except OSError as error:
        raise ValidationError(f"Envoy could not be asked to validate: {error.strerror or error}") from error


def _ask(path: str, folder: str) -> str | None:
    command = [
        *(path, "--mode", "validate", "-c", os.path.join(folder, _FILE)),
        *("--log-level", "critical", "--log-format", "%l\t%n\t%v", "--disable-hot-restart", "--concurrency", "1"),
    ]
    try:
        done = subprocess.run(  # noqa: S603 - the program that the operator names, no shell
            command,
            capture_output=True,
            timeout=VALIDATE_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
            check=False,
            cwd=folder,
        )
    except subprocess.TimeoutExpired:
        raise ValidationError(f"Envoy has not validated within {VALIDATE_TIMEOUT_S:.0f} s") from None
    if done.returncode == 0:
        return None
    return reason_in(done.stderr.decode(errors="replace"), folder) or f"it ended with status {done.returncode}"


def reason_in(text: str, folder: str = "") -> str:
    """Return the reason in what Envoy has printed, in one line and without the name of our file."""
    parts = _CRITICAL.split(text)
    found = parts[1] if len(parts) > 1 else text
    found = _INITIALIZING.sub("", found.strip())
    if folder:
        found = found.replace(os.path.join(folder, _FILE), "the configuration")
    return " ".join(_CONTENT.sub("", found).split())[:MAX_REASON_CHARACTERS]
