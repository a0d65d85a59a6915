"""The settings of a route that ends: what is announced, when it is off, and when it is gone. Times are Unix seconds."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal


@dataclass(frozen=True, slots=True)
class BrownoutSettings:
    """A window in which the route is off already."""

    begins: int
    ends: int  # the first second in which the route is served again


@dataclass(frozen=True, slots=True)
class RetireSettings:
    sunset: int  # the first second in which the route is gone
    since: int | None  # since when it is deprecated, as written
    link: str | None  # URL of a page for those who still call
    status: Literal[404, 410, 501]  # after the sunset
    brownouts: tuple[BrownoutSettings, ...]  # as written: they may overlap, or reach beyond the sunset
    first_loaded: int | None = None  # when the proxy first had this `retire`; None where that is not known

    @property
    def deprecated_at(self) -> int | None:
        """The time of deprecation, which is never after the sunset (RFC 9745 section 4)."""
        if self.since is not None or self.first_loaded is None:
            return self.since
        return min(self.first_loaded, self.sunset)

    @property
    def windows(self) -> tuple[BrownoutSettings, ...]:
        """The brownouts that take place, in order: joined where they overlap or touch, and cut off at the sunset."""
        found: list[BrownoutSettings] = []
        for brownout in sorted(self.brownouts, key=lambda brownout: brownout.begins):
            begins, ends = brownout.begins, min(brownout.ends, self.sunset)
            if begins >= ends:
                continue
            if found and begins <= found[-1].ends:
                found[-1] = BrownoutSettings(found[-1].begins, max(found[-1].ends, ends))
            else:
                found.append(BrownoutSettings(begins, ends))
        return tuple(found)

    def brownout_at(self, now: float) -> BrownoutSettings | None:
        """Return the brownout that takes place at a time; None if there is none."""
        return next((window for window in self.windows if window.begins <= now < window.ends), None)


def utc_text(at: int) -> str:
    """Return a time for people: `2027-02-01 10:00 UTC`, with seconds only if there are any."""
    moment = datetime.fromtimestamp(at, UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment.second else f"{moment:%Y-%m-%d %H:%M} UTC"


def utc_stamp(at: int) -> str:
    """Return a time for programs (RFC 3339): `2027-02-01T10:00:00Z`."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"
