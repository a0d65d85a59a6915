"""Stores of earlier versions, as this one sees them."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

from strangler.state.files import STORE
from strangler.store.connection import Connection
from strangler.store.evidence import reading
from strangler.store.evidence.access import file_location
from strangler.store.evidence.tables import prepare


@contextmanager
def seen_as_now(how: Literal["upgraded", "read"], folder: Path) -> Iterator[Connection]:
    """Open the store of a folder: upgraded, or by a connection that cannot write."""
    if how == "read":
        with reading.reader(file_location(folder), looks_over=True) as connection:
            yield connection
        return
    with closing(sqlite3.connect(folder / STORE)) as connection:
        prepare(connection)
        yield connection
