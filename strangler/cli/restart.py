"""`strangler restart`: replace the running program without a gap."""

import os
import re
import signal
import time
from contextlib import suppress
from pathlib import Path

import click

from strangler.cli._config import config_option
from strangler.state.lock import is_held
from strangler.state.running import Running, read_restart, read_running

MAX_WAIT_S = 90.0
"""More than the time that the running proxy gives the new one."""

_LOOK_EVERY_S = 0.05
_STATE_LINE = re.compile(r"""^state:\s*["']?([^"'#\n]+?)["']?\s*(?:#.*)?$""", re.MULTILINE)


@click.command()
@config_option
@click.option(
    "--state",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="The state folder of the running proxy, if routes.yaml now names another.",
)
def command(config: Path, state: Path | None) -> None:
    """Replace the running program without a gap.

    A new one starts beside it and takes over once it serves; this command waits for that.

    The new program may be of another version and listen at other addresses. No connection is refused: it takes over
    the sockets, and requests, streams and websockets of the old one have `limits.drain` to finish. If it cannot start,
    the old one goes on, and the exit code is 1.
    """
    folder = state or _state_of(config)
    running = _running(folder)
    before = read_restart(folder)
    number = before.number if before else 0
    try:
        os.kill(running.pid, signal.SIGUSR2)
    except ProcessLookupError:
        raise _nothing_runs(folder) from None
    except PermissionError:
        raise click.ClickException(f"the proxy (pid {running.pid}) is another user's; run this as that user") from None
    click.echo(_outcome(folder, running.pid, number))


def _running(folder: Path) -> Running:
    running = read_running(folder)
    if running is None:
        raise _nothing_runs(folder)
    if not running.takes_restarts:
        raise click.ClickException(
            f"the running proxy (pid {running.pid}) is of a version that cannot be restarted; stop it and start it"
        )
    return running


def _nothing_runs(folder: Path) -> click.ClickException:
    return click.ClickException(
        f"no proxy runs on the state folder {folder}; start one with `strangler serve`, or name its folder with --state"
    )


def _outcome(folder: Path, pid: int, number: int) -> str:
    deadline = time.monotonic() + MAX_WAIT_S
    while time.monotonic() < deadline:
        restart = read_restart(folder)
        if restart is not None and restart.number > number:
            if restart.problem is None:
                return f"restarted: pid {restart.pid} serves; pid {pid} lets its requests finish, and takes no new ones"
            raise click.ClickException(f"not restarted, pid {restart.pid} goes on: {restart.problem}")
        if not is_held(folder):
            raise click.ClickException("the proxy has ended; its log says why")
        time.sleep(_LOOK_EVERY_S)
    raise click.ClickException(f"pid {pid} has not reported the outcome within {MAX_WAIT_S:.0f} s; see its log")


def _state_of(config: Path) -> Path:
    """Return the state folder that the file names, even if the file is wrong: the proxy then reports that."""
    found = None
    with suppress(OSError, UnicodeDecodeError):
        found = _STATE_LINE.search(config.read_text())
    return Path(found[1] if found else ".strangler")
