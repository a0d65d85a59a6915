"""The connections of clients that a worker has, for tests that look into them."""

from strangler.http1.client_connection import ClientConnection
from strangler.http1.server_state import ServerState


def open_connections(server: ServerState) -> list[ClientConnection]:
    return [connection for connection in server.connections if isinstance(connection, ClientConnection)]
