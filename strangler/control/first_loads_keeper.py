"""The keeper of the times when the `retire` of each route was first loaded."""

from collections.abc import Mapping
from pathlib import Path

import structlog

from strangler.control.reload import InForce
from strangler.core.first_loads import first_loads
from strangler.state import retire_file

log = structlog.get_logger()


class FirstLoadsKeeper:
    """Owns the file in the state folder. `known` has what is in it, or was in force although it could not be kept."""

    def __init__(self, folder: Path) -> None:
        self.known: Mapping[str, int] = retire_file.read(folder)
        self._folder = folder
        self._kept = self.known

    def adopt(self, in_force: InForce) -> None:
        """Keep the times of these settings; those of routes that no longer end are forgotten."""
        self.known = first_loads(in_force.settings)
        if self.known == self._kept:
            return
        try:
            retire_file.write(self._folder, self.known)
        except OSError as error:  # a full disk must not hold up a reload; it is tried again with the next one
            log.error("retire.not_kept", reason=str(error), remedy="write `retire.since` into routes.yaml")
            return
        self._kept = self.known
