"""Keys that are read and checked but do nothing yet.

`strangler check` names those that a file has, so that nobody is fooled.
"""

from collections.abc import Iterator

from strangler.config.document import Document, Items, Node, Table

INACTIVE: tuple[str, ...] = (
    # Take a line out when its part comes alive. `[]` is every item of a list, `*` every key of a mapping.
)


def inactive_keys(document: Document, registry: tuple[str, ...] = INACTIVE) -> tuple[str, ...]:
    """Those of the registry that the document has."""
    root = document.root
    if root is None:
        return ()
    return tuple(key for key in registry if any(True for _ in _found(root, key.replace("[]", ".[]").split("."))))


def _found(node: Node, steps: list[str]) -> Iterator[Node]:
    if not steps:
        yield node
        return
    if steps[0] == "[]":
        inner = node.items if isinstance(node, Items) else []
    elif not isinstance(node, Table):
        inner = []
    elif steps[0] == "*":
        inner = list(node.values.values())
    else:
        inner = [node.values[steps[0]]] if steps[0] in node.values else []
    for child in inner:
        yield from _found(child, steps[1:])
