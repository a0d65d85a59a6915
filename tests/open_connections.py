"""The connections of clients that a worker has, for tests that look into them."""

from strangler.http1.client_connection import ClientConnection
from strangler.http1.port import ClientPort


def open_connections(port: ClientPort) -> list[ClientConnection]:
    return [one for one in port.connections if isinstance(one, ClientConnection)]
