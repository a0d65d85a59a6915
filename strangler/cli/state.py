"""`strangler state`: back up the state folder, and restore it."""

import json
import time
from dataclasses import asdict
from pathlib import Path

import click

from strangler.cli._acting_user import acting_user
from strangler.cli._config import config_option, settings_of
from strangler.cli._state_transfer import export, import_
from strangler.state.backup import BackupError
from strangler.state.backup import backup as write_backup
from strangler.state.restore import Replaced
from strangler.state.restore import restore as restore_backup
from strangler.store.connection import Connection
from strangler.store.evidence.access import location_of
from strangler.store.evidence.audits import write_audit
from strangler.store.schema import prepare_file
from strangler.store.sqlite import transaction
from strangler.times import utc_now

_state_option = click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="The state folder, if there is no routes.yaml that names it.",
)
_json_option = click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")


@click.group()
def command() -> None:
    """Back up the state folder, restore it, or carry it elsewhere.

    The state folder has the evidence, reviews and audit, the redaction key, the kill switch and shadow-diffs.jsonl.
    """


@command.command("backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@config_option
@_state_option
@_json_option
def backup(file: Path, config: Path, state: Path | None, as_json: bool) -> None:
    """Write a consistent copy into FILE, while the proxy runs or not.

    FILE is a tar.gz of mode 0600. An earlier backup of that name is replaced, any other file is not.

    \b
    strangler state backup /backup/strangler.tar.gz
    """
    not_in_it = _shared_place(config) if state is None else None
    try:
        done = write_backup(_folder(config, state), file, utc_now())
    except BackupError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(json.dumps({"file": str(file), **asdict(done), "not_in_it": not_in_it}))
        return
    for name, size in done.files.items():
        click.echo(f"{name}: {_size(size)}")
    if not_in_it is not None:
        click.echo(f"the evidence is not in it: {not_in_it} has it; `strangler state export` writes it into a file")
    click.echo(f"{file}: {_size(done.size)}; it has the key to hashed values, so keep it as safe as the state folder")


@command.command("restore")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@config_option
@_state_option
@_json_option
def restore(file: Path, config: Path, state: Path | None, as_json: bool) -> None:
    """Restore the state folder from the backup FILE.

    All of it is restored or, if something is wrong, nothing. Refused while a proxy uses the folder. Files that are not
    in the backup are removed.

    \b
    strangler state restore /backup/strangler.tar.gz
    """
    folder = _folder(config, state)
    try:
        done = restore_backup(folder, file, _note_restore)
    except BackupError as error:
        raise click.ClickException(f"nothing was restored: {error}") from None
    if as_json:
        click.echo(json.dumps({"folder": str(folder), **asdict(done)}))
        return
    for replaced in done.files:
        click.echo(_file_line(replaced))
    words = {True: "on", False: "off"}
    if done.was_killed or done.is_killed:
        click.echo(f"kill switch: it was {words[done.was_killed]} and is {words[done.is_killed]}")
    for route in sorted({*done.were_killed_routes, *done.are_killed_routes}):
        was, now = (words[route in routes] for routes in (done.were_killed_routes, done.are_killed_routes))
        click.echo(f"kill switch for route '{route}': it was {was} and is {now}")
    if (shared := None if state is not None else _shared_place(config)) is not None:
        click.echo(f"{shared} is as it was; `strangler state import` puts the evidence of the backup there")
    click.echo(f"{folder} is as it was at {done.at} (strangler {done.version})")


def _note_restore(store: Connection, detail: str) -> None:
    """Bring the restored store to this version's tables, and note in its audit that it was put back."""
    prepare_file(store)
    with transaction(store):
        write_audit(store, time.time(), acting_user(), "state restore", "", "", detail)


command.add_command(export)
command.add_command(import_)


def _shared_place(config: Path) -> str | None:
    """Return where the store is that nodes share; None if it is in the state folder."""
    location = location_of(settings_of(config))
    return None if location.url is None else location.place


def _folder(config: Path, state: Path | None) -> Path:
    return Path(settings_of(config).state) if state is None else state


def _file_line(replaced: Replaced) -> str:
    if replaced.before is None:
        return f"{replaced.name}: {_size(replaced.after or 0)}; there was none"
    if replaced.after is None:
        return f"{replaced.name}: removed ({_size(replaced.before)}); the backup has none"
    return f"{replaced.name}: {_size(replaced.after)} in place of {_size(replaced.before)}"


def _size(size: int) -> str:
    """Return `183 bytes` or `1.2 MiB`."""
    if size < 1024:
        return f"{size} bytes"
    value, unit = size / 1024, "KiB"
    for larger in ("MiB", "GiB"):
        if value >= 1024:
            value, unit = value / 1024, larger
    return f"{value:.1f} {unit}"
