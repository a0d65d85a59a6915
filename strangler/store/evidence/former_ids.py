"""The former ids of differences, whose endpoints have another name now. Whoever has noted one finds the difference."""

from collections.abc import Mapping
from typing import Final

from strangler.store.connection import Connection

MAX_FORMER_IDS: Final = 50_000
"""The most former ids that are kept; the oldest are forgotten first."""


def present_id(connection: Connection, name: str) -> str:
    """Return the present id of a difference by its whole id, or by a former one; the same id if it is unknown."""
    row = connection.execute(
        "SELECT now FROM former_ids WHERE id = ? AND NOT EXISTS (SELECT 1 FROM signatures WHERE id = ?)", (name, name)
    ).fetchone()
    return name if row is None else str(row[0])


def note_former_ids(connection: Connection, ids: Mapping[str, str], at: float) -> None:
    """Note new ids by the former ones. Ids that were former to these lead to the new ones, too."""
    moved = [(new, old) for old, new in ids.items()]
    connection.executemany("UPDATE former_ids SET now = ? WHERE now = ?", moved)
    connection.executemany(
        """INSERT INTO former_ids (now, id, at) VALUES (?, ?, ?)
        ON CONFLICT (id) DO UPDATE SET now = excluded.now, at = excluded.at""",
        [(*pair, at) for pair in moved],
    )
    connection.executemany("DELETE FROM former_ids WHERE id = ?", [(new,) for new in set(ids.values())])


def prune_former_ids(connection: Connection) -> None:
    """Delete former ids of differences that are gone, and the oldest ones beyond `MAX_FORMER_IDS`."""
    connection.execute("DELETE FROM former_ids WHERE now NOT IN (SELECT id FROM signatures)")
    connection.execute(
        """DELETE FROM former_ids WHERE id IN (SELECT id FROM (
            SELECT id, row_number() OVER (ORDER BY at DESC, id) AS place FROM former_ids) AS placed WHERE place > ?)""",
        (MAX_FORMER_IDS,),
    )
