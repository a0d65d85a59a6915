"""The kill switch on disk: a file of its own, so that it holds whatever happens to the database or to routes.yaml."""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from strangler.state.files import KILL_SWITCH, replace_file


@dataclass(frozen=True, slots=True)
class KillSwitchState:
    """While on, all traffic goes to legacy."""

    on: bool
    reason: str
    since: str | None  # when it was last turned, `2026-11-23T08:00:00.123Z`


OFF = KillSwitchState(on=False, reason="", since=None)


def read(folder: Path) -> KillSwitchState:
    """Return what was last written; off if nothing ever was.

    A file that cannot be read counts as on: someone turned the switch and we cannot tell which way, and legacy is
    the side that is never wrong.
    """
    try:
        return msgspec.json.decode((folder / KILL_SWITCH).read_bytes(), type=KillSwitchState)
    except FileNotFoundError:
        return OFF
    except (OSError, msgspec.DecodeError) as error:
        return KillSwitchState(on=True, reason=f"{KILL_SWITCH} cannot be read: {error}", since=None)


def may_read(folder: Path) -> bool:
    """Return False if this user may not look: then nothing is known, which is not the same as a file that is broken."""
    try:
        (folder / KILL_SWITCH).open("rb").close()
    except PermissionError:
        return False
    except OSError:
        return True
    return True


def write(folder: Path, state: KillSwitchState) -> None:
    """Replace the file as a whole and force it to the disk. Raises OSError; the old state is in force then."""
    replace_file(folder / KILL_SWITCH, msgspec.json.encode(state))
