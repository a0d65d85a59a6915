"""The parts that all exports share: loading the file, naming the losses, the exit code."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click

from strangler.cli._config import failed
from strangler.config.load import load
from strangler.config.lost_keys import Losses
from strangler.config.problem import Problem
from strangler.core.settings import Settings

MOST_DIFFERENCES: Final = 10
"""The most differences that are printed."""

strict_option = click.option("--strict", "is_strict", is_flag=True, help="Exit with 1 if anything is lost.")


def loaded_with(config: Path, losses: Losses) -> tuple[Settings, list[Problem]]:
    """Return the settings of a file and what the other proxy loses of them. Ends the program if it has problems."""
    loaded = load(config, os.environ, losses=losses)
    if loaded.settings is None:
        raise failed("\n".join(map(str, loaded.problems)))
    return loaded.settings, list(loaded.losses)


def name_losses(losses: list[Problem]) -> None:
    """Print what is lost on standard error."""
    for loss in losses:
        click.echo(str(loss), err=True)


def end(losses: list[Problem], is_strict: bool) -> None:
    """End the program with 1 if something is lost that may not be."""
    if is_strict and losses:
        raise SystemExit(1)


def report(place: Path, config: Path, found: list[str]) -> None:
    """Print how what lies at a place differs from the file, and end the program with 1 if it does."""
    if not found:
        click.echo(f"{place}: as {config} says")
        return
    for line in found[:MOST_DIFFERENCES]:
        click.echo(f"{place}: {line}")
    if len(found) > MOST_DIFFERENCES:
        click.echo(f"{place}: {len(found) - MOST_DIFFERENCES} more differences")
    raise SystemExit(1)


def read_or_fail(path: Path) -> bytes:
    """Return a file's content. Ends the program if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise failed(f"{path}: it cannot be read: {error.strerror}") from None


def compared(path: Path, compare: Callable[[], list[str]]) -> list[str]:
    """Return the differences. Ends the program if what lies at the path is nothing that an export has written."""
    try:
        return compare()
    except (ValueError, LookupError, TypeError, AttributeError):
        raise failed(f"{path}: this is nothing that `strangler export` has written") from None
