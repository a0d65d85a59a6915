"""Each test that is given a `connection` runs on both engines: on SQLite in memory, and on a PostgreSQL whose tables
are made once, in a transaction that is rolled back at its end, which takes a millisecond."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from strangler.store.connection import Connection, make_tables
from strangler.store.postgres import PostgresConnection, connect
from strangler.store.schema import SCHEMA
from strangler.store.schema.server_tables import prepare_server
from strangler.store.sqlite import in_memory
from tests.store.postgres import PostgresServer, running_server

UNHURRIED_S = 60.0


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    with running_server() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_connection(postgres_server: PostgresServer) -> Iterator[PostgresConnection]:
    with closing(connect(postgres_server.url(), "tests")) as connection:
        prepare_server(connection)
        connection.execute("SET statement_timeout = 0")
        yield connection


@pytest.fixture(params=["sqlite", "postgresql"])
def connection(request: pytest.FixtureRequest) -> Iterator[Connection]:
    """A store without a row, whose content ends with the test."""
    if request.param == "sqlite":
        with closing(in_memory()) as made:
            make_tables(made, SCHEMA)
            yield made
        return
    shared: PostgresConnection = request.getfixturevalue("postgres_connection")
    shared.limit(UNHURRIED_S)
    shared.execute("BEGIN")
    try:
        yield shared
    finally:
        shared.execute("ROLLBACK")
