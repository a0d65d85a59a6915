"""A PostgreSQL server that nodes reach over TCP, also through a proxy; each test has a database of its own in it."""

import socket
from contextlib import AbstractContextManager

from strangler.store.postgres import opened
from strangler.store.schema.server_tables import prepare_server
from tests.store.postgres import USER, PostgresServer, running


class Server(PostgresServer):
    """A server at a port of its own."""

    def url(self, database: str = "postgres", port: int | None = None) -> str:
        """Return the URL of a database, as `store` has it. `port`: that of a proxy before the server."""
        return f"postgresql://{USER}@127.0.0.1:{port or self.port}/{database}?gssencmode=disable"

    def new_database(self) -> str:
        """Make a database with all tables; return its name."""
        name = super().new_database()
        with opened(self.url(name), "test") as connection:
            prepare_server(connection)
        return name


def server() -> AbstractContextManager[Server]:
    """Start a server. Skips the test where there is none."""
    return running(lambda programs, folder: Server(programs, folder, _free_port()))


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
