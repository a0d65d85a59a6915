"""The store of a node in a test's database, whose tables are there."""

from pathlib import Path

from strangler.store.server_store import ServerStore


def server_store(url: str, node: str, folder: Path) -> ServerStore:
    return ServerStore(url, node, folder, lambda _: None)
