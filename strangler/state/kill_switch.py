"""The kill switch on disk: a file of its own, so that it survives damage to the database or routes.yaml."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import msgspec

from strangler.state import files
from strangler.state.files import KILL_SWITCH, replace_file

MAX_NAMES_BYTES: Final = 32 * 1024
"""The most bytes of the names of routes, as JSON: each worker is started with them in one environment variable."""


@dataclass(frozen=True, slots=True)
class KilledRoute:
    """The kill switch of a single route, which is on."""

    reason: str
    since: str | None


@dataclass(frozen=True, slots=True)
class PendingTurn:
    """A turn that the store of several nodes has not taken yet, so that it holds for this node only."""

    on: bool
    reason: str
    since: float
    """Unix time, in whole milliseconds."""
    actor: str
    event: str  # the id of its event
    is_own_time: bool
    """Whether `since` is by the clock of this host, since that of the store was not known."""


@dataclass(frozen=True, slots=True)
class KillSwitchState:
    """The kill switch. While it is on, all traffic goes to legacy; while it is on for single routes, theirs does."""

    on: bool
    reason: str
    since: str | None  # when it was last turned, `2026-11-23T08:00:00.123Z`
    routes: dict[str, KilledRoute] = field(default_factory=dict)
    """The routes that it is on for by themselves. A route that routes.yaml no longer has stays until it is turned off:
    it may come back."""
    pending: dict[str, PendingTurn] = field(default_factory=dict)
    """By scope, a route or `` for all: the turns that other nodes do not know yet. Always empty without other nodes."""

    @property
    def is_unreadable(self) -> bool:
        """Whether it is on because its file cannot be read. Any turn has a time."""
        return self.on and self.since is None

    def is_on_for(self, route: str) -> bool:
        """Return whether the requests of a route go to legacy, unless it is a passthrough route."""
        return self.on or route in self.routes

    def turned(self, on: bool, reason: str, now: str) -> "KillSwitchState":
        """Return the state after it was turned for all routes: this one if it is so already, and for that reason."""
        if self.on == on and (not on or reason in ("", self.reason)):
            return self
        return replace(self, on=on, reason=reason, since=now)

    def turned_for(self, route: str, on: bool, reason: str, now: str) -> "KillSwitchState":
        """Return the state after it was turned for a single route; the switch for all routes stays as it is."""
        before = self.routes.get(route)
        if (before is not None) == on and (before is None or reason in ("", before.reason)):
            return self
        others = {name: each for name, each in self.routes.items() if name != route}
        return replace(self, routes=others | ({route: KilledRoute(reason, now)} if on else {}))


OFF = KillSwitchState(on=False, reason="", since=None)


def read(folder: Path) -> KillSwitchState:
    """Return the last written state; off if there is none.

    A file that cannot be read counts as on: the switch was turned, but it is unknown which way, and legacy is the
    safe side.
    """
    try:
        return msgspec.json.decode((folder / KILL_SWITCH).read_bytes(), type=KillSwitchState)
    except FileNotFoundError:
        return OFF
    except (OSError, msgspec.DecodeError) as error:
        return KillSwitchState(on=True, reason=f"{KILL_SWITCH} cannot be read: {error}", since=None)


def fits(routes: Iterable[str]) -> bool:
    """Return whether workers can be started with these routes."""
    return len(msgspec.json.encode(list(routes))) <= MAX_NAMES_BYTES


def may_read(folder: Path) -> bool:
    """Return False if this user may not read the file."""
    return files.may_read(folder / KILL_SWITCH)


def write(folder: Path, state: KillSwitchState) -> None:
    """Replace the file as a whole and force it to the disk. Raises OSError; the old state stays then."""
    content = msgspec.to_builtins(state)
    if not state.pending:
        del content["pending"]
    replace_file(folder / KILL_SWITCH, msgspec.json.encode(content))
