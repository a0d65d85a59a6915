"""From routes.yaml to settings, or to all of its problems."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from pathlib import Path

from strangler.config import document, mounts, rules
from strangler.config.build import build
from strangler.config.defaults import told_once, with_defaults
from strangler.config.page import read_page
from strangler.config.problem import Problem
from strangler.config.validate import validate
from strangler.core.collector import collector_paused
from strangler.core.settings import Settings

STANDARD_INPUT = "-"
"""The path that means standard input."""
STANDARD_INPUT_NAME = "<stdin>"
"""Its name in messages."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came of a file. `settings` is None if there are problems; warnings do no harm."""

    settings: Settings | None
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...] = ()


def load(path: Path, environ: Mapping[str, str]) -> Loaded:
    """Reads a file. Never raises for what it holds, or because it cannot be read."""
    if str(path) == STANDARD_INPUT:
        return parse(_standard_input(), STANDARD_INPUT_NAME, environ)
    try:
        with path.open("rb") as file:
            data = file.read(document.MAX_BYTES + 1)
            is_replaced = mounts.is_replaced(os.fstat(file.fileno()))
    except IsADirectoryError:
        way_out = "name another one with -c; container engines make a folder where the file to mount is missing"
        return Loaded(None, (Problem(str(path), 0, 0, "", "this is a folder, not a file", way_out),))
    except OSError as error:
        return unreadable(path, error.strerror or str(error))
    except ValueError as error:  # a NUL in the path
        return Loaded(None, (Problem(str(path), 0, 0, "", f"this is not a path: {error}", "name another one with -c"),))
    loaded = parse(data, str(path), environ, folder=path.parent)
    return replace(loaded, warnings=(replaced_outside(path), *loaded.warnings)) if is_replaced else loaded


@cache
def _standard_input() -> bytes:
    """Return standard input, kept: it can be read once, and a command may load its file twice."""
    return sys.stdin.buffer.read(document.MAX_BYTES + 1)


def unreadable(path: Path, reason: str) -> Loaded:
    """Return what comes of a file that cannot be read."""
    what = f"the file cannot be read: {reason}"
    return Loaded(None, (Problem(str(path), 0, 0, "", what, "name another one with -c"),))


def replaced_outside(path: Path) -> Problem:
    """Return the warning about a mounted file that is not the one outside any more."""
    return Problem(str(path), 0, 0, "", mounts.replaced_outside(path), mounts.WAY_OUT, "warning")


def parse(
    text: bytes | str,
    name: str,
    environ: Mapping[str, str],
    today: date | None = None,
    *,
    folder: Path | None = None,
) -> Loaded:
    """Reads the text of a file; `name` is the file's name in messages. Never raises for what the text holds.

    `folder`: where files are that the text names; None: they are not read.
    """
    with collector_paused():  # 10,000 routes are 300,000 objects: 1.5 s of 2
        return _parse(text, name, environ, today or date.today(), folder)


def _parse(text: bytes | str, name: str, environ: Mapping[str, str], today: date, folder: Path | None) -> Loaded:
    read = document.read(text, name, environ)
    if read.root is None:
        return Loaded(None, tuple(read.problems))
    read = with_defaults(read)
    file, sound, problems = validate(read)
    problems += read.problems
    warnings: list[Problem] = []
    if file is not None:
        found = rules.check(file, sound, today)
        problems += [problem for problem in found if problem.severity == "error"]
        warnings = [problem for problem in found if problem.severity == "warning"]
    problems, warnings = told_once(read, problems), told_once(read, warnings)
    ordered = tuple(sorted(set(problems), key=lambda problem: problem.order))
    settings = build(file) if file is not None and not ordered else None
    if settings is not None and settings.errors.html_file is not None and folder is not None:
        page = read_page(folder / settings.errors.html_file)
        if page.why_not is not None:
            line, column = sound.place(("errors", "html"))
            what = f"errors.html is {settings.errors.html_file!r}: {page.why_not[0]}"
            return Loaded(None, (Problem(read.name, line, column, "", what, page.why_not[1]),))
        settings = replace(settings, errors=replace(settings.errors, html=page.text))
    return Loaded(settings, ordered, tuple(sorted(set(warnings), key=lambda problem: problem.order)))
