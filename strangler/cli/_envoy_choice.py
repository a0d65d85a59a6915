"""The Envoy that `strangler serve` is to run, or to write files for: options, and what is wrong with them."""

from collections.abc import Callable
from pathlib import Path

import click

from strangler.core.settings import Settings
from strangler.ipc.start import EnvoyChoice


def envoy_options(command: Callable[..., object]) -> Callable[..., object]:
    """Give a command the options that `chosen` takes."""
    for option in (
        click.option(
            "--envoy-files",
            type=click.Path(path_type=Path, file_okay=False),
            metavar="FOLDER",
            help="With --control-only: the folder of the files that Envoy follows.",
        ),
        click.option(
            "--control-only",
            is_flag=True,
            help="Run no Envoy, but write the files for one that runs beside this process.",
        ),
        click.option(
            "--envoy-binary",
            type=click.Path(path_type=Path),
            metavar="PATH",
            help="With `engine: envoy`: the Envoy to run, instead of that of strangler[envoy] or of PATH.",
        ),
    ):
        command = option(command)
    return command


def chosen(binary: Path | None, is_control_only: bool, files: Path | None) -> EnvoyChoice:
    """Return what the options say. Raises UsageError if they contradict each other."""
    if is_control_only != (files is not None):
        raise click.UsageError("--control-only and --envoy-files belong together: write both, or none of them")
    return EnvoyChoice("" if binary is None else str(binary.absolute()), "" if files is None else str(files.absolute()))


def check_choice(settings: Settings, choice: EnvoyChoice) -> None:
    """Look whether these settings can be served with that Envoy. Raises ClickException."""
    if settings.engine != "envoy" or not settings.workers:
        if choice != EnvoyChoice():
            raise click.ClickException(
                "--envoy-binary and --control-only are for `engine: envoy`; write that into routes.yaml, or leave both"
            )
        return
    from strangler.engine.binary import BinaryError, find  # the supervisor stays without it
    from strangler.engine.validation import ValidationError, refusal

    if choice.files and not choice.binary:
        click.echo(
            "warning: Envoy is not validated before it gets its files, for want of the program: name it with"
            " --envoy-binary; what it refuses is in the status and in the log",
            err=True,
        )
        return
    try:
        binary = find(choice.binary)
        reason = refusal(settings, binary)
    except (BinaryError, ValidationError) as error:
        raise click.ClickException(str(error)) from None
    if reason is not None:
        raise click.ClickException(f"Envoy {binary.version} refuses the settings: {reason}")
