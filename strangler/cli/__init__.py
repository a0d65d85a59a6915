"""The `strangler` command. Each subcommand lives in a file of its own and is imported only when it is called."""

import platform
from importlib import import_module

import click

from strangler import __version__, is_compiled

_COMMANDS = {
    # name -> the file in strangler/cli that holds it; --help keeps this order
    "serve": "serve",
    "check": "check",
    "explain": "explain",
    "status": "status",
    "kill-switch": "kill_switch",
    "shift": "shift",
    "events": "events",
    "diffs": "diffs",
    "ready": "ready",
    "report": "report",
    "schema": "schema",
    "demo": "demo",
}

_HOT_PATH = "compiled" if is_compiled() else "not compiled"
_VERSION = f"%(prog)s %(version)s (hot path {_HOT_PATH}), Python {platform.python_version()}"


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


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="strangler", message=_VERSION)
def main() -> None:
    """Move a monolith's endpoints to new services, a percent at a time, with every answer compared first."""
