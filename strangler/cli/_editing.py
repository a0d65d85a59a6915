"""Editing routes.yaml in place, for `shift` and `diffs accept`."""

import os
from collections.abc import Callable
from difflib import unified_diff
from functools import partial
from pathlib import Path

import click

from strangler.cli._config import failed, only_a_file
from strangler.config.edit import Edit, EditError
from strangler.config.replace import ChangedMeanwhileError, NotWrittenError
from strangler.config.source_files import Files, PartlyWrittenError, read_files, write_files


def read_texts(config: Path) -> Files:
    """Return the file and all that it includes. End the program with a message if the file cannot be read."""
    only_a_file(config)
    try:
        return read_files(config, os.environ)
    except OSError as error:
        raise failed(f"{config}: the file cannot be read: {error.strerror}; name another one with -c") from None
    except UnicodeDecodeError:
        raise failed(f"{config}: the file is not UTF-8; see `strangler check -c {config}`") from None


def edited(config: Path, edit: Callable[[], Edit]) -> Edit:
    """Return what `edit` makes of the texts, or end the program with its message."""
    try:
        return edit()
    except EditError as error:
        for problem in error.loaded.problems if error.loaded is not None else ():
            click.echo(str(problem), err=True)
        raise failed(f"{config}: {error}") from None


def write_texts(config: Path, edit: Edit) -> None:
    """Replace the files that differ, if they are still what was read."""
    try:
        write_files(edit.before, edit.after)
    except NotWrittenError as error:
        raise failed(f"{config}: nothing was changed: {error}") from None
    except PartlyWrittenError as error:
        raise failed(str(error)) from None
    except ChangedMeanwhileError:
        raise failed(f"{config}: nothing was changed: somebody else is editing the file; try again") from None


def diff_of(edit: Edit) -> str:
    """Return the change as a unified diff of each file; empty if there is none."""
    return "".join(map(partial(_diff_of, edit), edit.changed))


def _diff_of(edit: Edit, name: str) -> str:
    before, after = (files.texts[name].removeprefix("\ufeff").splitlines() for files in (edit.before, edit.after))
    lines = unified_diff(before, after, name, name, n=1, lineterm="")
    return "".join(f"{line}\n" for line in lines)
