"""The way to the evidence for whoever reads it: beside the store of a running proxy, or where commands find it.

All failures are a `NoEvidenceError` that names the place.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from strangler.core.settings import Settings
from strangler.state.files import STORE
from strangler.store import sqlite
from strangler.store.connection import Connection
from strangler.store.errors import CorruptError, DatabaseError, MissingError
from strangler.store.evidence.tables import read_as_now
from strangler.store.location import StoreLocation
from strangler.store.schema_versions import check_file, read_version
from strangler.store.store import Store

COMMAND_S: Final = 30.0
"""How long a server may take for all that a command reads, in seconds."""

_T = TypeVar("_T")


class NoEvidenceError(Exception):
    """There is no store, or it cannot be read; the message says which."""


class CorruptEvidenceError(NoEvidenceError):
    """There is a store, but it is corrupt: a part of the evidence may be missing."""


def file_location(folder: Path) -> StoreLocation:
    """Return where the store of a state folder is."""
    return StoreLocation(folder / STORE)


def location_of(settings: Settings) -> StoreLocation:
    """Return where the store is that routes.yaml names."""
    return StoreLocation(Path(settings.state) / STORE, settings.store)


@contextmanager
def reader(location: StoreLocation, *, looks_over: bool = False) -> Iterator[Connection]:
    """Open a store to read it. `looks_over`: check all of a file first, if no running proxy has done so.

    Raises NoEvidenceError.
    """
    with _explained(location.place):
        if location.url is None:
            with sqlite.open_to_read(location.file) as connection:
                _adapt(connection)
                if looks_over:
                    sqlite.look_over(connection)
                yield connection
            return
        try:
            from strangler.store import postgres
        except ImportError as error:
            raise DatabaseError(f"pip install 'strangler[postgres]' ({error})") from error
        with postgres.opened(location.url, "command") as server, postgres.snapshot(server):
            server.limit(COMMAND_S)
            if not postgres.has_table(server, "schema_version"):
                raise MissingError(location.place)
            read_version(server).check()
            yield server


async def ask(store: Store, work: Callable[[Connection], _T]) -> _T:
    """Read the store in another thread than its own. Corruption that is found here is reported to the store.

    Raises NoEvidenceError; also for a corrupt store, whose verdict would rest on a part of the evidence.
    """
    if store.corruption is not None:
        raise CorruptEvidenceError(store.corruption)

    def read(connection: Connection) -> _T:
        if not store.is_shared:
            _adapt(connection)
        return work(connection)

    try:
        with _explained(store.place):
            return await store.read(read)
    except CorruptEvidenceError:
        await store.doubt()
        raise


def _adapt(connection: Connection) -> None:
    check_file(connection)
    read_as_now(connection)


@contextmanager
def _explained(place: str) -> Iterator[None]:
    """Name the place in what goes wrong."""
    try:
        yield
    except MissingError:
        raise NoEvidenceError(
            f"nothing has been compared yet: there is no {place}; a route with `shadow` fills it"
        ) from None
    except CorruptError as error:
        raise CorruptEvidenceError(sqlite.corruption_text(Path(place), error)) from error
    except DatabaseError as error:
        raise NoEvidenceError(f"{place} cannot be read: {error}") from error
    except (msgspec.DecodeError, ValueError) as error:  # intact pages may hold damaged values: no JSON, no kind
        raise NoEvidenceError(f"{place} cannot be read: a value in it is damaged ({error})") from error
