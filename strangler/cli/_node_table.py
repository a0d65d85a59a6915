"""The nodes of a fleet, as `strangler status` shows them."""

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from strangler.core.documents import NodeStatus
from strangler.core.node_text import heard_text, is_absent, nodes_text

NODE_COLUMNS = ("node", "version", "routes.yaml", "share>", "heard>", "")
_DIGEST_CHARS = 12


def node_notices(nodes: Sequence[NodeStatus]) -> list[str]:
    """Return lines of markup about what is wrong between nodes."""
    return [f"[yellow]{escape(line)}[/]" for line in nodes_text(nodes)]


def add_nodes(made: Table, nodes: Sequence[NodeStatus]) -> Table:
    """Add the nodes to a table with `NODE_COLUMNS`: their program, their routes.yaml, their share of the requests."""
    for node in nodes:
        digest = escape(node.digest[:_DIGEST_CHARS])
        made.add_row(
            escape(node.node),
            escape(node.version),
            f"[yellow]{digest}[/]" if node.is_odd else digest,
            "-" if node.share is None else f"{100 * node.share:.0f}%",
            f"[bold red]{heard_text(node)}[/]" if is_absent(node) else heard_text(node),
            "leads" if node.leader else "",
        )
    return made
