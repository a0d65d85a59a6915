"""Why no rollout of a fleet may climb now: its nodes have to have one and the same routes.yaml."""

from strangler.store.connection import Connection
from strangler.store.nodes import odd_digest


def why_held(connection: Connection, now: float) -> str | None:
    """Return which nodes that were heard lately have another routes.yaml than most; None if none has.

    `now`: Unix time of the store's clock.
    """
    found = odd_digest(connection, now)
    if found is None:
        return None
    odd = ", ".join(f"{node.node!r} ({node.digest[:12]})" for node in found.odd)
    return f"another routes.yaml than at most nodes ({found.digest[:12]}) is in force at {odd}; bring all to one file"
