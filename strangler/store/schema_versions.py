"""The versions of the tables: which a store has, and whether this program can use them.

A store of a later version is used if that version says that this one still can: nodes of a fleet are renewed one by
one. A program that cannot use a store says which can, and changes nothing.
"""

from dataclasses import dataclass
from typing import Final

from strangler import __version__
from strangler.store.connection import Connection
from strangler.store.errors import SchemaError
from strangler.store.sqlite import set_user_version, user_version

VERSION: Final = 1
"""The version of the tables that this program makes and knows."""
MIN_COMPATIBLE: Final = 1
"""The oldest version whose programs can use these tables as well: they neither miss a column nor a row."""
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS schema_version (
    id INTEGER NOT NULL PRIMARY KEY, version INTEGER NOT NULL, min_compatible INTEGER NOT NULL, program TEXT NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """The version of a store's tables. `program`: the version of the program that made them."""

    version: int
    min_compatible: int
    program: str

    @property
    def is_current(self) -> bool:
        """Whether no step is due."""
        return self.version >= VERSION

    def check(self) -> None:
        """Raise SchemaError if this program cannot use the tables."""
        if self.min_compatible > VERSION:
            raise SchemaError(
                f"strangler {self.program} has written it, with tables of version {self.version}; this is strangler"
                f" {__version__}, which knows version {VERSION}. Use strangler {self.program} or a later one"
            )


NONE: Final = StoredVersion(0, 0, "")
"""The version of a store without tables, and of one from before tables had versions."""


def read_version(connection: Connection) -> StoredVersion:
    """Return the version of a store that has the table."""
    row = connection.execute("SELECT version, min_compatible, program FROM schema_version WHERE id = 1").fetchone()
    return NONE if row is None else StoredVersion(*row)


def version_of_file(connection: Connection) -> StoredVersion:
    """Return the version of a SQLite file."""
    return NONE if user_version(connection) == 0 else read_version(connection)


def check_file(connection: Connection) -> None:
    """Raise SchemaError if this program cannot use a SQLite file."""
    version_of_file(connection).check()


def write_file_version(connection: Connection) -> None:
    """Note that the tables of a SQLite file are those of this program now."""
    write_version(connection)
    set_user_version(connection, VERSION)


def write_version(connection: Connection) -> None:
    """Note that the tables are those of this program now."""
    connection.execute(
        """INSERT INTO schema_version VALUES (1, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET
        version = excluded.version, min_compatible = excluded.min_compatible, program = excluded.program""",
        (VERSION, MIN_COMPATIBLE, __version__),
    )
