"""The current release of a candidate, named by a person or by a header of its responses."""

from dataclasses import dataclass, field

UNNAMED = ""
"""The release of a candidate that nothing has named yet."""
SETTLES_AFTER_S = 60.0
"""A release seen in a header becomes the current one when the former has not been seen for this long: during a rolling
deploy both appear."""


@dataclass(slots=True)
class ReleaseState:
    """The releases of one route's candidate. Times are Unix times."""

    current: str = UNNAMED
    since: float = 0.0
    """When it became the current one."""
    last_seen: dict[str, float] = field(default_factory=dict)
    """When a response last named each release."""

    def name(self, release: str, now: float) -> bool:
        """Make a release the current one; return True if that is a change."""
        if release == self.current:
            return False
        self.current, self.since = release, now
        return True

    def see(self, release: str, at: float) -> bool:
        """Note a response that named its release; return True if that changes the current release."""
        self.last_seen[release] = max(at, self.last_seen.get(release, at))
        if self.current == UNNAMED:
            return self.name(release, at)
        latest = max(self.last_seen, key=lambda name: self.last_seen[name])
        former = self.last_seen.get(self.current, self.since)
        if latest == self.current or self.last_seen[latest] - former < SETTLES_AFTER_S:
            return False
        return self.name(latest, at)
