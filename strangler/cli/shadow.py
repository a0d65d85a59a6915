"""`strangler shadow`: comparing for the proxy that you keep, and control of the shadows of a route."""

from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

import click

from strangler.cli._acting_user import acting_user
from strangler.cli._admin import NamedAdmin, admin_option, find_admin
from strangler.cli._config import config_option, route_of, settings_of
from strangler.cli.serve import run_proxy
from strangler.core.documents import DoneDocument, ResumeRequest
from strangler.core.listener_settings import UNIX, Address
from strangler.core.settings import Settings


@click.group(invoke_without_command=True)
@click.option("--listen", metavar="ADDRESS", help="Run the receiver of mirrored requests here: HOST:PORT or unix:PATH.")
@config_option
@click.pass_context
def command(ctx: click.Context, listen: str | None, config: Path) -> None:
    """Compare what another proxy mirrors, or resume shadows.

    With --listen it runs until SIGTERM or Ctrl-C, like `strangler serve`, but takes mirrored requests alone: both arms
    of a route are asked, and their responses compared. No client connects to it. See docs/receiver.md.

    \b
    strangler shadow --listen 127.0.0.1:8082 -c routes.yaml
    """
    if ctx.invoked_subcommand is not None:
        if listen is not None:
            raise click.UsageError(f"--listen runs the receiver; take it out, or take '{ctx.invoked_subcommand}' out")
    elif listen is None:
        raise click.UsageError("name where mirrored requests come to with --listen, or a command such as resume")
    else:
        _receive(config, listen)


def _receive(config: Path, listen: str) -> NoReturn:
    from strangler.config.urls import listen_address

    try:
        at = listen_address(listen)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--listen") from None
    if at.unix_path is not None:
        at = Address(f"{UNIX}{Path(at.unix_path).absolute()}", 0)

    def adapt(settings: Settings) -> Settings:
        from strangler.config.receiver import receiver_only

        return receiver_only(settings, at)

    run_proxy(config, adapt)


@command.command()
@click.argument("route")
@click.option("--why", default="", help="Why it may go on; recorded with your name.")
@config_option
@admin_option
def resume(route: str, why: str, config: Path, admin: NamedAdmin | None) -> None:
    """Resume shadows of ROUTE that have stopped by themselves.

    They stop if a candidate does not confirm a dry run. Before the next write it gets another OPTIONS request.
    Exit code 1: they are not stopped, or no proxy runs.

    \b
    strangler shadow resume orders --why "it confirms dry runs since 1.4.2"
    """
    route_of(config, settings_of(config), route)
    find_admin(config, admin).ask(
        "POST", f"/api/shadows/{quote(route, safe='')}/resume", DoneDocument, ResumeRequest(acting_user(), why)
    )
    click.echo(f"shadowing of route '{route}' goes on")
