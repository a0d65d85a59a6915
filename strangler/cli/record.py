"""`strangler record`: recordings, and what is made of them."""

from pathlib import Path

import click

from strangler.cli._record_differences import export
from strangler.cli._record_export import with_export


@click.group(invoke_without_command=True)
@with_export
@click.option("-o", "--output", "out", type=click.Path(path_type=Path), help="The file to write.")
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@click.pass_context
def command(ctx: click.Context, out: Path | None, force: bool) -> None:
    """Write a recording in another format."""
    if ctx.invoked_subcommand is None:
        raise click.UsageError("name a recording with --export FILE --to FORMAT")


command.add_command(export)
