"""`strangler record export`: one file for each difference of the inbox, which repeats a request that shows it."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import click

from strangler.cli import _reproduce
from strangler.cli._admin import NamedAdmin
from strangler.cli._config import failed, route_of, settings_of
from strangler.cli._diffs_where import config_of, evidence_of, where_options
from strangler.core.documents import SignatureDocument
from strangler.core.settings import Settings
from strangler.recordings.exports.redacted_values import (
    LeftOut,
    is_redacted,
    without_fields,
    without_pairs,
    without_values,
)
from strangler.recordings.exports.shell_words import comment
from strangler.recordings.exports.whole_file import whole_file
from strangler.store.evidence.reading import Filters, path_steps
from strangler.store.evidence.writing import STATES

Form = Literal["hurl", "curl", "pytest"]
_ID: Final = re.compile(r"[0-9a-f]{8,64}")
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_]+")
_MAX_NAME: Final = 60
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_FIRST_BYTES: Final = 200


@click.command("export")
@where_options
@click.option(
    "--signatures", "states", type=click.Choice(STATES), multiple=True, required=True, help="Differences in this state."
)
@click.option("--route", help="Only this route.")
@click.option("--as", "form", type=click.Choice(["hurl", "curl", "pytest"]), default="hurl", show_default=True)
@click.option("--writes", is_flag=True, help="Also requests that may change something: a file sends them to both arms.")
@click.option(
    "-o", "--output", "folder", type=click.Path(path_type=Path, file_okay=False), default="differences",
    show_default=True, help="The folder; it is made if there is none.",
)  # fmt: skip
@click.pass_context
def export(
    ctx: click.Context,
    config: Path | None,
    admin: NamedAdmin | None,
    states: tuple[str, ...],
    route: str | None,
    form: Form,
    writes: bool,
    folder: Path,
) -> None:
    """Write one file for each difference of the inbox.

    Each repeats the newest sample's request at both arms, at the URLs that routes.yaml names. Redacted fields are left
    out. A file keeps its name, and only a file of the same difference is replaced.
    """
    settings = settings_of(config_of(ctx, config))
    if route is not None:
        route_of(config_of(ctx, config), settings, route)
    evidence = evidence_of(ctx, config, admin)
    rows = [row for row in evidence.inbox(Filters(route)).signatures if row.state in states and not row.is_noise]
    documents = (document for row in rows if (document := evidence.detail(row.id)) is not None)
    made = [_made(document, settings, form, writes=writes) for document in documents]
    files = [file for file in made if isinstance(file, _File)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file in files:
            _write(folder / file.name, file, is_script=form == "curl")
    except OSError as error:
        raise failed(f"{folder} cannot be written: {error.strerror or error}") from None
    click.echo(f"{len(files):,} files written into {folder}")
    for reason, count in Counter(reason for reason in made if isinstance(reason, str)).most_common():
        click.echo(f"left out: {count:,}, since {reason}", err=True)


@dataclass(frozen=True, slots=True)
class _File:
    name: str
    marker: bytes
    content: bytes


def _made(row: SignatureDocument, settings: Settings, form: Form, *, writes: bool) -> _File | str:
    """Return a difference's file; else why there is none."""
    found = next((route for route in settings.routes if route.name == row.route), None)
    if found is None:
        return "routes.yaml has no such route any more"
    if not row.samples or _ID.fullmatch(row.id) is None:
        return "no sample is kept of them"
    request = _reproduce.request_of(row.samples[0].answers, found, settings)
    if request.method not in _SAFE_METHODS and not writes:
        return "their requests may change something; --writes includes them"
    left_out: list[LeftOut] = []
    kept = _without_redacted(request, left_out)
    if kept is None:
        return "their path or body has a redacted value that cannot be taken out of it"
    marker = comment(f"strangler: difference {row.id}")
    lines = [marker, comment(f"{row.endpoint}: {row.path or 'status'} ({row.kind}, {row.severity})")]
    lines += [comment(f"left out, since its value is redacted: {item.place} {item.name}") for item in left_out]
    if form == "curl":
        lines.insert(0, b"#!/bin/sh")
    return _File(_name(row, form), marker, b"\n".join([*lines, *_content(row, kept, form)]))


def _write(path: Path, file: _File, *, is_script: bool) -> None:
    """Write a file. End the program if there is another one of its name."""
    if not _is_ours(path, file.marker):
        raise failed(f"{path} is not of this difference, or no plain file: move it, or name a folder with -o")
    with whole_file(path, force=True, is_script=is_script) as opened:
        opened.write(file.content)


def _content(row: SignatureDocument, request: _reproduce.Request, form: Form) -> Iterator[bytes]:
    if form == "hurl":
        yield _reproduce.hurl(request).encode()
    elif form == "pytest":
        yield _reproduce.pytest_file(request, row, path_steps(row.path) or ()).encode()
    else:
        yield from (_reproduce.curl(request, arm).encode() for arm in (request.legacy, request.candidate))
        yield b""


def _without_redacted(request: _reproduce.Request, left_out: list[LeftOut]) -> _reproduce.Request | None:
    """Return a request without its redacted fields; None if they cannot be taken out of it."""
    headers = without_fields([(name.encode(), value.encode()) for name, value in request.headers], left_out)
    body = request.body
    if body is not None:
        types = [value for name, value in request.headers if name.lower() == "content-type"]
        kept = without_values(body.encode(), types[0].encode() if types else b"", left_out)
        if kept is None:
            return None
        body = kept.decode()
    arms, names = [], left_out
    for arm in (request.legacy, request.candidate):
        path, mark, query = arm.url.encode().partition(b"?")
        if is_redacted(path):
            return None
        url = path + mark + without_pairs(query, "query", names)
        arms.append(replace(arm, url=url.decode()))
        names = []  # the same parameters again
    fields = tuple((name.decode(), value.decode()) for name, value in headers)
    return replace(request, legacy=arms[0], candidate=arms[1], headers=fields, body=body)


def _name(row: SignatureDocument, form: Form) -> str:
    """Return a name that stays the same: the route for people, the id for all else. No path can be in it."""
    route = _NOT_IN_NAMES.sub("_", row.route)[:_MAX_NAME].strip("_") or "route"
    return {"hurl": f"{route}-{row.id}.hurl", "curl": f"{route}-{row.id}.sh", "pytest": f"test_{route}_{row.id}.py"}[
        form
    ]


def _is_ours(path: Path, marker: bytes) -> bool:
    """Return whether there is no such file, or one that was written for the same difference."""
    if not os.path.lexists(path):
        return True
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return marker in file.read(_FIRST_BYTES).split(b"\n")[:2]
