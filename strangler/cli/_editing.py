"""Editing routes.yaml in place: what `shift` and `diffs accept` have in common."""

from collections.abc import Callable
from difflib import unified_diff
from pathlib import Path

import click

from strangler.cli._config import failed, only_a_file
from strangler.config.document import MAX_BYTES
from strangler.config.edit import Edit, EditError
from strangler.config.replace import ChangedMeanwhileError, NotWrittenError, replace_content

_BOM = b"\xef\xbb\xbf"


def read_file(config: Path) -> bytes:
    """The file's bytes. Ends the program with its message if there are none."""
    only_a_file(config)
    try:
        with config.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise failed(f"{config}: the file cannot be read: {error.strerror}; name another one with -c") from None


def edited(before: bytes, config: Path, edit: Callable[[str], Edit]) -> Edit:
    """What `edit` makes of the text. Ends the program with its message if that is nothing."""
    try:
        text = before.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise failed(f"{config}: the file is not UTF-8; see `strangler check -c {config}`") from None
    try:
        return edit(text)
    except EditError as error:
        for problem in error.loaded.problems if error.loaded is not None else ():
            click.echo(str(problem), err=True)
        raise failed(f"{config}: {error}") from None


def write_file(config: Path, before: bytes, edit: Edit) -> None:
    """Replace the file, if it is still what was read."""
    bom = _BOM if before.startswith(_BOM) else b""
    try:
        replace_content(config, before, bom + edit.after.encode())
    except NotWrittenError as error:
        raise failed(f"{config}: nothing was changed: {error}") from None
    except ChangedMeanwhileError:
        raise failed(f"{config}: nothing was changed: somebody else is editing the file; try again") from None


def diff_of(config: Path, edit: Edit) -> str:
    """The change as a unified diff; empty if there is none."""
    before, after = edit.before.splitlines(), edit.after.splitlines()
    lines = unified_diff(before, after, str(config), str(config), n=1, lineterm="")
    return "".join(f"{line}\n" for line in lines)
