"""The nodes of a fleet in words."""

from collections.abc import Sequence
from typing import Final

from strangler.core.documents import NodeStatus

ABSENT_S: Final = 10
"""A node that was not heard for so long counts no more."""
_DIGEST_CHARS: Final = 12


def is_absent(node: NodeStatus) -> bool:
    """Return whether a node counts no more."""
    return node.heard > ABSENT_S


def heard_text(node: NodeStatus) -> str:
    """Return how long ago a node was heard, in words."""
    seconds = int(node.heard)
    if seconds < 120:
        return f"{seconds} s ago"
    return f"{seconds // 60} min ago" if seconds < 7200 else f"{seconds // 3600} h ago"


def nodes_text(nodes: Sequence[NodeStatus]) -> list[str]:
    """Return sentences about what is wrong between nodes that share a store."""
    present = [node for node in nodes if not is_absent(node)]
    usual = next((node.digest for node in present if not node.is_odd and node.digest), "")
    lines = [
        f"node '{node.node}' has another routes.yaml than most: {node.digest[:_DIGEST_CHARS]}, not"
        f" {usual[:_DIGEST_CHARS]}; rollouts hold until all have the same"
        for node in present
        if node.is_odd
    ]
    if len(nodes) > 1:
        lines += [f"node '{node.node}' was heard {heard_text(node)}" for node in nodes if is_absent(node)]
    if present and not any(node.leader for node in nodes):
        lines.append("no node leads: rollouts hold, and no events are sent")
    return lines
