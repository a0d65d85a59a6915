"""The kill switch on disk: a file of its own, so that it survives damage to the database or routes.yaml."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from strangler.state.files import KILL_SWITCH, replace_file


@dataclass(frozen=True, slots=True)
class KillSwitchState:
    """The kill switch. While it is on, all traffic goes to legacy."""

    on: bool
    reason: str
    since: str | None  # when it was last turned, `2026-11-23T08:00:00.123Z`
    routes: Mapping[str, object] = field(default_factory=dict)
    """The routes that it is on for by themselves."""


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


def may_read(folder: Path) -> bool:
    """Return False if this user may not read the file: its state is unknown then, unlike that of a broken file."""
    try:
        (folder / KILL_SWITCH).open("rb").close()
    except PermissionError:
        return False
    except OSError:
        return True
    return True


def write(folder: Path, state: KillSwitchState) -> None:
    """Replace the file as a whole and force it to the disk. Raises OSError; the old state stays then."""
    replace_file(folder / KILL_SWITCH, msgspec.json.encode(state))
