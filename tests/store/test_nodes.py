"""The nodes that share a store: names belong to one state folder, and the odd routes.yaml is found."""

import pytest

from strangler.store.nodes import StoredNode, odd_digests


def node(name: str, digest: str, heard_s: float = 0.5) -> StoredNode:
    return StoredNode(name, "1.0", digest, heard_s, 0)


@pytest.mark.parametrize(
    ("nodes", "digest", "odd"),
    [
        pytest.param([node("a", "x"), node("b", "y"), node("c", "x")], "x", ["b"], id="a single odd node"),
        pytest.param([node("a", "y"), node("b", "x"), node("c", "x")], "x", ["a"], id="the first node is odd"),
        pytest.param([node("a", "x"), node("b", "y")], "x", ["b"], id="of two the first is taken for right"),
        pytest.param([node("a", "x"), node("b", "y"), node("c", "z")], "x", ["b", "c"], id="all differ"),
        pytest.param([node("a", "x", 30), node("b", "x", 30), node("c", "y"), node("d", "x"), node("e", "y")], "y",
                     ["d"], id="absent nodes have no vote"),
        pytest.param([node("a", "x"), node("b", "unknown"), node("c", "x")], "x", ["b"], id="a file that is invalid"),
    ],
)  # fmt: skip
def test_nodes_with_another_file_than_most_are_odd(nodes: list[StoredNode], digest: str, odd: list[str]) -> None:
    found = odd_digests(nodes)
    assert found is not None
    assert (found.digest, [other.node for other in found.odd]) == (digest, odd)


@pytest.mark.parametrize(
    "nodes",
    [
        pytest.param([], id="no node"),
        pytest.param([node("a", "x")], id="a node alone"),
        pytest.param([node("a", "x"), node("b", "x")], id="the same file"),
        pytest.param([node("a", "x"), node("b", "y", 10.1)], id="the other is absent"),
        pytest.param([node("a", "x"), node("b", "")], id="the other has loaded no file yet"),
    ],
)
def test_nodes_with_the_same_file_are_not_odd(nodes: list[StoredNode]) -> None:
    assert odd_digests(nodes) is None
