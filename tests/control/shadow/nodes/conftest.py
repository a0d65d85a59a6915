"""One PostgreSQL server for all tests of a process, with a database for each test."""

from collections.abc import Iterator

import pytest

from tests.control.fleet.database import Server, server


@pytest.fixture(scope="package")
def postgres() -> Iterator[Server]:
    with server() as found:
        yield found


@pytest.fixture
def database(postgres: Server) -> str:
    return postgres.new_database()
