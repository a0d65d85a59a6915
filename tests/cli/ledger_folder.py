"""A state folder with a ledger, for the commands that read it where no proxy runs."""

import sqlite3
from contextlib import closing
from pathlib import Path

from strangler.ledger.ledger_state import LedgerState
from strangler.state.files import STORE
from strangler.store import stored_ledger
from strangler.store.evidence.tables import prepare

ROUTES = """\
version: 1
upstreams:
  legacy: {url: http://127.0.0.1:8000}
  orders: {url: http://127.0.0.1:8001}
routes:
  - {name: orders, match: {prefix: /api/orders}, candidate: orders, split: {percent: 25}}
"""


def write_ledger(state: LedgerState, folder: Path = Path(".strangler")) -> None:
    """Write a ledger as control does."""
    folder.mkdir(exist_ok=True)
    with closing(sqlite3.connect(folder / STORE)) as connection, connection:
        prepare(connection)
        connection.executescript(stored_ledger.SCHEMA)
        assert stored_ledger.save(connection, stored_ledger.collect_unsaved(state, with_slow=True))


def read_ledger(folder: Path = Path(".strangler")) -> LedgerState:
    """Read the ledger as control does when it starts."""
    with closing(sqlite3.connect(folder / STORE)) as connection:
        return stored_ledger.load(connection)
