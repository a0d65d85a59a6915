"""The opening of a store, whatever its engine is. Only here is the shared one's driver imported, and only for one."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from strangler.core.settings import Settings
from strangler.store import sqlite
from strangler.store.connection import Connection
from strangler.store.errors import DatabaseError
from strangler.store.file_store import FileStore
from strangler.store.location import StoreLocation
from strangler.store.schema import prepare_file
from strangler.store.store import Store

NO_DRIVER: Final = "a shared store needs the extra: pip install 'strangler[postgres]'"
PATIENCE_S: Final = 5.0
"""How long a command waits for another writer, and how long a server may take, in seconds."""


def node_of(settings: Settings) -> str:
    """Return the name of this node."""
    return settings.node or socket.gethostname()


def file_store(location: StoreLocation) -> FileStore:
    """Return the store of this node alone. Nothing is opened yet."""
    return FileStore(location.file, prepare_file)


def open_store(location: StoreLocation, node: str) -> Store:
    """Return the store at a place. Nothing is opened yet. Raises DatabaseError if its driver is missing."""
    if location.url is None:
        return file_store(location)
    try:
        from strangler.store.schema.server_tables import prepare_server
        from strangler.store.server_store import ServerStore
    except ImportError as error:
        raise DatabaseError(f"{NO_DRIVER} ({error})") from error
    return ServerStore(location.url, node, location.folder, prepare_server)


@contextmanager
def writer(location: StoreLocation, patience_s: float = PATIENCE_S) -> Iterator[Connection]:
    """Open a store for one transaction, with the tables of this version, while no proxy of this node runs.

    Raises DatabaseError, also for what fails in the block, and OSError.
    """
    if location.url is None:
        location.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with sqlite.open_to_write(location.file, patience_s) as connection:
            prepare_file(connection)
            with sqlite.transaction(connection):
                yield connection
        return
    try:
        from strangler.store import postgres
        from strangler.store.schema.server_tables import prepare_server
    except ImportError as error:
        raise DatabaseError(f"{NO_DRIVER} ({error})") from error
    with postgres.opened(location.url, "command") as server:
        prepare_server(server)
        server.limit(patience_s)
        with postgres.transaction(server):
            server.allow(patience_s)
            yield server
