"""`strangler state export` and `import`: all that is shared, to another store of either engine."""

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import click

from strangler.cli._acting_user import acting_user
from strangler.cli._config import config_option, settings_of
from strangler.state import kill_switch
from strangler.state.backup import BackupError
from strangler.state.backup import backup as write_backup
from strangler.state.files import APPROVAL_KEY, KILL_SWITCH, REDACTION_KEY, STORE, WEBHOOK_KEY, replace_file
from strangler.state.fleet_keys import are_known
from strangler.state.lock import FolderError, locked
from strangler.state.restore import checked_unpacked, restore
from strangler.state.switch_merge import merge
from strangler.store.connection import Connection
from strangler.store.errors import DatabaseError
from strangler.store.evidence.access import location_of
from strangler.store.evidence.audits import write_audit
from strangler.store.location import StoreLocation
from strangler.store.schema import prepare_file
from strangler.store.sqlite import open_to_read, transaction
from strangler.store.stored_kill_switch import StoredTurn, load_turns
from strangler.times import utc_now

_SHARED_FILES: Final = (REDACTION_KEY, WEBHOOK_KEY, APPROVAL_KEY, KILL_SWITCH)
"""The files of a node that are the same for all: this node has them, and shares them when it starts."""
_STOPPED: Final = "stop it first"
_file_argument = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
_json_option = click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")


@click.command("export")
@_file_argument
@config_option
@_json_option
def export(file: Path, config: Path, as_json: bool) -> None:
    """Write all that nodes share into FILE, to be imported elsewhere.

    FILE is a backup with an SQLite store in it, whatever `store` is: `state restore` reads it as well. Stop the proxy
    first: what it stores afterwards is not in it.

    \b
    strangler state export /backup/strangler.tar.gz
    """
    location = location_of(settings_of(config))
    try:
        with locked(location.folder, _STOPPED), TemporaryDirectory(prefix="strangler-") as drafts:
            draft = None if location.url is None else _drafted(location, Path(drafts) / STORE)
            done = write_backup(location.folder, file, utc_now(), draft)
    except (BackupError, FolderError, DatabaseError, OSError) as error:
        raise click.ClickException(f"nothing was exported: {_named(location, error)}") from None
    if as_json:
        click.echo(json.dumps({"file": str(file), "from": location.place, **asdict(done)}))
        return
    click.echo(f"{file} has all of {location.place}; it has keys, so keep it as safe as the state folder")


def _drafted(location: StoreLocation, draft: Path) -> Path:
    from strangler.store.schema.import_server import export_server

    assert location.url is not None
    export_server(location.url, draft, has_keys=are_known(location.folder))
    with open_to_read(draft) as exported:
        _take_turns(location.folder, load_turns(exported))
    return draft


def _take_turns(folder: Path, stored: Mapping[str, StoredTurn]) -> None:
    """Put the kill switch of all nodes into this node's file, as its start would: the export has that file."""
    local = kill_switch.read(folder)
    state = local if local.is_unreadable else merge(local, stored).state
    if state != local:
        kill_switch.write(folder, state)


@click.command("import")
@_file_argument
@config_option
@_json_option
def import_(file: Path, config: Path, as_json: bool) -> None:
    """Replace all that nodes share by what FILE has.

    All of it, or nothing. FILE is of `state export`, or a backup. The store is the one that routes.yaml names. No
    proxy may use it: of a shared store, all nodes are stopped. Keys and the kill switch become those of this node;
    start it first, and it shares them.

    \b
    strangler state import /backup/strangler.tar.gz
    """
    location = location_of(settings_of(config))
    try:
        rows = _imported(location, file)
    except (BackupError, FolderError, DatabaseError, OSError) as error:
        raise click.ClickException(f"nothing was imported: {_named(location, error)}") from None
    if as_json:
        click.echo(json.dumps({"file": str(file), "to": location.place, "rows": rows}))
        return
    click.echo(f"{location.place} has all of {file} now" + (f": {sum(rows.values())} rows" if rows else ""))


def _imported(location: StoreLocation, file: Path) -> dict[str, int]:
    if location.url is None:
        restore(location.folder, file, _note)
        return {}
    from strangler.store.schema.import_server import import_server

    with locked(location.folder, _STOPPED), TemporaryDirectory(prefix=".import-", dir=location.folder) as drafts:
        checked_unpacked(file, Path(drafts), _note)
        if not (Path(drafts) / STORE).exists():
            raise BackupError(f"{file} has no store in it")
        rows = import_server(location.url, Path(drafts) / STORE)
        for name in _SHARED_FILES:
            with suppress(FileNotFoundError):
                replace_file(location.folder / name, (Path(drafts) / name).read_bytes())
        return dict(rows)


def _note(store: Connection, detail: str) -> None:
    """Bring the store in the file to this version's tables, and note in its audit that it was imported."""
    prepare_file(store)
    with transaction(store):
        write_audit(store, time.time(), acting_user(), "state import", "", "", detail)


def _named(location: StoreLocation, error: Exception) -> str:
    return f"{location.place}: {error}" if isinstance(error, DatabaseError) else str(error)
