"""The file that keeps the percent of each rollout: a proxy that starts begins with it, so that no caller moves back.

The store has the whole position, and is read later, by control.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from strangler.state import files
from strangler.state.files import ROLLOUTS, replace_file


@dataclass(frozen=True, slots=True)
class KeptPercent:
    """The percent of a group of routes. `moves`: how often it had changed by then, by which the newer of the file and
    the store is known."""

    percent: float
    moves: int


def read(folder: Path) -> dict[str, KeptPercent]:
    """Return the kept percents by group; none if there is no file, or if it cannot be read."""
    try:
        return msgspec.json.decode((folder / ROLLOUTS).read_bytes(), type=dict[str, KeptPercent])
    except (OSError, msgspec.DecodeError):
        return {}


def percents(folder: Path) -> dict[str, float]:
    """Return the kept percents alone."""
    return {group: kept.percent for group, kept in read(folder).items()}


def may_read(folder: Path) -> bool:
    """Return False if this user may not read the file."""
    return files.may_read(folder / ROLLOUTS)


def write(folder: Path, kept: Mapping[str, KeptPercent]) -> None:
    """Replace the file as a whole. Raises OSError; the old content stays then."""
    replace_file(folder / ROLLOUTS, msgspec.json.encode(kept))
