"""The `strangler` command. Each subcommand has a file of its own, imported only when it is called."""

import platform
import sys
from errno import EFBIG, EIO, ENOSPC
from importlib import import_module
from typing import Any

import click

from strangler import __version__, is_compiled

_COMMANDS = {
    # name -> the file in strangler/cli that holds it; --help keeps this order
    "serve": "serve",
    "restart": "restart",
    "check": "check",
    "explain": "explain",
    "plan": "plan",
    "status": "status",
    "kill-switch": "kill_switch",
    "shift": "shift",
    "rollout": "rollout",
    "ledger": "ledger",
    "record": "record",
    "replay": "replay",
    "events": "events",
    "diffs": "diffs",
    "ready": "ready",
    "shadow": "shadow",
    "report": "report",
    "audit": "audit",
    "release": "release",
    "evidence": "evidence",
    "state": "state",
    "schema": "schema",
    "export": "export",
    "demo": "demo",
}

_HOT_PATH = "compiled" if is_compiled() else "not compiled"
_VERSION = f"%(prog)s %(version)s (hot path {_HOT_PATH}), Python {platform.python_version()}"


_CANNOT_BE_WRITTEN = frozenset({EFBIG, EIO, ENOSPC})
"""The errors of standard output that are reported. (click handles a closed pipe: no message, exit code 1.)"""


class _LazyGroup(click.Group):
    """A group that imports a subcommand's module on first use: `strangler check` need not load the proxy."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = _COMMANDS.get(cmd_name)
        if module is None:
            return None
        command: click.Command = import_module(f"strangler.cli.{module}").command
        return command

    def main(self, *args: Any, **extra: Any) -> Any:
        try:
            return super().main(*args, **extra)
        except OSError as error:
            if error.errno not in _CANNOT_BE_WRITTEN:
                raise
            sys.stderr.write(f"Error: the output cannot be written: {error.strerror}\n")
            sys.exit(1)


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="strangler", message=_VERSION)
def main() -> None:
    """Move a monolith's endpoints to new services, a percent at a time, after comparing responses."""
