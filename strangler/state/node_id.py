"""The id of a node: random, and kept in its state folder, which one proxy at a time holds."""

from pathlib import Path
from typing import Final

from strangler.state.files import kept_key

NODE_ID: Final = "node.id"
"""The file; a backup leaves it out, since it is of one node."""


def node_id(folder: Path) -> str:
    """Return the id, which is made if there is none. Raises OSError."""
    return kept_key(folder / NODE_ID).hex()
