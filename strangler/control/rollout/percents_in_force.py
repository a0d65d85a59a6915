"""The percents of rollouts outside control: in the file that a start of the proxy reads, and in all workers."""

from collections.abc import Callable
from pathlib import Path

import structlog

from strangler.control.rollout.climb import ClimbState
from strangler.control.rollout.climbs import ClimbsState
from strangler.state import rollout_file
from strangler.state.rollout_file import KeptPercent

log = structlog.get_logger()


class PercentsInForce:
    """Keeps the file of the state folder `folder`, and puts percents in force.

    `put_in_force` makes the percents of `ClimbsState.effective` those of all workers, and returns the generation that
    has them.
    """

    def __init__(self, folder: Path, climbs: ClimbsState, put_in_force: Callable[[], int]) -> None:
        self.kept: dict[str, KeptPercent] = {}
        """The content of the file, by group."""
        self._folder = folder
        self._climbs = climbs
        self._put_in_force = put_in_force
        self._problem: str | None = None

    def read(self) -> None:
        """Read the file. One that cannot be read is as one that is not there."""
        self.kept = rollout_file.read(self._folder)

    def begin(self) -> None:
        """Put the stored percents in force, if others are: the settings of a start may be older."""
        climbs = self._climbs.all()
        if any(route.split.percent != climb.percent for climb in climbs for route in climb.routes):
            self.enforce(*climbs)
        else:
            self.keep()

    def enforce(self, *climbs: ClimbState) -> None:
        """Put percents in force: for a start of the proxy, then for all workers."""
        self.keep()
        generation = self._put_in_force()
        for climb in climbs:
            climb.generation = generation

    def keep(self) -> None:
        """Keep the percents in the file, if they have changed. A full disk holds nothing up; it is tried again."""
        kept = {climb.group: KeptPercent(climb.percent, climb.position.moves) for climb in self._climbs.all()}
        if kept == self.kept:
            return
        try:
            rollout_file.write(self._folder, kept)
        except OSError as error:
            problem = error.strerror or str(error)
            if problem != self._problem:
                log.error("rollout.not_kept", reason=problem, remedy="make room in the state folder")
            self._problem = problem
            return
        self.kept, self._problem = kept, None
