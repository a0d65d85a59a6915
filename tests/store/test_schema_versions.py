"""The versions of the tables: on both engines, by several nodes at once, and of earlier and later programs."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import pytest

from strangler import __version__
from strangler.store.connection import Connection
from strangler.store.errors import DatabaseError, SchemaError
from strangler.store.evidence.access import NoEvidenceError, file_location, reader
from strangler.store.location import StoreLocation
from strangler.store.meta import read_meta, write_meta
from strangler.store.postgres import PostgresConnection, connect, transaction, translated
from strangler.store.schema import SCHEMA, prepare_file
from strangler.store.schema.opening import file_store, writer
from strangler.store.schema.server_tables import prepare_server
from strangler.store.schema.transfer import all_tables
from strangler.store.schema_versions import VERSION, StoredVersion, read_version
from strangler.store.sqlite import user_version
from tests.store.postgres import PostgresServer

OURS: Final = StoredVersion(VERSION, 1, __version__)
LATER: Final = "UPDATE schema_version SET version = ?, min_compatible = ?, program = '9.1.0'"
TOO_NEW: Final = rf"strangler 9\.1\.0 has written it, with tables of version 9.* which knows version {VERSION}\. Use"


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "strangler.db"


def test_a_new_file_has_our_version(path: Path) -> None:
    with opened(path) as connection:
        prepare_file(connection)
        assert (user_version(connection), read_version(connection)) == (VERSION, OURS)
        prepare_file(connection)


def test_a_file_from_before_there_were_versions_is_adopted_with_all_that_is_in_it(path: Path) -> None:
    with opened(path) as connection:
        connection.executescript(SCHEMA)
        connection.execute("DROP TABLE schema_version")
        write_meta(connection, "word", "kept")
        assert user_version(connection) == 0
        prepare_file(connection)
        assert (user_version(connection), read_meta(connection, "word")) == (VERSION, "kept")


def make_later(connection: Connection, version: int, min_compatible: int) -> None:
    connection.execute(LATER, (version, min_compatible))
    connection.execute(f"PRAGMA user_version = {version}")


async def test_a_later_file_that_can_be_used_stays_as_it_is(path: Path) -> None:
    with opened(path) as connection:
        prepare_file(connection)
        make_later(connection, VERSION + 1, VERSION)
        connection.execute("DROP TABLE rule_uses")  # as if a later version had no such table any more
        prepare_file(connection)
        assert read_version(connection) == StoredVersion(VERSION + 1, VERSION, "9.1.0")
        assert user_version(connection) == VERSION + 1
        assert connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'rule_uses'").fetchone() is None
    store = file_store(StoreLocation(path))
    await store.call(lambda connection: write_meta(connection, "word", "of a node"))
    await store.close()
    with reader(file_location(path.parent)) as found:
        assert read_meta(found, "word") == "of a node"
        assert found.execute("SELECT 1 FROM sqlite_master WHERE name = 'rule_uses'").fetchone() is None


def test_a_file_that_cannot_be_used_is_left_alone_and_the_message_says_what_can(path: Path) -> None:
    with opened(path) as connection:
        prepare_file(connection)
        make_later(connection, 9, 9)
    content = path.read_bytes()
    with pytest.raises(SchemaError, match=TOO_NEW), writer(StoreLocation(path)) as connection:
        write_meta(connection, "word", "lost")
    with pytest.raises(NoEvidenceError, match=TOO_NEW), reader(file_location(path.parent)):
        pass
    assert path.read_bytes() == content


# A shared store


@pytest.fixture
def url(postgres_server: PostgresServer) -> str:
    """The URL of an empty database."""
    return postgres_server.url(postgres_server.new_database())


@pytest.fixture
def server(url: str) -> Iterator[PostgresConnection]:
    with closing(connect(url, "tests")) as connection:
        yield connection


def test_nodes_that_start_together_make_the_tables_once(url: str) -> None:
    failures: list[BaseException] = []
    barrier = threading.Barrier(4)

    def start() -> None:
        with closing(connect(url, "node")) as connection:
            barrier.wait(30)
            try:
                prepare_server(connection)
            except BaseException as error:
                failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with closing(connect(url, "tests")) as connection:
        assert read_version(connection) == OURS
        made = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        assert {name for (name,) in made} == {table.name for table in all_tables()}


def test_a_later_server_that_can_be_used_stays_as_it_is(server: PostgresConnection) -> None:
    prepare_server(server)
    server.execute(LATER, (VERSION + 1, VERSION))
    prepare_server(server)
    assert read_version(server) == StoredVersion(VERSION + 1, VERSION, "9.1.0")


def test_a_server_that_cannot_be_used_is_left_alone(server: PostgresConnection, url: str, tmp_path: Path) -> None:
    prepare_server(server)
    server.execute(LATER, (9, 9))
    location = StoreLocation(tmp_path / "strangler.db", url)
    with pytest.raises(SchemaError, match=TOO_NEW), writer(location) as connection:
        write_meta(connection, "word", "lost")
    with pytest.raises(NoEvidenceError, match=TOO_NEW), reader(location):
        pass
    assert read_meta(server, "word") is None
    assert read_version(server).version == 9


def test_a_migration_that_fails_has_changed_nothing(server: PostgresConnection) -> None:
    with transaction(server):
        server.execute("CREATE TABLE changes (other bigint)")  # in the way of ours, which has an index
    with pytest.raises(DatabaseError, match='column "number" does not exist'), translated():
        prepare_server(server)
    rows = server.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    assert rows == [("changes",)]
