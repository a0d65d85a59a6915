"""The file that keeps when the `retire` of each route was first loaded: clients see that time, so it must stay."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from strangler.state.files import FIRST_LOADS, replace_file


def read(folder: Path) -> dict[str, int]:
    """Return the kept Unix times by route; none if there is no file, or if it cannot be read."""
    try:
        return msgspec.json.decode((folder / FIRST_LOADS).read_bytes(), type=dict[str, int])
    except (OSError, msgspec.DecodeError):
        return {}


def write(folder: Path, times: Mapping[str, int]) -> None:
    """Replace the file as a whole. Raises OSError; the old content stays then."""
    replace_file(folder / FIRST_LOADS, msgspec.json.encode(times))
